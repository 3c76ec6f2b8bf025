"""All tags with their counts, to be looked through and removed."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from trainer.text import printable
from tui.keys import bindings
from tui.widgets.dialogs import Dialog
from tui.widgets.long_list import LongList


class TagList(Dialog[str | None]):
    """Closes with the tag to be removed, or with None.

    Args:
        counts: Tags and how many captions have them.
        total: How many captions there are.
    """

    BINDINGS = bindings("tags.remove", "dialog.cancel")

    def __init__(self, counts: Sequence[tuple[str, int]], total: int) -> None:
        super().__init__()
        self._counts, self._total = counts, total

    def compose(self) -> ComposeResult:
        """Show the tags."""
        with Vertical(classes="dialog tags"):
            yield Static(Content(f"{len(self._counts):,} tags in {self._total:,} captions"), classes="title")
            yield LongList(id="tags")
            yield Static(Content("x removes the chosen tag from every caption (asks first), Esc closes."))

    def on_mount(self) -> None:
        """Fill the list."""
        tags = self.query_one(LongList)
        tags.show_lines(len(self._counts), self._line)
        tags.focus()

    def _line(self, place: int, width: int) -> tuple[str, str]:
        tag, count = self._counts[place]
        return f"{count:>6,}  {printable(tag, 200)}", ""

    def action_remove(self) -> None:
        """Close with the chosen tag."""
        place = self.query_one(LongList).chosen
        self.dismiss(self._counts[place][0] if place is not None else None)

    def action_cancel(self) -> None:
        """Close without changes."""
        self.dismiss(None)
