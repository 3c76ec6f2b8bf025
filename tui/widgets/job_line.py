"""A job that goes on in a process of its own: how far it is, and how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual import on
from textual.message import Message
from textual.worker import Worker, WorkerState, get_current_worker

from trainer.errors import AppError
from trainer.run.folder import RunFolder
from trainer.run.status import Status
from trainer.text import duration_text, printable
from tui import jobs
from tui.feed import RunFeed, RunView
from tui.messages import Renewed
from tui.problems import reported
from tui.widgets.line import Line
from tui.words import bar

FOLLOW_S = 0.5


class JobLine(Line):
    """One line of progress; hidden while no job is at work. Leaving the screen never stops a job.

    Args:
        kind: Of the jobs, e.g. "crop".
    """

    class Progressed(Message):
        """There is news; it lies in `view`."""

        def can_replace(self, message: Message) -> bool:
            """Let a later message stand for this one."""
            return isinstance(message, type(self))

    @dataclass
    class Ended(Message):
        """The job has ended, for whatever reason."""

        line: "JobLine"
        view: RunView

        @property
        def control(self) -> "JobLine":
            """The line."""
            return self.line

    @dataclass
    class Failed(Message):
        """The job couldn't be started or followed."""

        line: "JobLine"
        error: AppError

    @dataclass
    class _Found(Message):
        folder: RunFolder

    def __init__(self, kind: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.kind = kind
        self._feed: RunFeed | None = None
        self._is_starting = False
        self._is_stopping = False

    @property
    def view(self) -> RunView:
        """The job at work, or the last one."""
        return self._feed.view if self._feed is not None else RunView()

    @property
    def is_at_work(self) -> bool:
        """Whether a job is being started or is at work."""
        return self._is_starting or self._feed is not None

    def on_mount(self) -> None:
        """Follow."""
        self.set_interval(FOLLOW_S, self._tick)

    def start(self, root: Path, request: Mapping[str, Any]) -> None:
        """Start a job.

        Args:
            root: The project's folder.
            request: What is asked for.
        """
        from trainer.run.jobs import start_job

        def work() -> None:
            worker = get_current_worker()
            folder = start_job(root, self.kind, request)
            jobs.watch_start(folder, lambda: worker.is_cancelled)
            self.post_message(self._Found(folder))

        self._is_starting = True
        self._work(work, f"starting to {self.kind}")
        self._draw()

    def attach(self, root: Path) -> None:
        """Follow the job of a project that is at work, if there is one."""
        from trainer.run.jobs import live_job

        def work() -> None:
            folder = live_job(root, self.kind)
            if folder is not None:
                self.post_message(self._Found(folder))

        if not self.is_at_work:
            self._work(work, f"looking for a job ({self.kind})")

    def stop(self) -> None:
        """Ask the job to stop; what it did stays done."""
        from trainer.run.control import send

        if self._feed is not None and not self._is_stopping:
            self._is_stopping, folder = True, self._feed.folder
            self._work(lambda: send(folder, "stop"), "stopping the job")
            self._draw()

    @on(_Found)
    def _follow(self, message: _Found) -> None:
        message.stop()
        if self._feed is None or self._feed.folder != message.folder:
            self._feed, self._is_starting, self._is_stopping = RunFeed(message.folder), False, False
            self._tick()

    def _tick(self) -> None:
        feed = self._feed
        is_busy = any(worker.group == "follow" and worker.node is self for worker in self.workers)
        if feed is not None and not is_busy:
            self._work(lambda: self._advance(feed), "following a job", "follow")

    def _advance(self, feed: RunFeed) -> None:
        worker = get_current_worker()
        feed.advance(lambda: worker.is_cancelled)
        self.post_message(Renewed())

    @on(Renewed)
    def _take(self, message: Renewed) -> None:
        message.stop()
        self.post_message(self.Progressed())
        view = self.view
        if self._feed is not None and view.is_whole and not view.status.is_live:
            self._feed = None
            self.post_message(self.Ended(self, view))
        self._draw()

    def _draw(self) -> None:
        self.say(progress_text(self.kind, self.view, max(20, self.app.size.width - 6)) if self.is_at_work else "")

    def _work(self, work: Callable[[], object], description: str, group: str = "job") -> None:
        self.run_worker(work, name=description, description=description, group=group, thread=True, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Tell of a job that couldn't be started."""
        event.stop()
        error = event.worker.error
        if event.state is WorkerState.ERROR and error is not None:
            self._feed, self._is_starting = None, False
            self.say("")
            self.post_message(self.Failed(self, error if isinstance(error, AppError) else reported(error)))


def progress_text(kind: str, view: RunView, width: int) -> str:
    """Return how far a job is: what it does, a bar, the count and the time to go."""
    phase = view.state.phase
    if phase is None or (view.status is Status.STARTING and not phase.total):
        return f"{kind}: starting…"
    name = printable(phase.name, 40)
    if view.status is Status.STOPPING:
        return f"{name}: stopping after the picture at hand…"
    if not phase.total or phase.total == 1:  # a whole thing, done or not
        return f"{name}…"
    left = f"  {duration_text(phase.eta_s)} left" if phase.eta_s is not None else ""
    told = f"{phase.done or 0:,} of {phase.total:,}{left}"
    room = min(40, width - len(name) - len(told) - 4)
    drawn = f"{bar((phase.done or 0) / phase.total, room)}  " if room >= 8 else ""
    return f"{name}  {drawn}{told}"


def ending_error(view: RunView) -> AppError | None:
    """Return what to tell of a job that ended badly; None where it finished or was stopped by the user."""
    if view.status in (Status.FINISHED, Status.STOPPED):
        return None
    failure = view.state.failure
    if failure is not None:
        return AppError(failure.error, failure.message, failure.hint)
    return AppError(
        "The work broke off", "Its process is gone without a word.", "Start it again: what is done is kept."
    )
