"""The fields that may be changed while a run goes on."""

from collections.abc import Callable, Mapping

from trainer.run.state import RunState
from trainer.schedule import ANY_STEPS, parse_learning_rate, rate_warnings
from trainer.text import printable, rate_text
from tui.widgets.dialogs import Field


def edit_fields(values: Mapping[str, str], size: int, state: Callable[[], RunState], falls: bool) -> list[Field]:
    """Return the fields of the dialog, by the commands that carry them to the worker.

    Args:
        values: What holds now, by command.
        size: Of the run's pictures, in pixels.
        state: Gives the run as it is at that moment, as it goes on behind the dialog.
        falls: Whether the rate follows a curve, which another rate ends.
    """

    def problem(text: str) -> str:
        return rate_problem(text, state().step)

    def remark(text: str) -> str:
        now = state()
        if rate_problem(text, now.step):
            return ""
        doubts = rate_warnings(text, now.steps_total or ANY_STEPS, size, now.step)
        if falls and text != values["set_learning_rate"] and now.learning_rate is not None:
            doubts.append(
                f"The rate falls along a curve, now {rate_text(now.learning_rate)}; what is typed holds as it is."
            )
        return "\n".join(f"! {doubt}" for doubt in doubts)

    return [
        Field(
            "set_learning_rate",
            "Learning rate",
            "A number such as 1e-5, or rates with the step where each ends: 5e-5:100, 5e-6.",
            printable(values["set_learning_rate"], 500),
            problem,
            remark,
        ),
        Field(
            "set_preview_prompt",
            "Preview prompt",
            "What the next previews show. Compare previews of one prompt only.",
            printable(values["set_preview_prompt"], 2000),
            prompt_problem,
        ),
    ]


def rate_problem(text: str, first_step: int = 0) -> str:
    """Return what is wrong with a learning rate from a step on, and what to type; empty where nothing is."""
    try:
        parse_learning_rate(text, first_step=first_step)
    except ValueError as error:
        return f"{printable(error, 120)}. Type a number such as 1e-5, or 5e-5:100, 5e-6."
    return ""


def prompt_problem(text: str) -> str:
    """Return nothing: any text is a prompt."""
    return ""
