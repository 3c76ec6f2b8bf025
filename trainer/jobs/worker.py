"""Carry out a job: in a process of its own, or in this one for the command line.

Nothing heavy is imported before the job's `started` event, so that a viewer sees it at once.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from trainer.errors import AppError
from trainer.faults import is_out_of_memory
from trainer.jobs.job import Done, Job, JobStopped
from trainer.run.control import discard
from trainer.run.events import Event, EventWriter
from trainer.run.folder import RunFolder
from trainer.run.heartbeat import Heartbeat
from trainer.run.jobs import job_kind, make_job, read_request
from trainer.run.lock import RunLock, process_identity
from trainer.run.signals import StopRequest
from trainer.text import printable

Work = Callable[[Job], Done]

WORK: Mapping[str, str] = {
    "caption": "trainer.jobs.caption:run",
    "crop": "trainer.jobs.crop:run",
    "check": "trainer.jobs.check:run",
    "grid": "trainer.jobs.grid:run",
    "studio": "trainer.jobs.studio:run",
}
"""The function of each kind of job, imported when it is wanted."""

_log = logging.getLogger(__name__)


def work(path: Path) -> int:
    """Carry out the job of a folder; return the exit code.

    Whatever goes wrong becomes a `failed` event with what to do; the traceback goes to the log.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder, stop = RunFolder(path.resolve()), StopRequest()
    stop.install()
    try:
        _carry_out(folder, read_request(folder), stop)
    except JobStopped:
        return 0
    except AppError as error:
        _log.error("%s", error)
        return 1
    except OSError as error:
        _log.error("the job's folder cannot be written: %s", error)
        return 1
    return 0


def run_here(
    project_root: Path, kind: str, request: Mapping[str, Any], listen: Callable[[Event], None] | None = None
) -> Any:
    """Carry out a new job in this process, seen by viewers as any other; Ctrl-C stops it after the picture at hand.

    Args:
        project_root: The project's folder.
        kind: A kind from `WORK`.
        request: What is asked for.
        listen: Told every event.

    Returns:
        The job's report.

    Raises:
        AppError: a job of the kind is under way, or this one failed.
        KeyboardInterrupt: it was stopped.
    """
    folder = make_job(project_root, kind, request)
    stop = StopRequest()
    try:
        with _signals(stop):
            return _carry_out(folder, request, stop, listen).report
    except JobStopped:
        raise KeyboardInterrupt from None


def _carry_out(
    folder: RunFolder, request: Mapping[str, Any], stop: StopRequest, listen: Callable[[Event], None] | None = None
) -> Done:
    """Do the job; its end is told, whatever it is, and then raised."""
    with RunLock(folder), EventWriter(folder.events_file) as events, Heartbeat(events):
        begun_s, kind = time.monotonic(), job_kind(folder)
        job = Job(folder, request, events, stop, listen)
        try:
            job.emit("started", **process_identity(), job=kind)
            job.emit("phase", name="starting", done=0, total=0)
            done = _function(kind)(job)
            job.emit("finished", seconds=round(time.monotonic() - begun_s, 3), **done.summary)
        except JobStopped:
            job.emit("stopped")
            discard(folder)
            raise
        except Exception as error:  # whatever it is, a viewer must learn of it
            if not isinstance(error, AppError):
                _log.exception("the job failed")
            failure = explain(error, folder)
            job.emit("failed", error=failure.title, message=failure.message, hint=failure.hint)
            raise failure from error
        return done


def explain(error: Exception, folder: RunFolder) -> AppError:
    """Return any failure of a job as a message for people."""
    if isinstance(error, AppError):
        return error
    said = printable((str(error).splitlines() or [type(error).__name__])[0])
    if is_out_of_memory(error):
        return AppError(
            "Out of memory", said, "Close what else uses the memory and start again: only what is missing is done then."
        )
    if isinstance(error, OSError):
        where = printable(error.filename or folder.project_root)
        return AppError(
            "File error",
            f"{printable(error.strerror or error)}: {where}.",
            "Make room or mend the path, then start again: only what is missing is done then.",
        )
    return AppError(
        "Internal error",
        f"The job met a bug ({type(error).__name__}: {said}); the traceback is in {printable(folder.worker_log)}.",
        "Start again to do what is missing, and report the traceback.",
    )


def _function(kind: str) -> Work:
    if kind not in WORK:
        raise AppError("Unknown job", f"There is no job {printable(kind, 40)}.", f"Known: {', '.join(WORK)}.")
    module, _, name = WORK[kind].partition(":")
    return cast(Work, getattr(import_module(module), name))


@contextmanager
def _signals(stop: StopRequest) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM stop the job; a second Ctrl-C ends the process. As before afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def first(number: int, _frame: object) -> None:
        stop.request()
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    try:
        for number in before:
            signal.signal(number, first)
    except ValueError:  # not the main thread: there Ctrl-C is somebody else's affair
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
