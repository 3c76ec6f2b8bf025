"""Plain text that is laid out anew only when it changes."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.widgets import Static


class Line(Static):
    """Text without markup; hidden while there is none.

    Args:
        id: The widget's id.
        keeps_place: Stay on the screen without text.
    """

    def __init__(self, *, id: str | None = None, keeps_place: bool = False) -> None:
        super().__init__(id=id)
        self._keeps_place = keeps_place
        self._text = ""
        self.display = keeps_place

    def say(self, text: str) -> None:
        """Show another text."""
        if text != self._text:
            before, self._text = self._text, text
            self.display = bool(text) or self._keeps_place
            self.update(Content(text), layout=not self._keeps_height(before, text))

    def _keeps_height(self, before: str, text: str) -> bool:
        """Tell whether the text takes as many rows as before: to lay out and paint a whole screen takes long."""
        height, width = self.styles.height, self.content_size.width
        if height is not None and not height.is_auto:
            return True
        lines, new_lines = before.split("\n"), text.split("\n")
        return len(lines) == len(new_lines) and _fits(lines, width) and _fits(new_lines, width)

    def render_line(self, y: int) -> Strip:
        """Return one row; one that is as it was said takes a tenth of the time of one that is wrapped or centred."""
        lines = self._text.split("\n")
        if y >= len(lines) or self.styles.text_align not in ("left", "start") or not _fits(lines, self.size.width):
            return super().render_line(y)
        return Strip([Segment(lines[y], self.visual_style.rich_style)])


def _fits(lines: Sequence[str], width: int) -> bool:
    return all(cell_len(line) <= width for line in lines)
