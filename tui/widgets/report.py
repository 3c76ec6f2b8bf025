"""A page of plain text on top of a screen."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.keys import bindings
from tui.widgets.dialogs import Dialog

_MOST_LINES = 1000


class Report(Dialog[None]):
    """Lines to read; arrows scroll, Esc or Enter closes.

    Args:
        title: What it is.
        lines: Harmless to show.
    """

    BINDINGS = bindings("dialog.close")

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        """Show title and lines."""
        shown = list(self._lines[:_MOST_LINES])
        if len(self._lines) > _MOST_LINES:
            shown.append(f"… and {len(self._lines) - _MOST_LINES:,} more lines")
        with VerticalScroll(classes="dialog"):
            yield Static(Content(self._title), classes="title")
            yield Static(Content("\n".join(shown)))
            yield Static(Content("Arrows scroll, Esc closes."), classes="hint")

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        """Close."""
        self.dismiss()
