"""Review: all that will be done, in plain words, and Start."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Button
from textual.worker import Worker, WorkerState, get_current_worker

from trainer.errors import AppError
from trainer.text import printable
from tui import jobs
from tui.journey import Journey
from tui.keys import bindings
from tui.messages import Renewed, RunChosen, Started
from tui.plan_text import warning_lines
from tui.review_text import aligned, command_line, review_rows
from tui.screens.step import Problem, StepScreen
from tui.steps import steps_behind
from tui.widgets.line import Line
from tui.words import wrapped

if TYPE_CHECKING:
    from trainer.project import Project


class ReviewScreen(StepScreen):
    """Says what the run will do, and starts it."""

    STEP = "review"
    CSS_PATH = "review.tcss"
    PURPOSE = "All that will be done. A started run goes on by itself when you leave."
    HELP = (
        "The command line at the bottom starts the same run from any shell. Settings that don't fit into the free "
        "memory are replaced by the least costly ones that do; only a smaller picture size, which costs quality, is "
        "never taken without being asked for."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("review.copy"),
        Binding("down,pagedown", "scroll(1)", show=False),
        Binding("up,pageup", "scroll(-1)", show=False),
    ]
    FOOTER = ("step.next", "step.back", "review.copy", "app.help", "app.leave")

    def __init__(self, journey: Journey) -> None:
        super().__init__(journey)
        self._rows: list[tuple[str, str]] = []
        self._warnings: list[str] = []
        self._command = ""
        self._missing: list[str] = []

    def compose_body(self) -> ComposeResult:
        """Lay out facts, warnings, command line and Start."""
        yield Line(id="facts", keeps_place=True)
        yield Line(id="warnings")
        yield Button("Start training", id="start")
        yield Line(id="command")

    def load(self, project: "Project | None") -> None:
        """Look at the project anew."""
        self.query_one("#start").focus()

    def on_screen_resume(self) -> None:
        """Look again at each visit: pictures and free memory may have changed."""
        project = self.journey.project
        if project is not None and not self.is_busy("review"):
            self.in_background(lambda: self._look(project), "looking at the run to be", "review")

    def _look(self, project: "Project") -> None:
        from trainer.memory import make_plan
        from trainer.run.launch import logout_warning

        config = project.settings()
        behind = steps_behind(project)
        names = {"crop": "The pictures are not cropped yet.", "caption": "Some pictures have no caption yet."}
        self._missing = [text for id_, text in names.items() if id_ not in behind]
        try:
            plan = make_plan(project, config)
            told = list(plan.warnings)
        except AppError as error:
            plan, told = None, [str(error)]
        self._warnings = [*self._missing, *told, *filter(None, [logout_warning()])]
        self._rows, self._command = review_rows(project, config, plan), command_line(project, config)
        self.post_message(Renewed())

    @on(Renewed)
    def show_review(self) -> None:
        """Show what is known."""
        width = max(30, self.query_one("#body").content_size.width - 1)
        self.query_one("#facts", Line).say("\n".join(aligned(self._rows, width)))
        marked = warning_lines([printable(text, 400) for text in self._warnings], width)
        self.query_one("#warnings", Line).say("\n".join(["", *marked]) if marked else "")
        told = wrapped(f"From a shell: {printable(self._command, 4000)}", width) if self._command else []
        self.query_one("#command", Line).say("\n".join(told))
        self.draw_keys()

    def on_resize(self) -> None:
        """Fit the lines."""
        self.call_after_refresh(self.show_review)

    def name_of(self, id_: str) -> str:
        """Call Next what it does here."""
        return "start" if id_ == "step.next" else super().name_of(id_)

    def help_of(self, widget: Widget | None) -> str:
        """Return what Start does."""
        return "Enter starts the run. Leaving the wizard never stops it." if isinstance(widget, Button) else ""

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        if action == "next" and self.is_busy("start"):
            return "The run is being started already."
        if action == "copy" and not self._command:
            return "The command is not known yet."
        return super().why_not(action)

    def problems(self) -> Sequence[Problem]:
        """Return what must be done first: pictures must be cropped; captions may be missing."""
        behind = steps_behind(self.journey.project)
        return [] if "crop" in behind else [Problem("", "The pictures are not cropped yet: 2 goes to that step.")]

    def action_scroll(self, by: int) -> None:
        """Show what lies above or below."""
        self.query_one("#body").scroll_relative(y=by * 4, animate=False)

    def action_copy(self) -> None:
        """Copy the command line."""
        self.app.copy_to_clipboard(self._command)
        self.notify("Copied, if your terminal allows it; else select the line.", markup=False)

    def put_aside(self) -> bool:
        """Go back in any case: there is nothing to keep here."""
        return True

    @on(Button.Pressed, "#start")
    def action_next(self) -> None:
        """Start the run and go to it."""
        project = self.journey.project
        problems = self.problems()
        if project is None or problems or self.is_busy("start"):
            for problem in problems[:1]:
                self.show_problem(problem)
            return

        def start() -> None:
            worker = get_current_worker()
            folder = jobs.start_training(project.root)
            self.post_message(Started(folder))
            jobs.watch_start(folder, lambda: worker.is_cancelled)

        self.in_background(start, "starting the run", "start")
        self.explain("Starting…")

    @on(Started)
    def open_run(self, message: Started) -> None:
        """Go to the run that was just started."""
        self.post_message(RunChosen(message.folder))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Free the keys again; the base class, called as well, tells of work that failed."""
        if event.worker.group == "start" and event.state in (WorkerState.ERROR, WorkerState.CANCELLED):
            self.say_help()
            self.draw_keys()
