"""What all steps share: the rail, a sentence of purpose, a body, one line of help, and one way to move on or back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from trainer.errors import AppError
from tui.journey import Journey
from tui.keys import bindings
from tui.messages import RunChosen, StepsLeft, StepWanted
from tui.screens.base import WizardScreen
from tui.steps import TRAIN, present_steps, step_after, steps_behind
from tui.widgets.fields import Accepted, ChoiceField, FieldChanged, HelpChanged, TextField
from tui.widgets.keyline import KeyLine
from tui.widgets.rail import Rail, Stop

if TYPE_CHECKING:
    from trainer.project import Project


@dataclass(frozen=True)
class Problem:
    """Something that keeps the user from going on."""

    field: str
    """Id of the widget to go to; empty for none."""
    message: str
    """What is wrong and what to do."""


class StepScreen(WizardScreen):
    """One step. A subclass gives the body and says what goes into the project's file.

    Its contents stay until the journey ends, so going back and forth loses nothing.

    Args:
        journey: What the steps share.
    """

    STEP: ClassVar[str] = ""
    """Id of the step, as in tui.steps."""
    BINDINGS = bindings("step.next", "step.back")
    FOOTER: ClassVar[tuple[str, ...]] = ("step.next", "step.back", "app.help", "app.leave")

    class _BehindKnown(Message):
        """It is known which steps the files show to be done."""

    def __init__(self, journey: Journey) -> None:
        super().__init__()
        self.journey = journey
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]
        self._loaded: object = self
        self._told = ("", False)

    def compose(self) -> ComposeResult:
        """Lay out rail, purpose, body, help and keys."""
        yield Rail(id="rail")
        yield Static(Content(self.PURPOSE), id="purpose")
        with VerticalScroll(id="body", can_focus=False):
            yield from self.compose_body()
        yield Static(id="help")
        yield KeyLine(id="keys")

    # What a subclass gives.

    def compose_body(self) -> ComposeResult:
        """Yield what stands between purpose and help."""
        raise NotImplementedError

    def load(self, project: "Project | None") -> None:
        """Show what the project's file says; called when the step is shown and another step has changed it."""

    def problems(self) -> Sequence[Problem]:
        """Return what keeps the user from going on; none by default."""
        return ()

    def commit(self, project: "Project | None") -> "Project":
        """Put the answers into the project's file and return the project; nothing by default.

        Raises:
            AppError: it can't be written.
        """
        assert project is not None
        return project

    # Moving.

    def action_next(self) -> None:
        """Keep the answers and go on, when nothing is wrong. A step with work to do first ends it with `go_on`."""
        if self.keep():
            self.go_on()

    def action_back(self) -> None:
        """Go one step back, or from the first one to Home; nothing is lost."""
        if self.put_aside():
            before = step_after(self.STEP, -1)
            self.post_message(StepWanted(before.id) if before else StepsLeft())

    def keep(self) -> bool:
        """Keep the answers in the project's file; tell whether that was possible, and if not, the user why."""
        problems = self.problems()
        if problems:
            self.show_problem(problems[0])
            return False
        return self._commit()

    def go_on(self) -> None:
        """Go on to the next step."""
        self.journey.passed.add(self.STEP)
        after = step_after(self.STEP)
        if after is not None:
            self.jump_to(after.id)

    def put_aside(self) -> bool:
        """Keep what is right before the user goes back; what is wrong stays on the screen. False stops the going."""
        return self.journey.project is None or bool(self.problems()) or self._commit()

    def jump_to(self, id_: str) -> None:
        """Go to any step."""
        if id_ != TRAIN:
            self.post_message(StepWanted(id_))
            return
        from trainer.run.folder import find_runs

        runs = find_runs(self.journey.project.root) if self.journey.project else []
        if runs:
            self.post_message(RunChosen(runs[0]))
        else:
            self.notify("There is no run yet; Review starts one.", severity="warning", markup=False)

    def _commit(self) -> bool:
        try:
            self.journey.project = self.commit(self.journey.project)
        except AppError as error:
            self.show_trouble(error)
            return False
        self._loaded = self._answers()
        return True

    def _answers(self) -> object:
        project = self.journey.project
        return project and (project.root, project.config.model_copy(update={"step": ""}))

    def on_key(self, event: events.Key) -> None:
        """Jump to a step by its number; where something is typed, digits never come here."""
        if event.character and event.character in "123456789" and not isinstance(self.focused, Input):
            event.stop()
            steps, place = present_steps(), int(event.key) - 1
            if self.is_current and place < len(steps) and steps[place].id != self.STEP:
                self.go_to(steps[place].id)

    def go_to(self, id_: str) -> None:
        """Keep the answers where they are right and jump to a step; a new project must be made first."""
        if self.keep() if self.journey.project is None else self.put_aside():
            self.jump_to(id_)

    # What is shown around the body.

    def on_screen_resume(self) -> None:
        """Take over what other steps changed, and look which steps are done."""
        if self._loaded != self._answers():
            self._loaded = self._answers()
            self.load(self.journey.project)
        self.draw_rail()
        self.say_help()
        self.draw_keys()
        self.look_behind()

    def look_behind(self) -> None:
        """Look which steps the project's files show to be done; to be called after work on them."""

        def look() -> None:
            self.journey.behind = steps_behind(self.journey.project)
            self.post_message(self._BehindKnown())

        self.in_background(look, "looking which steps are done", "behind")

    @on(_BehindKnown)
    def draw_rail(self) -> None:
        """Show which steps are done."""
        stops = tuple(
            Stop(place + 1, step.title, self.journey.is_done(step.id), step.id == self.STEP)
            for place, step in enumerate(present_steps())
        )
        self.query_one(Rail).show(self.journey.title, stops)

    def show_problem(self, problem: Problem) -> None:
        """Go to a field and say what is wrong with it."""
        try:
            widget = self.query_one(f"#{problem.field}", Widget) if problem.field else None
        except NoMatches:
            widget = None
        if widget is not None:
            widget.focus()
        if isinstance(widget, TextField):
            widget.blame(problem.message)
        self.call_after_refresh(self.explain, problem.message, wrong=True)

    def on_descendant_focus(self) -> None:
        """Say what the focused field is for."""
        self.say_help()
        self.draw_keys()

    @on(HelpChanged)
    def say_help(self) -> None:
        """Say what the focused field is for, or what is wrong with it."""
        field = self.focused
        if isinstance(field, TextField | ChoiceField):
            self.explain(field.help_text, wrong=bool(field.problem))
        else:
            self.explain(self.help_of(field))

    def help_of(self, widget: Widget | None) -> str:
        """Return what to say while a widget that is no field has the focus; nothing by default."""
        return ""

    def explain(self, text: str, *, wrong: bool = False) -> None:
        """Say something in the line of help."""
        if (text, wrong) != self._told:
            self._told = text, wrong
            line = self.query_one("#help", Static)
            line.set_class(wrong, "bad")
            line.update(Content(f"! {text}" if wrong and text else text))

    @on(Accepted)
    def go_to_next_field(self) -> None:
        """Focus what comes next in the body; after the last one go on to the next step."""
        inside = [widget for widget in self.focus_chain if self.query_one("#body") in widget.ancestors]
        place = inside.index(self.focused) + 1 if self.focused in inside else 0
        if place < len(inside):
            self.set_focus(inside[place])
        else:
            self.action_next()

    @on(FieldChanged)
    def field_changed(self, event: FieldChanged) -> None:
        """Keep the message within the step."""
        event.stop()
