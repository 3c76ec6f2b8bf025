"""A small form on top of a screen."""

from collections.abc import Callable, Collection, Mapping, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.keys import bindings
from tui.widgets.dialogs import Dialog
from tui.widgets.fields import Accepted, Field, FieldChanged, FieldRow, HelpChanged, TextField

Hidden = Callable[[Mapping[str, str]], Collection[str]]
"""Returns the ids of fields that do nothing with such values."""


def _nothing(values: Mapping[str, str]) -> Collection[str]:
    return ()


class FormDialog(Dialog[dict[str, str] | None]):
    """Fields under each other; closes with all values by field's id, or with None.

    Args:
        title: What it is for.
        rows: Labels and fields; the first one has the focus.
        text: Said above the fields; harmless to show.
        hidden: Which fields to leave out while the others have certain values.
    """

    BINDINGS = bindings("dialog.accept", "dialog.cancel")

    def __init__(
        self, title: str, rows: Sequence[tuple[str, Field]], text: str = "", hidden: Hidden = _nothing
    ) -> None:
        super().__init__()
        self._title, self._rows, self._text, self._hidden = title, tuple(rows), text, hidden

    def compose(self) -> ComposeResult:
        """Show the fields and one line of help."""
        with VerticalScroll(classes="dialog form") as box:
            box.can_focus = False
            yield Static(Content(self._title), classes="title")
            if self._text:
                yield Static(Content(self._text))
            for label, field in self._rows:
                yield FieldRow(label, field)
            yield Static(id="form-help", classes="help")
            yield Static(Content("Enter goes on, Left and Right choose, Ctrl+N accepts, Esc changes nothing."))

    def on_mount(self) -> None:
        """Begin with the first field."""
        self._hide()
        self._rows[0][1].focus()

    @property
    def _values(self) -> dict[str, str]:
        return {str(field.id): field.value for _, field in self._rows}

    def _hide(self) -> None:
        hidden = self._hidden(self._values)
        for row in self.query(FieldRow):
            row.display = row.field.id not in hidden

    @property
    def _shown(self) -> list[Field]:
        return [row.field for row in self.query(FieldRow) if row.display]

    def on_descendant_focus(self) -> None:
        """Say what the field is for."""
        self.say_help()

    @on(HelpChanged)
    def say_help(self) -> None:
        """Say what the focused field is for, or what is wrong with it."""
        field = self.focused
        if isinstance(field, Field):
            line = self.query_one("#form-help", Static)
            line.set_class(bool(field.problem), "bad")
            line.update(Content(field.help_text))

    @on(FieldChanged)
    def hold(self, event: FieldChanged) -> None:
        """Keep the message within the dialog, and show what applies now."""
        event.stop()
        self._hide()

    @on(Accepted)
    def go_on(self, event: Accepted) -> None:
        """Focus the next field; after the last one close."""
        event.stop()
        fields = self._shown
        place = next((n for n, field in enumerate(fields) if field is self.focused), -1) + 1
        if place < len(fields):
            fields[place].focus()
        else:
            self.action_accept()

    def action_accept(self) -> None:
        """Close with the values, when nothing is wrong."""
        wrong = [field for field in self._shown if isinstance(field, TextField) and field.validate_now()]
        if wrong:
            wrong[0].focus()
            return
        self.dismiss(self._values)

    def action_cancel(self) -> None:
        """Close without changes."""
        self.dismiss(None)
