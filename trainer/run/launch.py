"""Starting workers that outlive the terminal they were started from."""

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import AppError
from trainer.run import logout
from trainer.run.control import discard
from trainer.run.events import Event, EventReader, log_size
from trainer.run.folder import RunFolder
from trainer.run.lock import is_held, owner
from trainer.text import printable

logout_warning = logout.logout_warning

START_S = 120.0
"""How long a worker may take until its first event; it comes before the heavy imports."""

_POLL_S = 0.05
_CALM = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Lets torch's threads on the processor sleep while they wait for each other. By default they spin, and where anything
else uses the machine, a step takes ten times as long."""
_LOG_LINES = 12
_LOG_BYTES = 1 << 15


@dataclass(frozen=True)
class _Launch:
    process: "subprocess.Popen[bytes]"
    events_from: int
    log_from: int


_launched: dict[Path, _Launch] = {}
"""The last worker that this process started on each run: kept so that its end is noticed and reaped."""


def start_worker(
    folder: RunFolder,
    module: str = "trainer",
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    keep_commands: bool = False,
) -> int:
    """Start `python -m MODULE RUN ARGUMENTS` in a session of its own, without a terminal.

    Its output is appended to `worker.log`. It works in the project's folder, which is not on its import path.

    Args:
        folder: The run, with its `run.toml`.
        module: The module to run.
        arguments: What follows the run's folder on the command line.
        environment: Variables on top of this process's own.
        keep_commands: Leave commands that wait in `control/` to the new worker, as in a recovery.

    Returns:
        The worker's pid.

    Raises:
        AppError: a worker is on the run already, or none can be started.
    """
    if is_held(folder):
        holder = owner(folder)
        raise AppError(
            "Run in use",
            f"A worker (pid {holder.pid if holder else 'unknown'}) is on {printable(folder.title)} already.",
            f"Follow it with `hypernet attach {folder.argument}`.",
        )
    command = [sys.executable, "-P", "-m", module, str(folder.path.absolute()), *arguments]
    try:
        if not keep_commands:
            discard(folder)
        launch = _start(folder, [*logout.logout_behaviour().prefix, *command], environment or {})
    except OSError as error:
        raise AppError(
            "Worker not started",
            f"{printable(folder.path)}: {error.strerror}.",
            "Free some memory or disk space and try again.",
        ) from None
    _launched[folder.path] = launch
    return launch.process.pid


def _start(folder: RunFolder, command: Sequence[str], environment: Mapping[str, str]) -> _Launch:
    handle = os.open(folder.worker_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        log_from, events_from = os.fstat(handle).st_size, log_size(folder.events_file)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            cwd=folder.project_root,
            env={**_CALM, **os.environ, **same_package(), "PYTHONUNBUFFERED": "1", **environment},
            start_new_session=True,
        )
    finally:
        os.close(handle)
    return _Launch(process, events_from, log_from)


def same_package() -> dict[str, str]:
    """Return the variables with which another Python imports the very package that this process runs.

    Started in a checkout, a program takes it from there; `-P` alone would let its worker take what is installed.
    """
    root = str(Path(__file__).resolve().parents[2])
    if root in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return {}
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != root]
    return {"PYTHONPATH": os.pathsep.join([root, *others])}


def wait_for_start(folder: RunFolder, timeout_s: float = START_S) -> Event:
    """Wait until the worker that this process started tells that it has.

    Returns:
        Its `started` event, or `failed` when it told why it could not start.

    Raises:
        AppError: it ended without a word (the message holds the last lines of its log), or is silent for too long.
    """
    launch = _launched[folder.path]
    reader = EventReader(folder.events_file, launch.events_from)
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        gone = launch.process.poll() is not None
        for event in reader.new():
            if event["kind"] in ("started", "failed"):
                return event
        if gone:
            raise _ended(folder, launch)
        time.sleep(_POLL_S)
    raise AppError(
        "Worker silent",
        f"The worker of {printable(folder.title)} (pid {launch.process.pid}) has not begun after {timeout_s:.0f} s.",
        f"It may yet begin; see `hypernet status` and {printable(folder.worker_log)}.",
    )


def ended_early(folder: RunFolder) -> bool:
    """Tell whether the worker that this process started on the folder has ended; False where it started none."""
    launch = _launched.get(folder.path)
    return launch is not None and launch.process.poll() is not None


def _ended(folder: RunFolder, launch: _Launch) -> AppError:
    code = launch.process.returncode
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    said = "\n".join(log_lines(folder, launch.log_from))
    return AppError(
        "Worker ended",
        f"The worker of {printable(folder.title)} ended {how} before it began." + (f"\n{said}" if said else ""),
        f"All it printed is in {printable(folder.worker_log)}.",
    )


def log_lines(folder: RunFolder, start: int = 0, count: int = _LOG_LINES) -> list[str]:
    """Return the last lines of `worker.log`, harmless for a terminal.

    Args:
        folder: The run.
        start: Lines before this offset in bytes are left out.
        count: Most lines returned.
    """
    try:
        with open(folder.worker_log, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - _LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [printable(line.rstrip("\r")) for line in text.split("\n") if line.strip()][-count:]
