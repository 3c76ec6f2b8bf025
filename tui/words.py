"""Numbers and standings as people read them."""

import math
import textwrap
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from trainer.run.facts import StepPoint
from trainer.run.state import RunState
from trainer.run.status import Status
from trainer.text import duration_text

EIGHTHS = " ▏▎▍▌▋▊▉"
LOOK_BACK_STEPS = 50
"""How far back the loss is compared: about what the smoothed loss averages over."""
LEVEL = 0.01
"""A smaller relative change counts as none."""


def status_word(status: Status) -> str:
    """Return a standing in words, e.g. "needs you"."""
    return str(status).replace("-", " ")


def step_text(state: RunState) -> str:
    """Return how far a run is: "step 1,240 / 2,000"."""
    return f"step {state.step:,} / {state.steps_total:,}" if state.steps_total else f"step {state.step:,}"


def left_text(state: RunState) -> str:
    """Return the time to go: "00:11:32 left"; empty when it can't be told."""
    return "" if state.ended or state.eta_s is None else f"{duration_text(state.eta_s)} left"


def loss_text(value: float | None) -> str:
    """Return a loss with three significant digits, or "n/a"."""
    if value is None:
        return "n/a"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.3f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"


def direction(points: Sequence[StepPoint]) -> str:
    """Return where the smoothed loss goes: "falling", "rising" or "level"; empty with too few steps."""
    if len(points) < LOOK_BACK_STEPS // 5:
        return ""
    now, before = points[-1].smoothed_loss, points[max(0, len(points) - LOOK_BACK_STEPS)].smoothed_loss
    if not (math.isfinite(now) and math.isfinite(before)) or before == 0:
        return ""
    change = now / before - 1
    return "level" if abs(change) < LEVEL else "falling" if change < 0 else "rising"


ARROWS = {"falling": "↓", "rising": "↑", "level": "→", "": ""}


def age_text(seconds: float) -> str:
    """Return an age roughly: "just now", "5 minutes ago", "3 days ago"."""
    for unit, unit_s in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = int(seconds // unit_s)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def counted(count: int, thing: str) -> str:
    """Return "1 picture", "12 pictures"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def bar(share: float, width: int) -> str:
    """Return a bar of `width` cells, filled by `share` (0 to 1) in eighths."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    partly = EIGHTHS[rest] if rest else ""
    return ("█" * full + partly).ljust(width, "░")


def fit(text: str, width: int) -> str:
    """Return `text` cut or filled to exactly `width` cells; a cut is marked by "…"."""
    if cell_len(text) > width and width > 0:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, max(0, width))


def wrapped(text: str, width: int, indent: int = 2) -> list[str]:
    """Return a text in lines; further ones are set in."""
    return textwrap.wrap(text, max(20, width), subsequent_indent=" " * indent, drop_whitespace=True) or [""]


def table(rows: Sequence[Sequence[str]], width: int, least_first: int = 8) -> list[str]:
    """Return rows of cells as aligned lines of at most `width` cells; the first column gives way first.

    Args:
        rows: Cells, as many in each row.
        width: Room for a line.
        least_first: What the first column keeps in any case.
    """
    if not rows:
        return []
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    others = sum(width + 2 for width in widths[1:] if width)
    widths[0] = min(widths[0], max(least_first, width - others))
    lines = ["  ".join(fit(cell, w) for cell, w in zip(row, widths, strict=True) if w).rstrip() for row in rows]
    return [fit(line, width).rstrip() for line in lines]
