"""One project's way through the steps: what its screens share."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.project import Project
    from tui.screens.step import StepScreen


@dataclass
class Journey:
    """What the screens of the steps share; each of them stays as it is until the journey ends."""

    project: "Project | None" = None
    """None until the first step has made it."""
    plain: bool = False
    """Draw pictures with characters only."""
    passed: set[str] = field(default_factory=set)
    """Ids of the steps that were left with Next."""
    behind: frozenset[str] = frozenset()
    """Ids of the steps that the project's files show to be done."""
    screens: "dict[str, StepScreen]" = field(default_factory=dict)
    """Screens shown so far, by the ids of their steps."""

    @property
    def title(self) -> str:
        """The project's name, harmless to show."""
        from trainer.text import printable

        return printable(self.project.name, 60) if self.project else "new project"

    def is_done(self, id_: str) -> bool:
        """Tell whether a step is done."""
        return id_ in self.passed or id_ in self.behind
