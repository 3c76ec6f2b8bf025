"""What the Crop step knows, what is asked for, and the jobs that it has done; `crop.py` shows it."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from textual import on
from textual.worker import Worker

from trainer.history import History
from trainer.pictures.check import CheckReport
from trainer.pictures.choices import write_choices
from trainer.pictures.faces import NO_FACE
from trainer.text import printable
from tui.crop_answers import Answers, Survey, read_report, survey, write_answers
from tui.crop_text import UNSEEN, Verdict, verdicts_of
from tui.keys import key_for
from tui.messages import Renewed
from tui.screens.step import Problem, StepScreen
from tui.widgets.frame_pane import FramePane
from tui.widgets.job_line import JobLine, ending_error
from tui.words import counted

if TYPE_CHECKING:
    from trainer.project import Project
    from tui.journey import Journey


class CropWork(StepScreen):
    """The part of the step without its list and keys."""

    def __init__(self, journey: "Journey") -> None:
        super().__init__(journey)
        # The line of keys asks them for the first time before they are on the screen.
        self._pane = FramePane(plain=journey.plain, id="pane")
        self._check = JobLine("check", id="check")
        self._work = JobLine("crop", id="work")
        self._survey: Survey | None = None
        self._history: History[Answers] | None = None
        self._report: CheckReport | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._num_items = 0
        self._paths: tuple[Path, ...] = ()
        self._names: tuple[str, ...] = ()
        self._has_faces = False
        self._faceless: set[str] = set()
        self._pending: int | None = None
        self._goes_on = False
        self._write_lock = Lock()

    def _show_list(self) -> None:
        """Show what is known now."""
        raise NotImplementedError

    def _show_changed(self) -> None:
        """Show what was changed on the chosen picture."""
        raise NotImplementedError

    # What is known.

    def load(self, project: "Project | None") -> None:
        """Look at the project's pictures, and whether they are being worked on."""
        if project is None:
            return
        self._pane.forget()
        self._check.attach(project.root)
        self._work.attach(project.root)
        self._in_survey(lambda: self._read(project))

    def _in_survey(self, work: Callable[[], object]) -> Worker[object]:
        return self.in_background(work, "looking at the pictures", "survey")

    def _read(self, project: "Project") -> None:
        self._survey = survey(project)
        self.post_message(Renewed())

    @on(Renewed)
    def _take(self) -> None:
        """Show what was read."""
        known = self._survey
        if known is not None:
            self._survey = None
            self._paths, self._has_faces, self._faceless = known.paths, known.has_faces, set(known.faceless)
            self._history = History(known.answers)
            self._names = tuple(path.name for path in known.paths)
            if known.report is not None:
                self._report, self._verdicts = known.report, dict(known.verdicts)
            if known.report is None and known.paths and not self._check.is_at_work:
                self._check.start(self._project.root, {"size": known.answers.options.size})
        elif self._pending is not None:
            pending, self._pending = self._pending, None
            self._crop_or_go_on(pending)
        self._show_list()

    @on(JobLine.Progressed)
    def take_verdicts(self, event: JobLine.Progressed) -> None:
        """Show verdicts as they come."""
        event.stop()
        items = self._check.view.state.items
        if self._check.is_at_work and len(items) != self._num_items:
            for item in items[self._num_items if self._num_items < len(items) else 0 :]:
                self._verdicts[item.name] = Verdict(item.status, printable(item.detail, 400))
            self._num_items = len(items)
            self._show_list()

    @on(JobLine.Ended, "#check")
    def read_verdicts(self, event: JobLine.Ended) -> None:
        """Show all verdicts."""
        error, project, answers = ending_error(event.view), self._project, self._asked
        self._num_items = 0
        if error is not None and self.is_current:
            self.show_trouble(error)
        self._reread(project, answers)

    def _reread(self, project: "Project", answers: Answers) -> None:
        def read() -> None:
            report = read_report(project, answers.options, even_outdated=True)
            if report is not None:
                self._report, self._verdicts = report, verdicts_of(report)
            self.post_message(Renewed())

        self._in_survey(read)

    # What is asked for.

    @property
    def _project(self) -> "Project":
        assert self.journey.project is not None
        return self.journey.project

    @property
    def _asked(self) -> Answers:
        assert self._history is not None
        return self._history.state

    def change(self, answers: Answers, what: str) -> None:
        """Take other answers, show them, and write down what concerns single pictures."""
        assert self._history is not None
        before = self._asked
        self._history.change(answers, what)
        self._after_change(before)

    def _after_change(self, before: Answers) -> None:
        now = self._asked
        if now.options == before.options and now.choices.left_out == before.choices.left_out:
            self._show_changed()
        else:
            self._show_list()
        self.draw_keys()
        self.in_background(self._write_choices, "saving what you chose", "save")
        if now.options != before.options:
            self._reread(self._project, now)

    def _write_choices(self) -> None:
        with self._write_lock:
            write_choices(self._project.root, self._asked.choices)

    def commit(self, project: "Project | None") -> "Project":
        """Write the answers."""
        assert project is not None
        if self._history is None:
            return project
        with self._write_lock:
            return write_answers(project, self._asked)

    def problems(self) -> list[Problem]:
        """Return what keeps the user from going on."""
        if self._history is None:
            return [Problem("pictures", "The pictures are still being looked at; a moment.")]
        if not self._paths:
            folder = printable(self._project.pictures, 200)
            return [Problem("pictures", f"There are no pictures yet. Put some into {folder}, or go back to Folders.")]
        if not self._usable():
            key = key_for("crop.leave_out")
            return [Problem("pictures", f"No picture is left to train with. {key} takes one back that you left out.")]
        return []

    def _usable(self) -> bool:
        left_out = self._asked.choices.left_out
        return any(
            name not in left_out and self._verdicts.get(name, UNSEEN).status != "left-out" for name in self._names
        )

    # Cropping, on the way to the next step.

    def action_next(self) -> None:
        """Keep the answers, crop what changed, and go on."""
        if not self.keep():
            return
        from trainer.pictures.folder import pending

        project, answers = self._project, self._asked
        unusable = {name for name, verdict in self._verdicts.items() if verdict.status == "left-out"}

        def count() -> None:
            self._pending = pending(
                project.pictures,
                project.processed,
                answers.options,
                frames=answers.choices.frames,
                modes=answers.choices.modes,
                left_out=answers.choices.left_out | unusable,
            )
            self.post_message(Renewed())

        self.in_background(count, "looking what changed", "pending")

    def _crop_or_go_on(self, pending: int) -> None:
        if pending == 0:
            self.go_on()
            return
        self._goes_on = True
        self._work.start(self._project.root, {})
        self.explain(f"{counted(pending, 'picture')} to crop. You may leave meanwhile; the work goes on.")
        self.draw_keys()

    @on(JobLine.Ended, "#work")
    def end_cropping(self, event: JobLine.Ended) -> None:
        """Go on when all is done; say what went wrong else."""
        goes_on, self._goes_on = self._goes_on, False
        self._faceless |= {item.name for item in event.view.state.items if NO_FACE in item.detail}
        error = ending_error(event.view)
        if error is not None and self.is_current:
            self.show_trouble(error)
        elif error is None and goes_on and self.is_current and event.view.state.results:
            self.go_on()
        self.draw_keys()
        self.look_behind()

    @on(JobLine.Failed)
    def tell_failed(self, event: JobLine.Failed) -> None:
        """Say why a job couldn't be started."""
        self._goes_on = False
        self.show_trouble(event.error)
        self.draw_keys()

    def action_cancel(self) -> None:
        """Stop what is at work."""
        for line in (self._check, self._work):
            line.stop()
