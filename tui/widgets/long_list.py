"""A list of any length: only the lines in sight are made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.rows import MARK
from tui.words import fit

Draw = Callable[[int, int], tuple[str, str]]
"""From a place and a width in cells to the line's text and its tone: "", "warning", "bad" or "muted"."""
_CHOSEN = "long-list--chosen"


class LongList(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines of plain text of which one is chosen, marked by a sign as well as by its style.

    Enter is left to the screen.
    """

    @dataclass
    class Moved(Message):
        """Another line was chosen by the user."""

        place: int

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        _CHOSEN, "long-list--warning", "long-list--bad", "long-list--muted",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown", "move_page(1)", show=False),
        Binding("pageup", "move_page(-1)", show=False),
        Binding("home", "move_to(0)", show=False),
        Binding("end", "move_to(-1)", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._count = 0
        self._draw: Draw = lambda place, width: ("", "")
        self._chosen = 0

    @property
    def chosen(self) -> int | None:
        """The place of the chosen line; None in an empty list."""
        return self._chosen if self._count else None

    def show_lines(self, count: int, draw: Draw, chosen: int | None = None) -> None:
        """Show other lines.

        Args:
            count: How many there are.
            draw: Makes one; called for those in sight only.
            chosen: The line to be chosen; the same place as before when left out.
        """
        self._count, self._draw = count, draw
        place = self._chosen if chosen is None else chosen
        self._chosen = min(max(0, place), max(0, count - 1))
        self.virtual_size = Size(1, count)
        self._keep_in_sight()
        self.refresh()

    def choose(self, place: int) -> None:
        """Choose a line and tell of it."""
        place = min(max(0, place), max(0, self._count - 1))
        if place != self._chosen and self._count:
            self._chosen = place
            self._keep_in_sight()
            self.refresh()
            self.post_message(self.Moved(place))

    def action_move(self, by: int) -> None:
        """Go up or down."""
        self.choose(self._chosen + by)

    def action_move_page(self, by: int) -> None:
        """Go up or down by what is in sight."""
        self.choose(self._chosen + by * max(1, self.size.height - 1))

    def action_move_to(self, place: int) -> None:
        """Go to the first line, or with -1 to the last."""
        self.choose(self._count - 1 if place < 0 else place)

    def on_click(self, event: events.Click) -> None:
        """Choose the line that was clicked."""
        self.choose(self.scroll_offset.y + event.y)

    def on_resize(self) -> None:
        """Keep the chosen line in sight."""
        self.call_after_refresh(self._keep_in_sight)

    def on_focus(self) -> None:
        """Draw the chosen line as what the keys move."""
        self.refresh()

    on_blur = on_focus

    def _keep_in_sight(self) -> None:
        self.scroll_to_region(Region(0, self._chosen, 1, 1), animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        """Return one line of the widget."""
        place, width = self.scroll_offset.y + y, self.scrollable_content_region.width
        if place >= self._count:
            return Strip.blank(width, self.rich_style)
        is_chosen = place == self._chosen
        mark = MARK if is_chosen else " " * len(MARK)
        text, tone = self._draw(place, max(0, width - len(mark)))
        style = self.rich_style
        if tone:
            style += self.get_component_rich_style(f"long-list--{tone}", partial=True)
        if is_chosen:
            style += self.get_component_rich_style(_CHOSEN, partial=True)
        return Strip([Segment(fit(mark + text, width), style)], width)
