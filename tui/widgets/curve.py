"""Loss over steps as a plot; a long run is thinned to twice the width before it is drawn."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textual.app import RenderResult
from textual_plotext import PlotextPlot

from trainer.run.facts import StepPoint, Validation
from trainer.run.state import RunState
from tui.words import loss_text

RAW, SMOOTHED, HELD_OUT, BEST = "·", "braille", "x", "B"
RAW_COLOUR, SMOOTHED_COLOUR, HELD_OUT_COLOUR = 240, 110, 179
"""Numbers of the 256-colour palette."""
_RANGE_SHARE = 0.9
"""The share of raw losses that sets the height; single far ones would flatten the rest."""


@dataclass(frozen=True)
class Curves:
    """What is drawn: pairs of steps and losses."""

    raw: tuple[tuple[int, float], ...]
    smoothed: tuple[tuple[int, float], ...]
    held_out: tuple[tuple[int, float], ...]

    @property
    def best(self) -> tuple[tuple[int, float], ...]:
        """The lowest held-out loss, the first of several; nothing without any."""
        return (min(self.held_out, key=lambda pair: pair[1]),) if self.held_out else ()

    @property
    def heights(self) -> tuple[float, float] | None:
        """The lowest and highest loss that are drawn; None without any."""
        raw = sorted(loss for _, loss in self.raw)
        cut = int(len(raw) * (1 - _RANGE_SHARE) / 2)
        shown = [*raw[cut : len(raw) - cut], *(loss for part in (self.smoothed, self.held_out) for _, loss in part)]
        if not shown:
            return None
        low, high = min(shown), max(shown)
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
        return low - margin, high + margin


def thin(points: Sequence[StepPoint], count: int) -> list[StepPoint]:
    """Return at most `count` points, evenly spread, the last one always among them."""
    if len(points) <= count:
        return list(points)
    last = len(points) - 1
    return [points[round(place * last / (count - 1))] for place in range(count)]


def curves_of(state: RunState, width: int) -> Curves:
    """Return what to draw of a run in `width` cells."""
    points = thin(state.points, max(2, 2 * width))
    validations: list[Validation] = list(state.validations)
    held = [(v.step, v.held_out) for v in validations[-4 * width :] if v.held_out is not None]
    return Curves(
        _finite((point.step, point.loss) for point in points),
        _finite((point.step, point.smoothed_loss) for point in points),
        _finite(held),
    )


def _finite(pairs: Iterable[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    return tuple((x, y) for x, y in pairs if math.isfinite(y))


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers between two values, about `count` of them."""
    if count < 1 or not high > low:
        return []
    rough = (high - low) / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step)
    return [round(place * step, 12) for place in range(first, math.floor(high / step) + 1)]


class LossCurve(PlotextPlot):
    """Raw and smoothed training loss as dots and a line, held-out loss as crosses, the best of them as B."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        # The terminal's own background and axes; the curves bring their colours.
        self.theme = "clear"
        self._state = RunState()

    def show(self, state: RunState) -> None:
        """Draw another state."""
        if state.points is not self._state.points or state.validations is not self._state.validations:
            self._state = state
            self.refresh()

    def render(self) -> RenderResult:
        """Return the plot for the present size."""
        width, height = self.size
        curves = curves_of(self._state, width)
        heights = curves.heights
        if heights is None or width < 20 or height < 5:
            return ""
        self._lay_out(curves, heights, width, height)
        return super().render()

    def _lay_out(self, curves: Curves, heights: tuple[float, float], width: int, height: int) -> None:
        plot = self.plt
        plot.clear_figure()
        for pairs, marker, colour in (
            (curves.raw, RAW, RAW_COLOUR),
            (curves.held_out, HELD_OUT, HELD_OUT_COLOUR),
        ):
            shown = [(x, y) for x, y in pairs if heights[0] <= y <= heights[1]]
            if shown:
                plot.scatter(*zip(*shown, strict=True), marker=marker, color=colour)
        if curves.smoothed:
            plot.plot(*zip(*curves.smoothed, strict=True), marker=SMOOTHED, color=SMOOTHED_COLOUR)
        if curves.best:
            plot.scatter(*zip(*curves.best, strict=True), marker=BEST, color=HELD_OUT_COLOUR)
        # The first validation comes before the first step.
        shown_steps = [step for pairs in (curves.raw, curves.held_out) for step, _ in pairs[:1] + pairs[-1:]]
        first, last = max(0, min(shown_steps) - 1), max(*shown_steps, self._state.steps_total or 0)
        plot.xlim(first, max(last, first + 2))
        plot.ylim(*heights)
        across = [x for x in ticks(first, last, max(2, width // 16)) if x == int(x)]
        plot.xticks(across, [f"{int(x):,}" for x in across])
        up = ticks(*heights, max(2, height // 4))
        plot.yticks(up, [loss_text(y) for y in up])
        plot.xaxes(True, False)
        plot.yaxes(True, False)
