"""How a run stands, judged from its lock, its last events and their age."""

import time
from dataclasses import dataclass
from enum import StrEnum

from trainer.run.events import Event, skim_events
from trainer.run.facts import Situation
from trainer.run.folder import RunFolder
from trainer.run.lock import is_held
from trainer.run.state import RunState, replay_skimmed

STALLED_S = 30.0
"""A worker that was silent for six heartbeats has stopped, whatever its lock says."""

LAUNCH_S = 120.0
"""How long a worker may take from its launch until it holds the lock."""

MEMORY_ERRORS = frozenset({"outofmemory", "outofmemoryerror", "memoryerror"})
"""Values of `failed`'s `error` that mean too little memory, in lower case without spaces and hyphens."""


class Status(StrEnum):
    """How a run stands."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    NEEDS_YOU = "needs-you"
    STALLED = "stalled"
    STOPPING = "stopping"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    OUT_OF_MEMORY = "out-of-memory"
    LOST = "lost"

    @property
    def is_live(self) -> bool:
        """Whether a worker is at it."""
        return self in _LIVE

    @property
    def can_resume(self) -> bool:
        """Whether a new worker may go on from the last state."""
        return self in (Status.STOPPED, Status.FAILED, Status.OUT_OF_MEMORY, Status.LOST)


_LIVE = frozenset({Status.STARTING, Status.RUNNING, Status.PAUSED, Status.NEEDS_YOU, Status.STALLED, Status.STOPPING})

_WORKING = {
    Situation.PAUSED: Status.PAUSED,
    Situation.ASKING: Status.NEEDS_YOU,
    Situation.STOPPING: Status.STOPPING,
    Situation.NEW: Status.STARTING,
    Situation.STARTING: Status.STARTING,
    Situation.RECOVERING: Status.STARTING,
    Situation.RUNNING: Status.RUNNING,
}

_TELLING = frozenset(
    {"started", "step", "paused", "resumed", "question", "answered", "recovering", "stopping"}
    | {"finished", "stopped", "failed"}
)


def status_of(state: RunState, held: bool, age_s: float) -> Status:
    """Judge a run; a pure function.

    Args:
        state: What its events add up to.
        held: Whether its lock is held.
        age_s: Age of the last event; without events, of the folder.
    """
    if state.ended:
        return _end(state)
    if held:
        return Status.STALLED if age_s > STALLED_S else _WORKING[state.situation]
    if state.situation in (Situation.NEW, Situation.RECOVERING) and age_s <= LAUNCH_S:
        return Status.STARTING
    return Status.LOST


def _end(state: RunState) -> Status:
    if state.situation is Situation.FAILED:
        error = state.failure.error if state.failure else ""
        name = error.rpartition(".")[2].lower().replace(" ", "").replace("-", "")
        return Status.OUT_OF_MEMORY if name in MEMORY_ERRORS else Status.FAILED
    return Status.FINISHED if state.situation is Situation.FINISHED else Status.STOPPED


@dataclass(frozen=True)
class Glance:
    """A quick look at a run: enough for a list, without its whole history."""

    folder: RunFolder
    status: Status
    state: RunState
    """Replayed from the beginning and the end of the log only; see `replay_skimmed`."""


def glance(folder: RunFolder, now: float | None = None) -> Glance:
    """Look at a run within milliseconds, however long it is.

    Args:
        folder: The run.
        now: UTC seconds; the present when left out.
    """
    for _ in range(2):
        # The lock first: a worker that ends in between writes its last event before it lets go.
        # One that starts in between makes the run look lost, so that verdict needs a second look.
        held = is_held(folder)
        state = replay_skimmed(*skim_events(folder.events_file, _tells))
        status = judge(folder, state, held, now)
        if status is not Status.LOST:
            break
    return Glance(folder, status, state)


def judge(folder: RunFolder, state: RunState, held: bool, now: float | None = None) -> Status:
    """Judge a run whose state is known; see `status_of`."""
    now = time.time() if now is None else now
    last_t = state.last_t if state.last_t is not None else _made_at(folder)
    return status_of(state, held, now - last_t)


def read_status(folder: RunFolder) -> Status:
    """Return how a run stands now."""
    return glance(folder).status


def _tells(event: Event) -> bool:
    return event["kind"] in _TELLING


def _made_at(folder: RunFolder) -> float:
    try:
        return (folder.worker_log if folder.worker_log.exists() else folder.path).stat().st_mtime
    except FileNotFoundError:
        return 0.0
