"""Which process is meant: a pid proves nothing, as pids are used again and the dead may linger."""

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_SAME_START_S = 0.05


@dataclass(frozen=True)
class Identity:
    """A process that can't be mistaken for another."""

    pid: int
    process_start_s: float | None
    """When the process started: seconds since boot on Linux, which no clock change moves; else UTC seconds."""
    host: str

    @staticmethod
    def own() -> "Identity":
        """Return this very process."""
        return Identity(os.getpid(), process_start_s(os.getpid()), socket.gethostname())

    @property
    def is_here(self) -> bool:
        """Whether the process belongs to this machine."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether this process, and not a later one with its pid, runs on this machine; a zombie doesn't."""
        started_s = process_start_s(self.pid) if self.is_here else None
        if started_s is None or self.process_start_s is None:
            return False
        return abs(started_s - self.process_start_s) < _SAME_START_S

    def to_json(self) -> str:
        """Write as one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def from_json(text: str) -> "Identity | None":
        """Read what `to_json` wrote; None when it is something else."""
        try:
            tree: dict[str, Any] = json.loads(text)
            start = tree["process_start_s"]
            return Identity(int(tree["pid"]), None if start is None else float(start), str(tree["host"]))
        except (ValueError, TypeError, KeyError):
            return None


def process_start_s(pid: int) -> float | None:
    """Return when a process started, as in `Identity`; None when there is none, or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_by_psutil(pid)
    # The name stands in parentheses and may hold anything, so count from the last one: state is field 3, start 22.
    parts = stat.rpartition(")")[2].split()
    return None if parts[0] in ("Z", "X") else int(parts[19]) / os.sysconf("SC_CLK_TCK")


def _start_by_psutil(pid: int) -> float | None:
    import psutil  # type: ignore[import-untyped]

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None
