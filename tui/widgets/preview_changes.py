"""What a change of many captions would do, to be agreed to."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.widgets.dialogs import Confirm


class PreviewChanges(Confirm):
    """Lines to read with yes and no; no, which changes nothing, has the focus.

    Args:
        title: What would be done.
        lines: What would change; harmless to show.
        yes: What the button says that does it.
    """

    BOX_CLASSES = "dialog preview"

    def __init__(self, title: str, lines: Sequence[str], yes: str) -> None:
        super().__init__(title, "\n".join(lines), yes)

    def compose_text(self) -> ComposeResult:
        """Show the lines, which may be many."""
        with VerticalScroll(classes="lines"):
            yield Static(Content(self._text))
