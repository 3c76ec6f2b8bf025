"""What the Grid screen shows of a grid, and what it asks for, as text."""

from collections.abc import Sequence

from trainer.grids import MOST_CHECKPOINTS, DrawnGrid
from trainer.text import printable
from tui.widgets.dialogs import Field
from tui.words import fit

STRENGTHS = "0 0.4 0.7 1"
MOST_STRENGTHS = 12
_STRENGTH = "strength "
_STEP = "step "
_BOUND = 10


def axis_text(title: str, labels: Sequence[str], chosen: int, width: int) -> str:
    """Return a line of labels with the chosen one marked, cut to a window around it where there are many.

    Args:
        title: What the labels are.
        labels: All of them, in order.
        chosen: Place of the one shown.
        width: Cells of the line.
    """
    lead = f"{title:<10}"
    words = [f"▸ {label}" if place == chosen else f"  {label}" for place, label in enumerate(labels)]
    first, last = chosen, chosen + 1
    while True:
        wider = [(a, b) for a, b in ((first, last + 1), (first - 1, last)) if a >= 0 and b <= len(words)]
        fitting = [(a, b) for a, b in wider if len(lead) + len("  ".join(words[a:b])) <= width - 4]
        if not fitting:
            break
        first, last = min(fitting, key=lambda window: abs(window[0] + window[1] - 1 - 2 * chosen))
    before, after = "… " if first else "", " …" if last < len(words) else ""
    return fit(f"{lead}{before}{'  '.join(words[first:last])}{after}", width).rstrip()


def short_labels(labels: Sequence[str]) -> tuple[str, list[str]]:
    """Return what a row's or column's labels have in common, and the rest of each, harmless to show."""
    for word in (_STRENGTH, _STEP, "seed "):
        if labels and all(label.startswith(word) for label in labels):
            return word.strip(), [label.removeprefix(word) for label in labels]
    return "prompt", [printable(label, 40) for label in labels]


def step_of(grid: DrawnGrid, row: int) -> int | None:
    """Return the step of a row; None where rows are something else."""
    digits = grid.rows[row].removeprefix(_STEP).replace(",", "")
    return int(digits) if grid.kind == "step" and digits.isdecimal() else None


def strength_of(grid: DrawnGrid, column: int) -> float:
    """Return the strength of a column."""
    return float(grid.columns[column].removeprefix(_STRENGTH))


def head_text(name: str, grid: DrawnGrid | None, width: int) -> str:
    """Return the first line: whose grid it is and how much of it is drawn."""
    title = f"{printable(name, 40)}   grid"
    if grid is not None:
        total = len(grid.rows) * len(grid.columns)
        title += f" of {len(grid.rows)} × {len(grid.columns)} pictures"
        title += "" if len(grid.pictures) >= total else f", {len(grid.pictures)} drawn"
    return fit(title, width).rstrip()


def grid_fields(steps: Sequence[int], prompt: str) -> list[Field]:
    """Return the fields of "a new grid".

    Args:
        steps: Those that have a checkpoint.
        prompt: The preview's, to begin with.
    """
    known = ", ".join(map(str, steps[-12:]))

    def steps_problem(text: str) -> str:
        missing = [word for word in _words(text) if not (word.isdecimal() and int(word) in steps)]
        return f"There is no checkpoint of {printable(missing[0], 20)}. Type some of {known}." if missing else ""

    return [
        Field("steps", "Steps", f"Empty takes up to {MOST_CHECKPOINTS}, evenly spread, of {known}.", "", steps_problem),
        Field(
            "strengths",
            "Strengths",
            "0 is the model without the network, for comparison.",
            STRENGTHS,
            strengths_problem,
        ),
        Field(
            "prompt",
            "Prompt",
            "The same prompt and seed for all, so that only step and strength differ. Each picture takes as long as a "
            "preview.",
            printable(prompt, 2000),
            lambda text: "" if text.strip() else "Type what to draw.",
        ),
    ]


def strengths_problem(text: str) -> str:
    """Return what is wrong with a list of strengths; empty where nothing is."""
    words = _words(text)
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    is_good = 0 < len(values) <= MOST_STRENGTHS and all(-_BOUND <= value <= _BOUND for value in values)
    return "" if is_good else f"Type up to {MOST_STRENGTHS} numbers with spaces between them, e.g. {STRENGTHS}."


def grid_request(run: str, wanted: dict[str, str]) -> dict[str, object]:
    """Return the job's request from what was typed."""
    return {
        "run": run,
        "checkpoints": [int(word) for word in _words(wanted["steps"])],
        "strengths": sorted({float(word) for word in _words(wanted["strengths"])}),
        "prompts": [wanted["prompt"].strip()],
    }


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
