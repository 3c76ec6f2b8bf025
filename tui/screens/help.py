"""Help: what the screen below is for, and every key that it has."""

import textwrap
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.keys import bindings, keymap_path
from tui.paths import short_path
from tui.widgets.dialogs import Dialog

LINE = 64
"""Cells of a line; the dialog has as much room at 80 columns."""
GENERAL = """\
Tab, Shift+Tab and arrows move; in lists also j and k, Home and End.
Within a project 1 to 9 jump to a step where nothing is typed.
Esc closes the topmost thing, else goes back; it never stops a run.
Other keys: lines such as "train.pause" = "f5" in the file
"""


class HelpScreen(Dialog[None]):
    """A screen's purpose and keys.

    Args:
        purpose: What the screen is for.
        keys: For each action its keys, its name and what it does.
    """

    BINDINGS = bindings("dialog.close")

    def __init__(self, purpose: str, keys: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self._purpose, self._keys = purpose, keys

    def compose(self) -> ComposeResult:
        """Show purpose, keys and what holds everywhere."""
        width = max((len(keys) for keys, _, _ in self._keys), default=0)
        indent = " " * (width + 2)
        lines = [
            textwrap.fill(f"{keys:<{width}}  {name}: {text}", LINE, subsequent_indent=indent)
            for keys, name, text in self._keys
        ]
        with VerticalScroll(classes="dialog"):
            yield Static(Content("Help"), classes="title")
            yield Static(Content(self._purpose))
            for line in lines:
                yield Static(Content(line), classes="label")
            yield Static(Content(f"\n{GENERAL}{short_path(keymap_path())}"))
            yield Static(Content("Esc closes this."), classes="hint")

    def on_mount(self) -> None:
        """Let arrows scroll."""
        self.query_one(VerticalScroll).focus()

    async def action_help(self) -> None:
        """Close: there is no help on the help."""
        self.action_close()

    def action_close(self) -> None:
        """Close."""
        self.dismiss()
