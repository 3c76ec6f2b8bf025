"""What a change of many captions would do, to be agreed to."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.keys import bindings


class PreviewChanges(ModalScreen[bool]):
    """Lines to read with yes and no; no, which changes nothing, has the focus.

    Args:
        title: What would be done.
        lines: What would change; harmless to show.
        yes: What the button says that does it.
    """

    BINDINGS = bindings("dialog.yes", "dialog.no")

    def __init__(self, title: str, lines: Sequence[str], yes: str) -> None:
        super().__init__()
        self._title, self._lines, self._yes = title, lines, yes

    def compose(self) -> ComposeResult:
        """Show lines and buttons."""
        with VerticalScroll(classes="dialog preview") as box:
            box.can_focus = False
            yield Static(Content(self._title), classes="title")
            with VerticalScroll(classes="lines"):
                yield Static(Content("\n".join(self._lines)))
            with Horizontal(classes="buttons"):
                yield Button("n  No", id="no")
                yield Button(f"y  {self._yes}", id="yes")

    def on_mount(self) -> None:
        """Focus the harmless answer."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        """Close with the button's answer."""
        self.dismiss(event.button.id == "yes")

    def action_yes(self) -> None:
        """Answer yes."""
        self.dismiss(True)

    def action_no(self) -> None:
        """Answer no."""
        self.dismiss(False)
