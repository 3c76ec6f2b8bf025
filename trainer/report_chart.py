"""Curves as SVG text for the report; no library, no script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 820, 260, 60, 28, 14
MOST_POINTS = 600


@dataclass(frozen=True)
class Curve:
    """A named line."""

    name: str
    css_class: str
    points: Sequence[tuple[float, float]]
    """(step, value) in order; values that are not finite are left out."""


def chart(title: str, curves: Sequence[Curve], mark: int | None = None, mark_name: str = "") -> str:
    """Return a chart of curves over steps; empty where there is nothing to show.

    Args:
        title: Read to those who cannot see it, and shown above.
        curves: The lines.
        mark: A step to be marked.
        mark_name: What stands at the mark.
    """
    shown = [Curve(c.name, c.css_class, _thinned([p for p in c.points if math.isfinite(p[1])])) for c in curves]
    shown = [curve for curve in shown if len(curve.points) > 1]
    if not shown:
        return ""
    last = max(curve.points[-1][0] for curve in shown) or 1
    values = sorted(value for curve in shown for _, value in curve.points)
    # A few outliers shall not flatten the rest.
    low, high = min(0.0, values[0]), values[min(len(values) - 1, int(0.995 * len(values)))] * 1.05
    high = high if high > low else low + 1

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - 24) * step / last

    def y(value: float) -> float:
        share = (min(value, high) - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>']
    for value in _ticks(low, high):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 24}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="end" x="{LEFT - 8}" y="{y(value) + 4:.1f}">{value:.3g}</text>')
    for step in _ticks(0, last):
        parts.append(f'<text class="mid" x="{x(step):.1f}" y="{HEIGHT - 8}">{step:,.0f}</text>')
    if mark is not None and 0 <= mark <= last:
        parts.append(f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        side, shift = ("end", -5) if mark > last / 2 else ("start", 5)
        parts.append(f'<text class="{side}" x="{x(mark) + shift:.1f}" y="{TOP + 10}">{escape(mark_name)}</text>')
    for curve in shown:
        line = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in curve.points)
        parts.append(f'<polyline class="{escape(curve.css_class)}" points="{line}"/>')
    names = " ".join(f'<span class="key {escape(c.css_class)}">{escape(c.name)}</span>' for c in shown)
    return f"<figure><figcaption>{escape(title)} {names}</figcaption>{''.join(parts)}</svg></figure>"


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    stride = max(1, math.ceil(len(points) / MOST_POINTS))
    kept = list(points[::stride])
    if points and kept[-1] != points[-1]:
        kept.append(points[-1])
    return kept


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two, about five."""
    rough = (high - low) / 5
    base = 10.0 ** math.floor(math.log10(rough))
    step = next(base * factor for factor in (1, 2, 5, 10) if base * factor >= rough)
    first = math.ceil(low / step)
    return [step * i for i in range(first, math.floor(high / step) + 1)]
