"""One worker per run: a lock held for life, which names its holder and which the kernel releases at death."""

import errno
import fcntl
import os
import signal
from dataclasses import asdict
from types import TracebackType
from typing import Any

from trainer.errors import AppError
from trainer.run.folder import RunFolder
from trainer.run.identity import Identity
from trainer.text import printable

_PATIENCE_S = 1.0
"""A viewer that looks whether the lock is held disturbs for microseconds."""


class RunLock:
    """Holds a run's lock; used as a context manager by the worker, around everything it does.

    Raises:
        AppError: on entering, when another worker holds it or the folder can't be written.
    """

    def __init__(self, folder: RunFolder) -> None:
        from filelock import FileLock

        self._folder = folder
        self._lock = FileLock(folder.lock_file, timeout=_PATIENCE_S, mode=0o600, thread_local=False)

    def __enter__(self) -> "RunLock":
        from filelock import Timeout

        try:
            self._lock.acquire()
        except Timeout:
            raise _taken(self._folder) from None
        except OSError as error:
            raise AppError(
                "Cannot lock the run",
                f"{printable(self._folder.lock_file)}: {error.strerror or error}.",
                "The run's folder must be writable.",
            ) from None
        try:
            _write(self._folder, Identity.own())
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


def _taken(folder: RunFolder) -> AppError:
    holder = owner(folder)
    who = f"pid {holder.pid} on {printable(holder.host)}" if holder else "unknown"
    return AppError(
        "Run in use",
        f"another worker ({who}) is on this run: {printable(folder.path)}.",
        f"Follow it with `hypernet attach {folder.argument}`, or stop it first.",
    )


def _write(folder: RunFolder, identity: Identity) -> None:
    data = identity.to_json().encode("utf-8")
    handle = os.open(folder.lock_file, os.O_WRONLY)
    try:
        os.pwrite(handle, data, 0)
        os.ftruncate(handle, len(data))
    finally:
        os.close(handle)


def process_identity() -> dict[str, Any]:
    """Return this process's `pid`, `process_start_s` and `host`, as `started` tells them."""
    return asdict(Identity.own())


def owner(folder: RunFolder) -> Identity | None:
    """Return who holds the run's lock, or held it last; None when nobody ever did."""
    try:
        return Identity.from_json(folder.lock_file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def is_held(folder: RunFolder) -> bool:
    """Tell whether a worker is on the run, without disturbing it."""
    try:
        handle = os.open(folder.lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two viewers that look at the same moment don't take each other for the worker.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return True
        # A file system without locks: the holder's identity is all there is.
        holder = owner(folder)
        return holder is not None and holder.is_alive
    finally:
        os.close(handle)
    return False


def kill_worker(folder: RunFolder) -> Identity:
    """Kill the run's worker without letting it save; the run can go on from its last state.

    Raises:
        AppError: no worker is on the run, or it runs on another machine, or isn't ours.
    """
    holder = owner(folder)
    if holder is None or not is_held(folder):
        raise AppError("No worker", f"Nobody works on {printable(folder.title)}.", "")
    if not holder.is_alive:
        raise AppError(
            "Worker elsewhere",
            f"The worker of {printable(folder.title)} is pid {holder.pid} on {printable(holder.host)}.",
            "Stop it there.",
        )
    try:
        os.kill(holder.pid, signal.SIGKILL)
    except PermissionError:
        raise AppError("Not allowed", f"The worker (pid {holder.pid}) belongs to another user.", "") from None
    return holder
