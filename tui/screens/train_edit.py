"""The fields that may be changed while a run goes on."""

from collections.abc import Mapping

from trainer.schedule import parse_rate_text
from trainer.text import printable
from tui.widgets.dialogs import Field

_ANY_STEPS = 10**9


def edit_fields(values: Mapping[str, str]) -> list[Field]:
    """Return the fields of the dialog, by the commands that carry them to the worker.

    Args:
        values: What holds now, by command.
    """
    return [
        Field(
            "set_learning_rate",
            "Learning rate",
            "A number such as 1e-5, or rates with the step where each ends: 5e-5:100, 5e-6.",
            printable(values["set_learning_rate"], 500),
            rate_problem,
        ),
        Field(
            "set_preview_prompt",
            "Preview prompt",
            "What the next previews show. Compare previews of one prompt only.",
            printable(values["set_preview_prompt"], 2000),
            prompt_problem,
        ),
    ]


def rate_problem(text: str) -> str:
    """Return what is wrong with a learning rate, and what to type; empty where nothing is."""
    try:
        parse_rate_text(text, _ANY_STEPS)
    except ValueError as error:
        return f"{printable(error, 120)}. Type a number such as 1e-5, or 5e-5:100, 5e-6."
    return ""


def prompt_problem(text: str) -> str:
    """Return nothing: any text is a prompt."""
    return ""
