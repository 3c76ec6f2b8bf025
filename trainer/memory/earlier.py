"""What earlier runs on this very machine took: the only honest source of seconds."""

import socket
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from trainer.config import RunConfig, read_config
from trainer.errors import AppError
from trainer.run.events import Event, skim_events
from trainer.run.folder import RunFolder, find_runs

MOST_RUNS = 12
"""Only so many are looked at, the newest first."""
_TAIL_BYTES = 1 << 15
_RECENT_STEPS = 51


@dataclass(frozen=True)
class EarlierRun:
    """A run of this machine that made steps."""

    folder: RunFolder
    config: RunConfig
    device: str
    """As torch names it."""
    step_s: float
    """Median of its last steps."""
    preview_s: float | None
    peak_bytes: int | None
    """Most that torch's allocator held on the GPU, previews included."""
    step_peak_bytes: int | None
    """The same of a usual step alone: the median, as a step after a preview tells the preview's."""


def earlier_runs(project_root: Path) -> list[EarlierRun]:
    """Return runs of this machine: first those of a project, then those of its neighbours, the newest first."""
    folders = list(_folders(project_root))[:MOST_RUNS]
    return [run for folder in folders for run in _kept(folder.path, _age(folder.config_file), _age(folder.events_file))]


@lru_cache(maxsize=2 * MOST_RUNS)
def _kept(path: Path, *_ages: tuple[int, int]) -> tuple[EarlierRun, ...]:
    """Read a run again only when its files have changed: a plan is made at every key in the wizard."""
    return tuple(_read(RunFolder(path)))


def _age(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _folders(project_root: Path) -> Iterator[RunFolder]:
    try:
        yield from find_runs(project_root)
        neighbours = [path for path in project_root.parent.iterdir() if path != project_root and path.is_dir()]
        runs = [run for path in neighbours for run in find_runs(path)]
    except OSError:  # a folder beside the project that we may not look into
        return
    yield from sorted(runs, key=lambda run: run.day, reverse=True)


def _read(folder: RunFolder) -> Iterator[EarlierRun]:
    """Yield what a run tells; nothing where it made no step, is damaged, or belongs to another machine."""
    try:
        config = read_config(folder.config_file)
        head, tail = skim_events(folder.events_file, lambda event: event["kind"] == "step", tail_bytes=_TAIL_BYTES)
    except (AppError, OSError):
        return
    events = head + tail
    hosts = {event.get("host") for event in events if event["kind"] == "started"}
    devices = [str(event["device"]) for event in events if event["kind"] == "phase" and event.get("device")]
    steps = [event for event in events if event["kind"] == "step"]
    seconds = _numbers(steps, "seconds")[-_RECENT_STEPS:]
    if hosts != {socket.gethostname()} or not devices or not seconds:
        return
    held = _numbers(steps, "vram_bytes")
    previews = _numbers([event for event in events if event["kind"] == "preview"], "seconds")
    yield EarlierRun(
        folder,
        config,
        devices[-1],
        statistics.median(seconds),
        statistics.median(previews) if previews else None,
        int(max(held, default=0)) or None,
        int(statistics.median(held)) if held else None,
    )


def _numbers(events: list[Event], name: str) -> list[float]:
    values = [event.get(name) for event in events]
    return [float(value) for value in values if isinstance(value, (int, float)) and value > 0]
