"""A heading that shows or hides what stands below it."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.widgets.fields import MOVES, leave


class Fold(Static, can_focus=True):
    """A line with a mark that tells whether its part is open.

    Args:
        key: What it is told apart by.
        title: What it says.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *MOVES,
        Binding("enter,space", "fold", show=False),
        Binding("right", "fold(True)", show=False),
        Binding("left", "fold(False)", show=False),
    ]

    class Toggled(Message):
        """It was opened or closed."""

        def __init__(self, fold: "Fold") -> None:
            super().__init__()
            self.fold = fold

    def __init__(self, key: str, title: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.key, self._title = key, title
        self.is_open = False

    def on_click(self) -> None:
        """Open or close."""
        self.action_fold()

    def action_fold(self, opens: bool | None = None) -> None:
        """Open or close."""
        wanted = not self.is_open if opens is None else opens
        if wanted != self.is_open:
            self.is_open = wanted
            self.refresh()
            self.post_message(self.Toggled(self))

    def action_leave(self, by: int) -> None:
        """Go to the field above or below."""
        leave(self, by)

    def render(self) -> Content:
        """Draw the mark and the heading."""
        return Content(f"{'▾' if self.is_open else '▸'} {self._title}")
