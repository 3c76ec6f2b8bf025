"""What threads tell screens, and screens the app; screens know neither it nor each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from trainer.project import Project
    from trainer.run.folder import RunFolder
    from tui.feed import RunFeed


class Renewed(Message):
    """Fresh data lie where the screen keeps them; only the newest such message counts, so it carries none."""

    def can_replace(self, message: Message) -> bool:
        """Let a later message stand for this one."""
        return isinstance(message, Renewed)


@dataclass
class RunChosen(Message):
    """The user wants to see a run."""

    folder: "RunFolder"


@dataclass
class ResultsWanted(Message):
    """The user wants to see what came of a run."""

    folder: "RunFolder"


@dataclass
class LogWanted(Message):
    """The user wants to read the whole log of a run."""

    feed: "RunFeed"


@dataclass
class QuestionOpen(Message):
    """A run asks something that the user should see."""

    feed: "RunFeed"


@dataclass
class StartTold(Message):
    """Something that is being started has a line of progress."""

    text: str


@dataclass
class Started(Message):
    """A run's worker was started."""

    folder: "RunFolder"


@dataclass
class QuestionReady(Message):
    """What the user should agree to before a project is trained."""

    root: Path
    name: str
    text: str


@dataclass
class CommandSent(Message):
    """A command lies where the worker looks between steps."""

    id: str
    command: str


@dataclass
class GridWanted(Message):
    """The user wants to see the same prompt at several steps and strengths."""

    feed: "RunFeed"


@dataclass
class CellTaken(Message):
    """A picture of a grid was taken as the best."""

    step: int | None
    """None where the grid isn't one of steps."""
    strength: float


@dataclass
class JourneyWanted(Message):
    """The user wants to walk through the steps of a project, or of a new one."""

    project: "Project | None"
    step: str
    """Id of the step to begin with."""


@dataclass
class StepWanted(Message):
    """The user goes on or back to another step."""

    id: str


class StepsLeft(Message):
    """The user went back from the first step."""
