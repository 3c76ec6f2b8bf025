"""Starting what outlives the wizard; each function blocks and belongs into a thread."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import AppError
from trainer.run.folder import RunFolder

if TYPE_CHECKING:
    from trainer.project import Project

_SLICE_S = 0.4
"""A thread holds the wizard's end up, so it waits in slices."""


def prepare_demo(say: Callable[[str], None]) -> "Project":
    """Prepare the demo project: its pictures are cropped and captioned afterwards.

    Raises:
        AppError: it can't be prepared.
    """
    from trainer.demo.job import prepare_demo

    return prepare_demo(say)


def start_training(root: Path) -> RunFolder:
    """Start training a project with its settings.

    Raises:
        AppError: it can't be started.
    """
    from trainer.project import open_project
    from trainer.start import start_run

    project = open_project(root)
    # Somebody watches here: a fault may ask. What the project says of it stands.
    asks = {} if "on_oom" in project.config.settings.get("recovery", {}) else {"recovery": {"on_oom": "ask"}}
    return start_run(project, project.settings(asks))


def training_question(root: Path) -> str:
    """Return what is about to be trained, in plain words, with what to beware of.

    Raises:
        AppError: the project's settings are unusable.
    """
    from trainer.project import open_project
    from trainer.run.launch import logout_warning

    project = open_project(root)
    config = project.settings()
    facts = (
        f"{config.training.steps:,} steps of {config.training.batch_size} pictures at {config.data.size} px, "
        f"learning rate {config.optimizer.learning_rate}, a checkpoint every {config.save.every} steps."
    )
    return "\n".join([facts, *filter(None, [*config.warnings(), logout_warning()])])


def is_pinned(folder: RunFolder) -> bool:
    """Tell whether a run may not take another rung by itself."""
    from trainer.recovery.changes import effective_config

    try:
        return effective_config(folder).memory.rung == "pinned"
    except (AppError, OSError):  # said when it is started
        return False


def resume(folder: RunFolder, *, unpinned: bool = False) -> RunFolder:
    """Start a worker on a run that ended before its last step, one that may take another rung if `unpinned`.

    Raises:
        AppError: it can't be started.
    """
    from trainer.recovery.changes import change_by_user
    from trainer.run.launch import start_worker

    if unpinned:
        change_by_user(folder, ["memory.rung=auto"])
    start_worker(folder)
    return folder


def watch_start(folder: RunFolder, cancelled: Callable[[], bool]) -> None:
    """Wait until the worker just started has begun, or told by an event why it can't.

    Raises:
        AppError: it ended without a word.
    """
    from trainer.run.launch import wait_for_start

    while not cancelled():
        try:
            wait_for_start(folder, _SLICE_S)
        except AppError as error:
            if error.title == "Worker silent":
                continue
            raise
        return
