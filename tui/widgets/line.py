"""Plain text that is laid out anew only when it changes."""

from rich.cells import cell_len
from textual.content import Content
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
        lines, new_lines = before.splitlines(), text.splitlines()
        return len(lines) == len(new_lines) and all(cell_len(line) <= width for line in [*lines, *new_lines])
