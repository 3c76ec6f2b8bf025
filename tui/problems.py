"""Bugs: the traceback goes to a file, the user sees a short word with its path."""

import logging
import traceback
from pathlib import Path

from trainer.errors import AppError
from trainer.text import printable
from tui.paths import state_file


def log_path() -> Path:
    """Return where the wizard writes tracebacks."""
    return state_file("wizard.log")


def reported(error: BaseException) -> AppError:
    """Write an unexpected error's traceback to the log and return what to show."""
    path = log_path()
    text = "".join(traceback.format_exception(error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as problem:
        logging.getLogger(__name__).warning("%s could not be written: %s", path, problem)
        return AppError("A bug in the wizard", printable(error), "Runs go on unharmed.")
    return AppError(
        "A bug in the wizard",
        f"{type(error).__name__}: {printable(error)}.",
        f"Runs go on unharmed. The traceback is in {printable(path)}.",
    )
