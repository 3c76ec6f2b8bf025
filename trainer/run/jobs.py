"""Long jobs other than training (captions, crops, …): their folders, and starting their processes.

A job lies in `PROJECT/jobs/KIND/NNNN` and is used as a run is: events, lock, commands and log have the same names.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.run.folder import RunFolder
from trainer.run.launch import ended_early, start_worker
from trainer.run.lock import is_held
from trainer.run.status import read_status
from trainer.text import printable

MODULE = "trainer.jobs"
REQUEST_FILE = "job.json"
KEPT = 5
"""So many folders of one kind are kept; older ones are removed."""

EXCLUSIVE = {"crop": ("crop", "caption"), "caption": ("caption", "crop")}
"""Kinds that can't run beside a job, where it is more than its own: both write the training pictures' folder."""

_LOCK_S = 10.0


def start_job(project_root: Path, kind: str, request: Mapping[str, Any]) -> RunFolder:
    """Start a job in a process of its own, which outlives this one.

    Args:
        project_root: The project's folder.
        kind: "caption", "crop", "check", …: a name from `trainer.jobs.worker.WORK`.
        request: What is asked for, as JSON can hold it.

    Raises:
        AppError: a job of that kind is at it already, or the folder or the process can't be made.
    """
    folder = make_job(project_root, kind, request)
    try:
        start_worker(folder, MODULE)
    except AppError:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder


def make_job(project_root: Path, kind: str, request: Mapping[str, Any]) -> RunFolder:
    """Make the folder of a new job without starting it; arguments and errors as for `start_job`."""
    from filelock import FileLock, Timeout

    parent = _kind_folder(project_root, kind)
    try:
        for each in (parent.parent, parent):
            each.mkdir(mode=0o700, exist_ok=True)
        with FileLock(parent.parent / ".lock", timeout=_LOCK_S, mode=0o600):
            _refuse_second(project_root, kind)
            _prune(project_root, kind)
            folder = RunFolder(parent / f"{_newest_number(parent) + 1:04d}")
            folder.path.mkdir(mode=0o700)
            folder.control.mkdir(mode=0o700)
            write_atomic(folder.path / REQUEST_FILE, json.dumps(dict(request)) + "\n")
    except (OSError, Timeout) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise AppError(
            "Cannot make the job's folder",
            f"{printable(parent)}: {reason}.",
            "Free some space there, or choose a project folder you may write to.",
        ) from None
    return folder


def read_request(folder: RunFolder) -> dict[str, Any]:
    """Return what a job was asked for.

    Raises:
        AppError: its `job.json` is missing or damaged.
    """
    path = folder.path / REQUEST_FILE
    try:
        tree = json.loads(path.read_bytes())
        if not isinstance(tree, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise AppError("No such job", f"{printable(path)}: {printable(error, 200)}.", "Start the job again.") from None
    return tree


def job_kind(folder: RunFolder) -> str:
    """Return a job's kind, e.g. "caption"."""
    return folder.path.parent.name


def newest_job(project_root: Path, kind: str) -> RunFolder | None:
    """Return the last job of a kind, whatever became of it; None where there was none."""
    jobs = list(_jobs(project_root, kind))
    return jobs[-1] if jobs else None


def live_job(project_root: Path, kind: str) -> RunFolder | None:
    """Return the job of a kind that is at work or about to be; None where there is none."""
    newest = newest_job(project_root, kind)
    if newest is None or not read_status(newest).is_live or (ended_early(newest) and not is_held(newest)):
        return None
    return newest


def _refuse_second(project_root: Path, kind: str) -> None:
    for each in EXCLUSIVE.get(kind, (kind,)):
        if (other := live_job(project_root, each)) is not None:
            raise AppError(
                "Job under way",
                f"A {each} job ({printable(other.title)}) is at work on this project already.",
                f"Wait for it, or stop it: hypernet stop {other.argument}",
            )


def _prune(project_root: Path, kind: str) -> None:
    for folder in list(_jobs(project_root, kind))[: 1 - KEPT]:
        if not is_held(folder):
            shutil.rmtree(folder.path, ignore_errors=True)


def _jobs(project_root: Path, kind: str) -> Iterator[RunFolder]:
    parent = _kind_folder(project_root, kind)
    yield from (RunFolder(parent / name) for _, name in sorted(_numbered(parent)))


def _newest_number(parent: Path) -> int:
    return max((number for number, _ in _numbered(parent)), default=0)


def _numbered(parent: Path) -> Iterator[tuple[int, str]]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in parent.iterdir():
            if entry.name.isdecimal() and entry.is_dir():
                yield int(entry.name), entry.name


def _kind_folder(project_root: Path, kind: str) -> Path:
    if not kind.isidentifier():
        raise ValueError(f"{kind!r} is no kind of job")
    return project_root / "jobs" / kind
