"""Plain text that is laid out anew only when it changes."""

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
            self._text = text
            self.display = bool(text) or self._keeps_place
            self.update(Content(text))
