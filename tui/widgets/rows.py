"""A list of one-line rows under headings, which keeps its place while what it shows changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

MARK = "▸ "
MARGIN = 1
"""Cells left and right of the list, as in the style sheets."""
SCROLLBAR = 2


@dataclass(frozen=True)
class Row:
    """One line."""

    id: str
    """Empty for headings and blank lines, which can't be chosen."""
    text: str
    style: str = ""


class RowList(OptionList, inherit_bindings=False):
    """Rows of text as it is, without markup; the chosen one is marked by a sign as well as by its style.

    Enter is left to the screen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", show=False),
        Binding("up,k", "cursor_up", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._rows: Sequence[Row] = ()

    @property
    def row_width(self) -> int:
        """Cells that a row's text may take."""
        # Not from the list's own width: it has none while there is nothing to list.
        return max(10, self.screen.size.width - 2 * MARGIN - len(MARK) - SCROLLBAR)

    @property
    def chosen(self) -> str | None:
        """Id of the chosen row."""
        return self._rows[self.highlighted].id if self.highlighted is not None else None

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show other rows; the chosen one stays chosen where it still exists."""
        chosen = self.chosen
        if [row.id for row in rows] != [row.id for row in self._rows]:
            self._rows = tuple(rows)
            self.clear_options()
            self.add_options([Option(self._content(row, False), disabled=not row.id) for row in rows])
            places = [place for place, row in enumerate(rows) if row.id]
            first = places[0] if places else None
            self.highlighted = next((place for place in places if rows[place].id == chosen), first)
            return
        before, self._rows = self._rows, tuple(rows)
        for place, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new:
                self.replace_option_prompt_at_index(place, self._content(new, place == self.highlighted))

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Move the mark."""
        for place, row in enumerate(self._rows[: self.option_count]):
            if row.id:
                self.replace_option_prompt_at_index(place, self._content(row, place == highlighted))
        super().watch_highlighted(highlighted)

    @staticmethod
    def _content(row: Row, chosen: bool) -> Content:
        mark = MARK if chosen else " " * len(MARK) if row.id else ""
        return Content.styled(f"{mark}{row.text}", row.style)

    def on_focus(self, event: events.Focus) -> None:
        """Choose the first row when none is."""
        if self.highlighted is None:
            self.action_first()
