"""Home: what runs, what there is, and what comes next."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.worker import Worker, WorkerState, get_current_worker

from trainer.text import printable
from tui.keys import bindings
from tui.messages import JourneyWanted, QuestionReady, Renewed, RunChosen, Started, StartTold
from tui.screens.base import WizardScreen
from tui.widgets.dialogs import Confirm
from tui.widgets.filter_input import FilterInput
from tui.widgets.keyline import KeyLine
from tui.widgets.line import Line
from tui.widgets.rows import RowList

if TYPE_CHECKING:
    from trainer.devices import Gauges
    from trainer.run.folder import RunFolder
    from trainer.run.status import Glance
    from tui.overview import Overview, ProjectLook, Surveyor

SURVEY_S = 2.0
WELCOME_MARGIN = 2
"""Cells left and right of it, as in the style sheet."""


class HomeScreen(WizardScreen):
    """Lists live runs, projects and earlier runs.

    Args:
        begins_demo: Go to the demo at once, as if its key had been pressed.
    """

    CSS_PATH = "home.tcss"
    PURPOSE = "All projects and runs, and what comes next for each. Runs go on whether or not anybody watches them."
    BINDINGS = bindings("home.open", "home.new", "home.steps", "home.train", "home.demo", "home.filter")
    AUTO_FOCUS = ""
    FOOTER = ("home.open", "home.new", "home.demo", "home.filter", "app.help", "app.leave")

    def __init__(self, *, begins_demo: bool = False) -> None:
        super().__init__()
        self._begins_demo = begins_demo
        self._surveyor: Surveyor | None = None
        self._overview: Overview | None = None
        self._gauges: Gauges | None = None
        self._host = printable(socket.gethostname(), 40)
        self._starting = ""

    def compose(self) -> ComposeResult:
        """Lay out list, detail and machine."""
        yield Static("Hypernet Wizard", id="title")
        yield FilterInput("name")
        yield Static(Content("Looking for projects and runs…"), id="welcome")
        yield RowList(id="list")
        yield Line(id="detail")
        yield Line(id="machine")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Look at everything every two seconds."""
        self.query_one("#machine", Line).say(self._host)
        self.set_interval(SURVEY_S, self._look)
        if self._begins_demo:
            self.action_demo()

    def on_screen_resume(self) -> None:
        """Look when the frame is painted, also when a run's screen was left."""
        self.call_after_refresh(self._look)

    def on_resize(self) -> None:
        """Fit the columns."""
        self.call_after_refresh(self._draw)

    def _look(self) -> None:
        if self.is_seen and not self.is_busy("survey"):
            self.in_background(self._survey, "looking at projects and runs", "survey")

    def _survey(self) -> None:
        from trainer.devices import read_gauges
        from tui.overview import Surveyor

        if self._surveyor is None:
            self._surveyor = Surveyor()
        self._overview = self._surveyor.survey()
        self.post_message(Renewed())
        self._gauges = read_gauges()
        self.post_message(Renewed())

    @on(Renewed)
    def _draw(self) -> None:
        overview = self._overview
        if overview is None:
            return
        from tui.gauges import machine_line
        from tui.home_rows import rows_of
        from tui.welcome import welcome_text

        is_empty = not (overview.projects or overview.live or overview.earlier)
        welcome, rows = self.query_one("#welcome", Static), self.query_one("#list", RowList)
        if is_empty:
            welcome.update(Content(welcome_text(self.size.width - 2 * WELCOME_MARGIN)))
        welcome.display, rows.display = is_empty, not is_empty
        if self.focused is None and not is_empty:
            rows.focus()
        rows.show_rows(rows_of(overview, rows.row_width, self.query_one("#filter", Input).value))
        self.query_one("#machine", Line).say(machine_line(self._host, self._gauges))
        self._draw_detail()

    @on(OptionList.OptionHighlighted)
    def _draw_detail(self) -> None:
        self.query_one("#detail", Line).say(self._starting or self._detail())
        self.draw_keys()

    def _detail(self) -> str:
        look, run = self._project(), self._run()
        if look is not None:
            return f"Next: {look.next}{':  ' + look.command if look.command else '.'}\n{printable(look.root)}"
        return f"Enter opens {printable(run.title)}\n{printable(run.path)}" if run else ""

    def _project(self) -> "ProjectLook | None":
        chosen = self.query_one("#list", RowList).chosen or ""
        looks = self._overview.projects if self._overview else ()
        return next((look for look in looks if chosen == f"project:{look.root}"), None)

    def _run(self) -> "RunFolder | None":
        from trainer.run.folder import RunFolder

        kind, _, path = (self.query_one("#list", RowList).chosen or "").partition(":")
        if kind == "project":
            look = self._project()
            return look.newest if look else None
        return RunFolder(Path(path)) if path else None

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        if action in ("demo", "train", "new") and self.is_busy("start"):
            return "Something is being started already."
        if action == "open" and self._run() is None and self._project() is None:
            return "There is nothing to open yet."
        if action == "steps" and self._project() is None:
            return "Choose a project first."
        if action == "train":
            return self._why_not_train()
        if action == "filter" and not self.query_one("#list").display:
            return "There is nothing to search yet."
        if action == "filter" and isinstance(self.focused, Input):
            return "You are searching already."
        return ""

    def _why_not_train(self) -> str:
        look = self._project()
        if look is None:
            return "Choose a project first."
        if self._overview is not None and any(live.folder.project_root == look.root for live in self._overview.live):
            return "It is being trained already; Enter attaches to the run."
        first = f"{look.next} ({look.command})" if look.command else look.next
        return "" if look.can_train else f"It is not ready for training. First {first}."

    @on(OptionList.OptionSelected)
    def action_open(self) -> None:
        """Open the run of the chosen row, or go on with its project where that has no run yet."""
        run, look = self._run(), self._project()
        if run is not None:
            self.post_message(RunChosen(run))
        elif look is not None:
            self._walk(look, "")

    def action_new(self) -> None:
        """Begin a project."""
        self.post_message(JourneyWanted(None, "folders"))

    def action_steps(self) -> None:
        """Walk through the steps of a project from the first one."""
        look = self._project()
        if look is not None:
            self._walk(look, "folders")

    def _walk(self, look: "ProjectLook", step: str) -> None:
        def begin() -> None:
            from trainer.project import open_project
            from tui.steps import step_to_go_on

            project = open_project(look.root)
            self.post_message(JourneyWanted(project, step or step_to_go_on(project)))

        if not self.is_busy("walk"):
            self.in_background(begin, "opening the project", "walk")

    @on(Input.Changed, "#filter")
    def show_matching(self) -> None:
        """Show what matches so far."""
        self._draw()

    @on(Input.Submitted, "#filter")
    def go_to_list(self) -> None:
        """Go on to the list."""
        self.query_one("#list").focus()

    def key_escape(self) -> None:
        """Drop the filter."""
        self.query_one(FilterInput).drop()
        self.query_one("#list").focus()

    def action_filter(self) -> None:
        """Begin to filter."""
        self.query_one(FilterInput).begin()

    def action_demo(self) -> None:
        """Walk through the demo, or attach to it when it runs."""
        live = self._overview.live if self._overview else ()
        demo = next((look for look in live if _is_demo(look)), None)
        if demo is not None:
            self.post_message(RunChosen(demo.folder))
            return

        def prepare() -> None:
            from tui import jobs

            self.post_message(JourneyWanted(jobs.prepare_demo(self._say), "folders"))

        self._starting = "Preparing the demo…"
        self.in_background(prepare, self._starting, "start")
        self._draw_detail()

    def action_train(self) -> None:
        """Ask whether the chosen project should be trained."""
        look = self._project()
        if look is not None:
            root, name = look.root, look.name

            def ask() -> None:
                from tui import jobs

                self.post_message(QuestionReady(root, name, jobs.training_question(root)))

            self.in_background(ask, "reading the project's settings", "ask")

    @on(QuestionReady)
    def ask(self, message: QuestionReady) -> None:
        """Show the question, and start training on yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._start(message.root, message.name)

        self.app.push_screen(Confirm(f"Train {message.name}?", message.text, "Train"), answered)

    def _start(self, root: Path, name: str) -> None:
        def work() -> None:
            from tui import jobs

            worker = get_current_worker()
            folder = jobs.start_training(root)
            self.post_message(Started(folder))
            jobs.watch_start(folder, lambda: worker.is_cancelled)

        self._starting = f"Starting to train {name}…"
        self.in_background(work, self._starting, "start")
        self._draw_detail()

    def _say(self, line: str) -> None:
        self.post_message(StartTold(printable(line)))

    @on(StartTold)
    def show_progress(self, message: StartTold) -> None:
        """Show how far the start is."""
        self._starting = f"{message.text}…"
        self._draw_detail()

    @on(Started)
    def open_started(self, message: Started) -> None:
        """Go to the run that was just started."""
        self.post_message(RunChosen(message.folder))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Forget what was being started; the base class, called as well, tells of work that failed."""
        if event.worker.group == "start" and event.state not in (WorkerState.PENDING, WorkerState.RUNNING):
            self._starting = ""
            self._draw_detail()


def _is_demo(look: "Glance") -> bool:
    from trainer.demo.job import NAME

    return look.folder.project_root.name == NAME
