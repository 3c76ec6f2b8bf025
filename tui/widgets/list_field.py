"""A list as a field of a form: one row is chosen; arrows leave it at its ends."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import OptionList

from tui.widgets.fields import Accepted, leave
from tui.widgets.rows import RowList


class ListField(RowList, inherit_bindings=False):
    """Rows of which one is the answer; Enter accepts it.

    Args:
        help_text: What the choice is about.
        id: The widget's id.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "step(1)", show=False),
        Binding("up,k", "step(-1)", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("enter", "accept", show=False),
    ]

    def __init__(self, help_text: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.help_text = help_text
        self.is_moved = False
        """Whether the user has moved to another row."""

    @property
    def row_width(self) -> int:
        """Cells that a row's text may take."""
        return max(10, super().row_width - 4)

    def action_step(self, by: int) -> None:
        """Choose the next row, or leave the list at its end."""
        places = [place for place, row in enumerate(self._rows) if row.id]
        if not places or self.highlighted == places[-1 if by > 0 else 0]:
            leave(self, by)
            return
        self.is_moved = True
        if by > 0:
            self.action_cursor_down()
        else:
            self.action_cursor_up()

    def action_accept(self) -> None:
        """Go on."""
        self.post_message(Accepted())

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Keep a click within the form."""
        event.stop()
