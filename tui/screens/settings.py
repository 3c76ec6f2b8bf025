"""Settings: how strongly and how long to teach, with what it takes beside it while one types."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from trainer.config import RunConfig, save_preset
from trainer.config.presets import preset_name
from trainer.config.read import difference
from trainer.errors import AppError
from trainer.text import printable, without_options
from tui.journey import Journey
from tui.keys import bindings
from tui.messages import Renewed
from tui.plan_text import plan_lines, rate_lines, warning_lines, wrong_lines
from tui.presets import base_of, preset_choices, preset_settings, started_from
from tui.screens.step import Problem, StepScreen
from tui.settings_form import (
    BASIC,
    Setting,
    group_members,
    groups,
    named_in,
    read_texts,
    settings,
    texts_of,
    with_labels,
)
from tui.widgets.dialogs import Edit
from tui.widgets.dialogs import Field as DialogField
from tui.widgets.fields import Accepted, Choice, ChoiceField, Field, FieldChanged, FieldRow, TextField
from tui.widgets.fold import Fold
from tui.widgets.line import Line
from tui.words import wrapped

if TYPE_CHECKING:
    from trainer.memory import Plan
    from trainer.project import Project

PAUSE_S = 0.15
"""The plan is made anew when nothing was typed for so long."""
WORDS = {"false": "no", "true": "yes"}


class SettingsScreen(StepScreen):
    """All settings of the run, few of them unfolded, and what they take."""

    STEP = "settings"
    CSS_PATH = "settings.tcss"
    PURPOSE = "How strongly and how long to teach. The defaults suit 10 to 50 pictures."
    HELP = (
        "A preset fills all fields. What you type under one stays when you look at another and come back.\n"
        "On the right: what a step takes of the device's memory at its peak, drawn by its parts; the time, where this "
        "machine has run such steps before; what the run writes; and the learning rate over the run. It follows "
        "every key.\n"
        "Rarely needed settings are folded away: Space on a heading with ▸ shows them."
    )
    BINDINGS = bindings("settings.save-preset", "settings.fit")
    FOOTER = ("step.next", "step.back", "settings.save-preset", "settings.fit", "app.help", "app.leave")

    def __init__(self, journey: Journey) -> None:
        super().__init__(journey)
        self._preset = ""
        self._texts: dict[str, str] = {}
        self._fields: dict[str, Field] = {}  # those made so far, by setting
        self._trade_offs: dict[str, str] = {}
        self._under: dict[str, dict[str, str]] = {}
        self._config: RunConfig | None = None
        self._wrong: dict[str, str] = {}
        self._plan: Plan | None = None
        self._planned: RunConfig | None = None
        self._plan_error = ""
        self._timer: Timer | None = None

    def compose_body(self) -> ComposeResult:
        """Lay out preset, fields and what they take."""
        if self.journey.project is not None:  # fields that are made with their values need not be drawn again
            self._texts = texts_of(self.journey.project.settings())
        help_text = "What the settings start from. What you typed under another one stays there."
        yield FieldRow("Preset", ChoiceField(help_text, id="preset"), id="preset-row")
        yield Line(id="trade-off", keeps_place=True)
        with Horizontal(id="columns"):
            with VerticalScroll(id="fields", can_focus=False):
                for name in BASIC:
                    yield self._row(settings()[name])
                for section, title in groups():
                    yield Fold(section, title, id=f"fold-{section or 'general'}")
            with VerticalScroll(id="side", can_focus=False):
                yield Static(id="plan")

    def _row(self, setting: Setting) -> FieldRow:
        if setting.choices:
            choices = [Choice(value, WORDS.get(value, value)) for value in setting.choices]
            field: Field = ChoiceField(setting.help, choices, id=setting.id)
        else:
            field = TextField(setting.help, partial(self._problem, setting.name), id=setting.id)
        if setting.name in self._texts:
            field.set_quietly(self._texts[setting.name])
        self._fields[setting.name] = field
        return FieldRow(setting.label, field)

    # What is on the form.

    def load(self, project: "Project | None") -> None:
        """Show a project's settings."""
        assert project is not None
        self._preset, self._under = project.config.preset, {}
        self._offer_presets(project)
        self._show(texts_of(project.settings()))
        if self.focused is None:
            self.query_one("#preset").focus()

    def _show(self, texts: dict[str, str]) -> None:
        self._texts = texts
        for name, field in self._fields.items():
            field.set_quietly(texts[name])
        self._say_trade_off()
        self._recompute()

    def _offer_presets(self, project: "Project") -> None:
        choices = preset_choices(project)
        self._trade_offs = {choice.value: choice.says for choice in choices}
        quiet = [Choice(choice.value, choice.label) for choice in choices]
        self.query_one("#preset", ChoiceField).offer(quiet, self._preset)

    def _say_trade_off(self) -> None:
        self.query_one("#trade-off", Line).say(self._trade_offs.get(self._preset, ""))

    @on(FieldChanged)
    def take_over(self, event: FieldChanged) -> None:
        """Take over what was typed or chosen."""
        name = next((name for name, one in settings().items() if one.id == event.field.id), None)
        if name is not None and self.journey.project is not None:
            self._texts[name] = event.field.meant if isinstance(event.field, TextField) else event.field.value
            self._read(self.journey.project)  # at once: a key right behind acts on it
            self._plan_soon()
        elif event.field.id == "preset":
            self._change_preset(event.field.value)

    def _change_preset(self, preset: str) -> None:
        project = self.journey.project
        assert project is not None
        self._under[self._preset] = self._texts
        try:
            texts = self._under.get(preset) or started_from(project, preset, self._texts)
        except AppError as error:
            self.query_one("#preset", ChoiceField).set_quietly(self._preset)
            self.show_trouble(error)
            return
        self._preset = preset
        self._show(texts)

    @on(Fold.Toggled)
    async def unfold(self, event: Fold.Toggled) -> None:
        """Show or hide a section; its fields are made when first shown."""
        await self._open(event.fold)

    def _open(self, fold: Fold) -> AwaitComplete:
        group = self.query(f"#group-{fold.key or 'general'}")
        group.set(display=fold.is_open)
        if fold.is_open and not group:
            rows = [self._row(setting) for setting in group_members(fold.key)]
            made = Vertical(*rows, id=f"group-{fold.key or 'general'}", classes="group")
            return AwaitComplete(self.query_one("#fields").mount(made, after=fold))
        return AwaitComplete()

    def help_of(self, widget: Widget | None) -> str:
        """Return the help of a heading."""
        return "Space shows or hides these settings; few runs need them." if isinstance(widget, Fold) else ""

    @on(Accepted)
    def go_on_after_prompt(self, event: Accepted) -> None:
        """Leave out what is folded away when one goes on by Enter."""
        if self.focused is self.query_one(f"#{settings()['preview.prompt'].id}"):
            event.prevent_default()
            self.action_next()

    # What it takes.

    def _problem(self, name: str, text: str) -> str:
        project = self.journey.project
        if project is None or name not in self._texts:
            return ""
        return read_texts({**self._texts, name: text}, project.settings())[1].get(name, "")

    def _plan_soon(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE_S, self._recompute)

    def _recompute(self) -> None:
        project = self.journey.project
        if project is not None:
            self._read(project)
            self._draw()
            self._make_plan(project)

    def _read(self, project: "Project") -> None:
        """Read what is on the form, and mark what is wrong."""
        self._config, self._wrong = read_texts(self._texts, project.settings())
        for name, field in self._fields.items():
            # One that is being typed is checked when it is left.
            if isinstance(field, TextField) and (field is not self.focused or field.problem):
                field.blame(self._wrong.get(name, ""))

    def _make_plan(self, project: "Project") -> None:
        config = self._config
        if config is None or config == self._planned or self.is_busy("plan"):
            return

        def make() -> None:
            from trainer.memory import make_plan

            try:
                self._plan, self._plan_error = make_plan(project, config), ""
            except AppError as error:
                self._plan, self._plan_error = None, printable(without_options(str(error)), 400)
            self._planned = config
            self.post_message(Renewed())

        self.in_background(make, "predicting memory and time", "plan")

    @on(Renewed)
    def show_plan(self) -> None:
        """Show the new prediction, and make another one when the settings have changed meanwhile."""
        self._draw()
        self.draw_keys()
        if self._config is not None and self._config != self._planned:
            self.set_timer(PAUSE_S, self._recompute)

    def on_resize(self) -> None:
        """Fit the lines."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        side = self.query_one("#side")
        width = max(24, side.scrollable_content_region.width or 36)
        self.query_one("#plan", Static).update(Content("\n".join(self._side_lines(width))))
        self._mark_doubts()

    def _side_lines(self, width: int) -> list[str]:
        if self._config is None:
            return wrong_lines(self._wrong, width)
        lines = plan_lines(self._plan, width) if self._plan is not None else wrapped(self._plan_error or "…", width)
        return [*lines, *rate_lines(self._config, width), *warning_lines(self._warnings, width)]

    @property
    def _warnings(self) -> Sequence[str]:
        if self._config is None:
            return ()
        return self._plan.warnings if self._plan is not None else self._config.warnings()

    def _mark_doubts(self) -> None:
        """Tell what is doubtful at its field too: it may lie below what the side shows."""
        doubts = {named_in(warning): with_labels(without_options(warning)) for warning in reversed(self._warnings)}
        for name, field in self._fields.items():
            field.doubt(doubts.get(name, ""))

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        if action == "fit":
            plan = self._plan
            if plan is None or plan.own is None or plan.own.fits is None:
                return "What would fit is not known."
            if plan.own.fits:
                return "What is set fits already."
            return "" if plan.recommended else "Nothing that is known fits; free some memory."
        if action == "save_preset" and self._config is None:
            return "A field is wrong; mend it first."
        return super().why_not(action)

    def action_fit(self) -> None:
        """Set what leads to the first way that fits."""
        chosen = self._plan.recommended if self._plan else None
        if chosen is not None:
            changes = dict(setting.split("=", 1) for setting in chosen.settings)
            self._show({**self._texts, **{name: text for name, text in changes.items() if name in self._texts}})

    def action_save_preset(self) -> None:
        """Ask for a name, and save the settings as a preset."""
        fields = [
            DialogField("name", "Name", "Every project can then start from it.", "", _preset_problem),
            DialogField("trade_off", "What it is good for", "In your own words; may stay empty.", "", lambda text: ""),
        ]
        self.app.push_screen(Edit("Save these settings as a preset", fields), self._save_preset)

    def _save_preset(self, answers: dict[str, str] | None) -> None:
        config, project = self._config, self.journey.project
        if not answers or not answers.get("name") or config is None or project is None:
            return
        name = answers["name"].strip()
        try:
            save_preset(name, answers.get("trade_off", "") or "Your own.", preset_settings(config))
        except AppError as error:
            self.show_trouble(error)
            return
        self._under[self._preset] = self._texts
        self._preset, self._texts = name, dict(self._texts)
        self._offer_presets(project)
        self._say_trade_off()
        self.notify(f"Saved. Every project can start from {printable(name, 60)}.", markup=False)

    # Going on.

    def problems(self) -> Sequence[Problem]:
        """Return what is wrong, in the order of the form."""
        project = self.journey.project
        assert project is not None
        wrong = read_texts(self._texts, project.settings())[1]
        known = [Problem(settings()[name].id, text) for name, text in wrong.items() if name in settings()]
        return known or [Problem("", text) for text in wrong.values()]

    def show_problem(self, problem: Problem) -> None:
        """Unfold where the problem is, and go there."""
        for section, _ in groups():
            fold = self.query_one(f"#fold-{section or 'general'}", Fold)
            if any(one.id == problem.field for one in group_members(section)) and not fold.is_open:
                fold.action_fold(True)
                self._open(fold)
        self.call_after_refresh(super().show_problem, problem)

    def commit(self, project: "Project | None") -> "Project":
        """Write the preset and what differs from it."""
        assert project is not None
        config, _ = read_texts(self._texts, project.settings())
        assert config is not None
        changed = difference(config, base_of(project, self._preset))
        if self._preset == project.config.preset and config == project.settings():
            return project
        return project.with_settings(self._preset, changed)


def _preset_problem(text: str) -> str:
    try:
        preset_name(text)
    except AppError as error:
        return f"{error.message} {error.hint}"
    return ""
