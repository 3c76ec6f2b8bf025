"""Loss over steps as a plot; a long run is thinned to twice the width before it is drawn.

Training loss is measured on the left axis; what was validated is a share of what it was before training, on the right.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from trainer.run.facts import StepPoint, Validation
from trainer.run.state import RunState
from trainer.verdict import Verdict
from tui.plot import Axis, Layer, Row, draw_plot
from tui.words import loss_text, wrapped

RAW, VALIDATED, BEST = "·", "x", "B"
RAW_COLOUR, SMOOTHED_COLOUR, VALIDATED_COLOUR = 240, 110, 179
"""Numbers of the 256-colour palette."""
BEFORE = (
    "The loss is drawn here from the first step on. Before that the run loads the base model, turns pictures and "
    "captions into what it trains on, and looks at what the model draws without the network."
)
_RANGE_SHARE = 0.9
"""The share of raw losses that sets the height; single far ones would flatten the rest."""


@dataclass(frozen=True)
class Curves:
    """What is drawn: pairs of steps and losses."""

    raw: tuple[tuple[int, float], ...]
    smoothed: tuple[tuple[int, float], ...]
    validated: tuple[tuple[int, float], ...]
    best_step: int | None = None
    """The validated step that the verdict calls best."""

    @property
    def best(self) -> tuple[tuple[int, float], ...]:
        """The best validation; nothing where none is."""
        return tuple(pair for pair in self.validated if pair[0] == self.best_step)

    @property
    def heights(self) -> tuple[float, float] | None:
        """The lowest and highest training loss that are drawn; None without any."""
        raw = sorted(loss for _, loss in self.raw)
        cut = int(len(raw) * (1 - _RANGE_SHARE) / 2)
        return _span([*raw[cut : len(raw) - cut], *(loss for _, loss in self.smoothed)])

    @property
    def validated_heights(self) -> tuple[float, float] | None:
        """The lowest and highest of what was validated; None without any."""
        return _span([share for _, share in self.validated])


def _span(shown: Sequence[float]) -> tuple[float, float] | None:
    if not shown:
        return None
    low, high = min(shown), max(shown)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - margin, high + margin


def thin(points: Sequence[StepPoint], count: int) -> list[StepPoint]:
    """Return at most `count` points, evenly spread from the first on, and at least half as many where there are.

    The same ones are chosen again and again while a run goes on, so that its plot changes little and seldom.
    """
    stride = 1
    while (len(points) - 1) // stride >= count:
        stride *= 2
    return list(points[::stride])


def curves_of(state: RunState, width: int, best_step: int | None = None) -> Curves:
    """Return what to draw of a run in `width` cells."""
    points = thin(state.points, max(2, 2 * width))
    validations: list[Validation] = state.validations[-4 * width :] if width else []
    return Curves(
        _finite((point.step, point.loss) for point in points),
        _finite((point.step, point.smoothed_loss) for point in points),
        _finite((v.step, v.judged) for v in validations if v.judged is not None),
        best_step,
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


class LossCurve(Widget):
    """Raw and smoothed training loss as dots and a line, validations as crosses, the best of them as B."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state = RunState()
        self._best_step: int | None = None
        self._rows: list[Row] = []
        self._rows_size = Size()
        self._rows_show: object = None
        """What the rows were drawn from."""

    def show(self, state: RunState, verdict: Verdict | None) -> None:
        """Draw another state; only rows that look different are painted and sent to the terminal."""
        self._state, self._best_step = state, verdict.best_step if verdict else None
        before = self._rows
        self._draw()
        changed = [y for y, (old, new) in enumerate(zip(before, self._rows, strict=False)) if old != new]
        if len(before) != len(self._rows):
            self.refresh()
        elif changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        """Return one row."""
        if self._rows_size != self.size:
            self._draw()
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        text, colours = self._rows[y]
        segments, begin = [], 0
        for colour, run in itertools.groupby(colours):
            end = begin + len(list(run))
            style = self.rich_style + Style(color=Color.from_ansi(colour)) if colour else self.rich_style
            segments.append(Segment(text[begin:end], style))
            begin = end
        return Strip(segments, len(text))

    def _draw(self) -> None:
        shown = curves_of(self._state, self.size.width, self._best_step), self._state.steps_total, self._state.ended
        if (shown, self.size) != (self._rows_show, self._rows_size):
            self._rows_show, self._rows_size = shown, self.size
            self._rows = plot_of(*shown, *self.size)


def plot_of(curves: Curves, steps_total: int | None, ended: bool, width: int, height: int) -> list[Row]:
    """Return the plot of a run; what comes before it while there is nothing to show, no rows without room for it."""
    heights, shares = curves.heights, curves.validated_heights
    if width < 20 or height < 5:
        return []
    if heights is None and shares is None:
        lines = [] if ended else wrapped(BEFORE, width, 0)
        return [(line.ljust(width), bytes([RAW_COLOUR]) * width) for line in lines]

    # The first validation comes before the first step.
    steps = [step for pairs in (curves.raw, curves.validated) for step, _ in pairs[:1] + pairs[-1:]]
    first, last = max(0, min(steps) - 1), max(*steps, steps_total or 0)
    last = max(last, first + 2)
    across = [(x, f"{int(x):,}") for x in ticks(first, last, max(2, width // 16)) if x == int(x)]
    left = _upright(heights, height, loss_text)
    right = replace(_upright(shares, height, lambda share: f"{100 * share:.6g}%"), colour=VALIDATED_COLOUR)
    layers = [
        Layer([(x, y) for x, y in curves.raw if left.low <= y <= left.high], left, RAW_COLOUR, RAW),
        Layer(curves.smoothed, left, SMOOTHED_COLOUR),
        Layer(curves.validated, right, VALIDATED_COLOUR, VALIDATED),
        Layer(curves.best, right, VALIDATED_COLOUR, BEST),
    ]
    return draw_plot(layers, Axis(first, last, tuple(across)), left, right, width, height)


def _upright(heights: tuple[float, float] | None, height: int, text: Callable[[float], str]) -> Axis:
    """Return an axis of y; one without labels where nothing is measured on it."""
    if heights is None:
        return Axis(0.0, 1.0, ())
    return Axis(*heights, tuple((y, text(y)) for y in ticks(*heights, max(2, height // 4))))
