"""The ordered steps from a folder of pictures to a running training, and which of them a project has behind it."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.project import Project
    from tui.screens.step import StepScreen

TRAIN = "train"
"""The last step: following the run, which a screen of its own does."""


@dataclass(frozen=True)
class Step:
    """One step of the wizard."""

    id: str
    title: str
    screen: str
    """Name of its screen's class, in the module tui.screens.ID."""

    @property
    def module(self) -> str:
        """The module of its screen."""
        return f"tui.screens.{self.id}"


STEPS = (
    Step("folders", "Folders", "FoldersScreen"),
    Step("crop", "Crop", "CropScreen"),
    Step("caption", "Caption", "CaptionScreen"),
    Step("settings", "Settings", "SettingsScreen"),
    Step("review", "Review", "ReviewScreen"),
    Step(TRAIN, "Train", "TrainScreen"),
)
"""All steps, in order."""


@cache
def present_steps() -> tuple[Step, ...]:
    """Return the steps whose screens are part of this program; none is imported."""
    return tuple(step for step in STEPS if find_spec(step.module) is not None)


def step_after(id_: str, by: int = 1) -> Step | None:
    """Return the step that comes `by` places after another (before it with a negative number), if there is one."""
    steps = present_steps()
    place = [step.id for step in steps].index(id_) + by
    return steps[place] if 0 <= place < len(steps) else None


def screen_class(step: Step) -> type["StepScreen"]:
    """Import a step's screen."""
    made: type[StepScreen] = getattr(importlib.import_module(step.module), step.screen)
    return made


def steps_behind(project: "Project | None") -> frozenset[str]:
    """Return the ids of the steps that a project's files show to be done; looks at the disk.

    Raises:
        AppError: the project's settings are unusable.
    """
    if project is None:
        return frozenset()
    from trainer.run.folder import find_runs
    from trainer.run.status import Status, glance
    from tui.overview import count_files

    counts = count_files(project)
    done: Mapping[str, bool] = {
        "folders": bool(project.config.pictures and project.settings().model.path),
        "crop": counts.crops > 0,
        "caption": 0 < counts.crops == counts.captioned,
    }
    behind = {id_ for id_, is_done in done.items() if is_done}
    runs = find_runs(project.root)
    if runs:
        behind |= {step.id for step in STEPS if step.id != TRAIN}
    if runs and glance(runs[0]).status is Status.FINISHED:
        behind.add(TRAIN)
    return frozenset(behind)


def step_to_go_on(project: "Project") -> str:
    """Return the id of the step at which a project waits for its user.

    Raises:
        AppError: the project's settings are unusable.
    """
    behind, ids = steps_behind(project), [step.id for step in present_steps() if step.id != TRAIN]
    left_at = project.config.step
    waiting = next((id_ for id_ in ids if id_ not in behind), ids[-1])
    is_further = left_at in ids and ids.index(left_at) > ids.index(waiting)
    needs_more = waiting in ("folders", "crop", "caption")
    return left_at if is_further and not needs_more else waiting
