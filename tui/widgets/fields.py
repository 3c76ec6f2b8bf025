"""Fields of a form: a label, a value, and one line of help that an error replaces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from trainer.text import printable
from tui.widgets.prompt_input import PromptInput

Check = Callable[[str], str]
"""Returns what is wrong with a text and what to type instead; empty where nothing is."""


class Accepted(Message):
    """Enter was pressed on a field whose value is fine, or on a choice: go on to the next one."""


class FieldChanged(Message):
    """A field has another value, right or wrong."""

    def __init__(self, field: "TextField | ChoiceField") -> None:
        super().__init__()
        self.field = field

    @property
    def control(self) -> "TextField | ChoiceField":
        """The field."""
        return self.field


class HelpChanged(Message):
    """What is to be said of the focused field is another text now."""


_NO_CONTROLS = r"[^\x00-\x1f\x7f-\x9f]*"
_MOST_SHOWN = 4000
MOVES: list[BindingType] = [
    Binding("tab", "app.focus_next", show=False),
    Binding("shift+tab", "app.focus_previous", show=False),
    Binding("down", "leave(1)", show=False),
    Binding("up", "leave(-1)", show=False),
]
"""The keys between fields."""


def _anything(text: str) -> str:
    return ""


def leave(field: Widget, by: int) -> None:
    """Focus the field above or below one; at the ends the focus stays."""
    chain = field.screen.focus_chain
    place = chain.index(field) + by if field in chain else -1
    if 0 <= place < len(chain):
        chain[place].focus()


class Doubted(Widget):
    """A field whose value, though right, may not be what one wants."""

    doubtful = ""
    """What is doubtful about it; empty where nothing is."""

    def doubt(self, doubtful: str) -> None:
        """Show a value to be doubtful, or no longer."""
        if doubtful != self.doubtful:
            self.doubtful = doubtful
            self.post_message(HelpChanged())


class TextField(PromptInput, Doubted):
    """A line that can be edited. It is checked when left, and once wrong at every key.

    Args:
        help_text: What the field is for, in a sentence.
        check: What is wrong with a text; anything goes when left out.
        id: The widget's id.
        placeholder: Shown while it is empty.
        value: The first text.
    """

    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(
        self,
        help_text: str,
        check: Check = _anything,
        *,
        id: str | None = None,
        placeholder: str = "",
        value: str = "",
        **options: Any,
    ) -> None:
        # Fields check themselves; each of Textual's own checks would style the field anew.
        options |= {"select_on_focus": False, "restrict": _NO_CONTROLS, "validate_on": ()}
        super().__init__("", placeholder, id=id, **options)
        self._shown = self._meant = ""
        self._help_text, self._check = help_text, check
        self.problem = ""
        """What is wrong; empty where nothing is known to be."""
        if value:
            self.set_quietly(value)

    @property
    def meant(self) -> str:
        """The text as it was set or typed; what is shown of it is harmless to a terminal."""
        is_longer = self.value.startswith(self._shown)
        return self._meant + self.value[len(self._shown) :] if is_longer else self.value

    @property
    def help_text(self) -> str:
        """What to say of the field now."""
        return self.problem or self.doubtful or self._help_text

    @help_text.setter
    def help_text(self, text: str) -> None:
        self._help_text = text
        self.post_message(HelpChanged())

    def set_quietly(self, text: str) -> None:
        """Show another text as if it had always been there."""
        if text == self.meant and not self.problem:
            return
        self._shown, self._meant = printable(text, _MOST_SHOWN), text
        with self.prevent(Input.Changed):
            self.value = self._shown
            self.cursor_position = len(self._shown)
        self.blame("")

    def validate_now(self) -> str:
        """Check the text; return what is wrong."""
        self.blame(self._check(self.meant))
        return self.problem

    def blame(self, problem: str) -> None:
        """Show something to be wrong, or nothing any more."""
        self.set_class(bool(problem), "wrong")
        if problem != self.problem:
            self.problem = problem
            self.post_message(HelpChanged())

    def action_leave(self, by: int) -> None:
        """Go to the field above or below."""
        leave(self, by)

    def _on_blur(self, event: events.Blur) -> None:
        super()._on_blur(event)
        self.validate_now()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Check again what was wrong, and tell."""
        event.stop()
        if self.problem:
            self.validate_now()
        self.post_message(FieldChanged(self))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on when nothing is wrong."""
        event.stop()
        if not self.validate_now():
            self.post_message(Accepted())


@dataclass(frozen=True)
class Choice:
    """One of the values that a field can have."""

    value: str
    label: str
    says: str = ""
    """The consequence of taking it."""


class ChoiceField(Static, Doubted, can_focus=True):
    """One value of a few, changed by arrows or Space; shows all of them where there is room, else the present one.

    Args:
        help_text: What the field is for.
        choices: What there is to choose from.
        id: The widget's id.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *MOVES,
        Binding("right,space", "move(1)", show=False),
        Binding("left", "move(-1)", show=False),
        Binding("enter", "accept", show=False),
    ]

    def __init__(self, help_text: str, choices: Sequence[Choice] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._help_text, self.choices = help_text, tuple(choices)
        self.problem = ""
        self._place = 0

    @property
    def value(self) -> str:
        """The chosen value."""
        return self.choices[self._place].value if self.choices else ""

    @property
    def help_text(self) -> str:
        """What to say of the field: the consequence of the present choice, and what the field is for."""
        says = self.choices[self._place].says if self.choices else ""
        return self.doubtful or says or self._help_text

    def offer(self, choices: Sequence[Choice], value: str) -> None:
        """Offer other choices, one of them chosen."""
        self.choices = tuple(choices)
        self.set_quietly(value)

    def set_quietly(self, value: str) -> None:
        """Choose as if it had always been so; what isn't offered leaves the first one chosen."""
        self._place = next((n for n, choice in enumerate(self.choices) if choice.value == value), 0)
        self._draw()

    def validate_now(self) -> str:
        """Return nothing: what is offered is right."""
        return ""

    def action_move(self, by: int) -> None:
        """Choose the next or previous one."""
        if self.choices:
            self._place = (self._place + by) % len(self.choices)
            self._draw()
            self.post_message(HelpChanged())
            self.post_message(FieldChanged(self))

    def action_leave(self, by: int) -> None:
        """Go to the field above or below."""
        leave(self, by)

    def action_accept(self) -> None:
        """Go on."""
        self.post_message(Accepted())

    def on_focus(self) -> None:
        """Show the focus."""
        self._draw()

    def on_blur(self) -> None:
        """Show that it is gone."""
        self._draw()

    def on_resize(self) -> None:
        """Fit the choices."""
        self._draw()

    def _draw(self) -> None:
        if not self.choices:
            self.update(Content(""))
            return
        marks = [f"{'◉' if n == self._place else '○'} {choice.label}" for n, choice in enumerate(self.choices)]
        if len("  ".join(marks)) <= self.content_size.width:
            parts = [Content.styled(mark, "bold" if n == self._place else "") for n, mark in enumerate(marks)]
            self.update(Content("  ").join(parts))
            return
        label = self.choices[self._place].label
        count = f"  {self._place + 1} of {len(self.choices)}"
        room = self.content_size.width - len("◂  ▸") - len(label)
        told = Content(f" ▸{count if len(count) <= room else ''}")
        self.update(Content.assemble(Content("◂ "), Content.styled(label, "bold"), told))


Field = TextField | ChoiceField


class FieldRow(Horizontal):
    """A label and its field in one line; the row draws the label itself, for a form is drawn by the widget."""

    def __init__(self, label: str, field: Field, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._label, self.field = label, field
        field.add_class("field")

    def compose(self) -> ComposeResult:
        """Show the field."""
        yield self.field

    def render(self) -> Content:
        """Draw the label in the margin left of the field, with a sign where something is wrong or doubtful."""
        mark = "! " if self.field.problem or self.field.doubtful else ""
        room = self.field.styles.margin.left - 1
        label = Content(mark + self._label).truncate(room, ellipsis=True)
        return label.stylize("bold $primary" if self.field.has_focus else "")

    @on(HelpChanged)
    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def draw_label(self) -> None:
        """Mark the focus, and what is wrong by a sign as well as by colour."""
        self.refresh()
