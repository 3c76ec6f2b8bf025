"""Small questions and answers on top of a screen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.widgets import Button, Input, Static

from trainer.errors import AppError
from trainer.text import printable
from tui.keys import bindings
from tui.widgets.prompt_input import PromptInput


class ClosesOnce(Screen[ScreenResultType]):
    """A screen that lets nothing but itself be closed."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close; a second key that was on its way meanwhile would close the screen below."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()


class Dialog(ClosesOnce[ScreenResultType], ModalScreen[ScreenResultType]):
    """What lies over a screen until it is answered, once."""

    # Here too, as Textual keeps the app's own keys from a dialog.
    BINDINGS = bindings("app.help")

    async def action_help(self) -> None:
        """Explain the screen below and the dialog's keys."""
        await self.run_action("app.help")


class Confirm(Dialog[bool]):
    """A question with yes and no; no, which changes nothing, has the focus."""

    BINDINGS = bindings("dialog.yes", "dialog.no")
    BOX_CLASSES: ClassVar[str] = "dialog"

    def __init__(self, title: str, text: str, yes: str) -> None:
        super().__init__()
        self._title, self._text, self._yes = title, text, yes

    def compose(self) -> ComposeResult:
        """Show question and buttons."""
        with VerticalScroll(classes=self.BOX_CLASSES) as box:
            box.can_focus = False
            yield Static(Content(self._title), classes="title")
            yield from self.compose_text()
            with Horizontal(classes="buttons"):
                yield Button("n  No", id="no")
                yield Button(f"y  {self._yes}", id="yes")

    def compose_text(self) -> ComposeResult:
        """Show what is asked."""
        yield Static(Content(self._text))

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


class Trouble(Dialog[None]):
    """What went wrong and what to do about it."""

    BINDINGS = bindings("dialog.close")

    def __init__(self, error: AppError) -> None:
        super().__init__()
        self._error = error

    def compose(self) -> ComposeResult:
        """Show the error's parts."""
        with VerticalScroll(classes="dialog") as box:
            box.can_focus = False
            yield Static(Content(printable(self._error.title)), classes="title bad")
            for part in (self._error.message, self._error.hint):
                if part:
                    yield Static(Content("\n".join(printable(line, 1000) for line in part.split("\n"))))
            with Horizontal(classes="buttons"):
                yield Button("Enter  Close", id="close")

    @on(Button.Pressed)
    def action_close(self) -> None:
        """Close."""
        self.dismiss()


class Told(Dialog[None]):
    """What was done."""

    BINDINGS = bindings("dialog.close")

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """Show title and text."""
        with VerticalScroll(classes="dialog") as box:
            box.can_focus = False
            yield Static(Content(self._title), classes="title")
            yield Static(Content(self._text))
            with Horizontal(classes="buttons"):
                yield Button("Enter  Close", id="close")

    @on(Button.Pressed)
    def action_close(self) -> None:
        """Close."""
        self.dismiss()


@dataclass(frozen=True)
class Field:
    """One line that can be edited."""

    id: str
    label: str
    help: str
    value: str
    check: Callable[[str], str]
    """Returns what is wrong with a text and what to type instead; empty where nothing is."""
    remark: Callable[[str], str] = lambda text: ""
    """Returns what is doubtful about a text that may be accepted all the same; empty where nothing is."""


class Edit(Dialog[dict[str, str]]):
    """A few fields; closes with those that were changed, by id.

    Args:
        title: What it is about.
        fields: The fields.
        keeps_all: Close with all fields when accepted, and with None when cancelled.
    """

    BINDINGS = bindings("dialog.accept", "dialog.cancel")

    def __init__(self, title: str, fields: Sequence[Field], *, keeps_all: bool = False) -> None:
        super().__init__()
        self._keeps_all = keeps_all
        self._title, self._fields = title, {field.id: field for field in fields}

    def compose(self) -> ComposeResult:
        """Show the fields, each with its help."""
        with VerticalScroll(classes="dialog") as box:
            box.can_focus = False
            yield Static(Content(self._title), classes="title")
            for field in self._fields.values():
                yield Static(Content(field.label), classes="label")
                yield PromptInput(field.value, id=field.id, select_on_focus=False)
                yield Static(Content(field.help), id=f"{field.id}-help", classes="help")
            enter = "Enter goes on, Ctrl+N accepts" if len(self._fields) > 1 else "Enter accepts"
            yield Static(Content(f"{enter}, Esc changes nothing."), classes="hint")

    @on(Input.Blurred)
    def check_left(self, event: Input.Blurred) -> None:
        """Check a field when it is left."""
        self._check(event.input)

    @on(Input.Changed)
    def check_wrong_again(self, event: Input.Changed) -> None:
        """Check at every key what was found wrong before; a remark is due at every key, as Enter closes."""
        if event.input.has_class("wrong"):
            self._check(event.input)
        else:
            self._tell(event.input, "")

    @on(Input.Submitted)
    def go_on(self, event: Input.Submitted) -> None:
        """Go on to the next field; after the last one close."""
        inputs = list(self.query(Input))
        after = inputs[inputs.index(event.input) + 1 :]
        if after and self._check(event.input):
            after[0].focus()
        elif not after:
            self.action_accept()

    def action_accept(self) -> None:
        """Close with what was changed, when nothing is wrong."""
        inputs = list(self.query(Input))
        wrong = [input_ for input_ in inputs if not self._check(input_)]
        if wrong:
            wrong[0].focus()
            return
        values = {i.id: i.value for i in inputs if i.id is not None}
        self.dismiss(
            {id_: value for id_, value in values.items() if self._keeps_all or value != self._fields[id_].value}
        )

    def action_cancel(self) -> None:
        """Close without changes."""
        self.dismiss(None if self._keeps_all else {})

    def _check(self, input_: Input) -> bool:
        problem = self._fields[str(input_.id)].check(input_.value)
        input_.set_class(bool(problem), "wrong")
        self._tell(input_, problem)
        return not problem

    def _tell(self, input_: Input, problem: str) -> None:
        """Say below a field what is wrong, else what is doubtful, else what it is for."""
        field = self._fields[str(input_.id)]
        help_line = self.query_one(f"#{field.id}-help", Static)
        help_line.set_class(bool(problem), "bad")
        help_line.update(Content(problem or field.remark(input_.value) or field.help))
