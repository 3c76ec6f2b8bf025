"""What only the kernel knows: whether it killed for want of memory, and that a child shall not outlive its parent."""

import logging
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_OOM_SCORE = 300
"""Added to the worker's badness, so that the kernel takes it before the supervisor or a login."""
_log = logging.getLogger(__name__)


def oom_kills(mounted: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return how often the kernel killed in this process's control groups as memory ran out; None where none tells.

    Files as in the kernel's Documentation/admin-guide/cgroup-v2.rst (memory.events) and cgroup-v1/memory.rst
    (memory.oom_control).
    """
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    counts = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        is_v1 = "memory" in controllers.split(",")
        if controllers and not is_v1:
            continue
        root = mounted / "memory" if is_v1 else mounted
        name = "memory.oom_control" if is_v1 else "memory.events"
        for folder in (root / path.strip("/"), root):
            count = _counter(folder / name)
            if count is not None:
                counts.append(count)
                break
    return max(counts, default=None)


def _counter(path: Path) -> int | None:
    try:
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except (OSError, ValueError):
        return None
    return None


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, and offer it first when memory runs out.

    Args:
        parent: The parent's pid: where it has ended already, this process ends at once.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        try:
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))
        except OSError as error:
            _log.info("the kernel's choice when memory runs out stays as it is: %s", error)
    if os.getppid() != parent:
        os._exit(1)
