"""A run's story as plain lines, past and to come: for terminals without a wizard, pipes and screen readers."""

import time
from collections.abc import Callable, Iterator, Sequence

from trainer.run.describe import SILENT, clock_text, describe, progress_text
from trainer.run.events import HEAD_BYTES, TAIL_BYTES, Event, EventReader, log_size
from trainer.run.folder import RunFolder
from trainer.run.lock import is_held
from trainer.run.state import RunState, after_gap, replay
from trainer.run.status import Status, judge
from trainer.text import duration_text

QUIET_S = 5.0
"""Shortest time between two lines of mere progress, by the clock of the events."""


class Follower:
    """Reads a run's events and says what is worth a line.

    Args:
        folder: The run.
        from_start: Tell the whole story; else only its last part, which is read within milliseconds.
        own_only: Leave out what a rewound run has of the run before it.
    """

    def __init__(self, folder: RunFolder, from_start: bool = True, own_only: bool = False) -> None:
        self.state = RunState()
        """The run as far as it was read."""
        self._folder = folder
        self._reader = EventReader(folder.events_file)
        self._told_t = float("-inf")
        self._own_only = own_only
        if not from_start and (end := log_size(folder.events_file)) > HEAD_BYTES + TAIL_BYTES:
            # The beginning says how many steps there are. The line that the jump lands in is skipped by the reader.
            self.state = after_gap(replay(EventReader(folder.events_file).new(HEAD_BYTES)))
            self._reader = EventReader(folder.events_file, end - TAIL_BYTES)

    def new_lines(self) -> list[str]:
        """Return the lines for what was appended since the last call."""
        events = self._reader.new()
        lines: list[str] = []
        told = self._skip_earlier_run(events)
        for place, event in enumerate(events[told:], told):
            if event["kind"] == "step" and not self._progress_is_due(event):
                continue
            if event["kind"] in SILENT or (event["kind"] == "phase" and not self._phase_is_due(event)):
                continue
            # Replaying up to each line, not each event, keeps a hundred thousand steps within a second.
            self.state = replay(events[told : place + 1], self.state)
            told = place + 1
            text = progress_text(self.state) if event["kind"] == "step" else describe(event)
            lines.append(f"{clock_text(event['t'])} {text}")
        self.state = replay(events[told:], self.state)
        return lines

    def _skip_earlier_run(self, events: Sequence[Event]) -> int:
        """Take in what another run did before this one, and return where its own story begins."""
        own = next((place for place, event in enumerate(events) if event["kind"] == "rewound"), 0)
        if not self._own_only or not own:
            return 0
        self.state = replay(events[:own], self.state)
        return own

    def lines(self, poll_s: float = 0.5, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
        """Tell what is left of the story until the run ends, fails or loses its worker.

        Args:
            poll_s: Seconds between two looks.
            sleep: Waits; replaced in tests.
        """
        stalled = False
        while True:
            # Judged before reading: whatever was written up to the end is then read below.
            left_alone = not is_held(self._folder)
            yield from self.new_lines()
            status = self.status()
            if left_alone and not status.is_live:
                if status is Status.LOST:
                    yield f"{clock_text(time.time())} {lost_text(self._folder)}"
                return
            if stalled != (status is Status.STALLED):
                stalled = not stalled
                if stalled:
                    silence = duration_text(time.time() - (self.state.last_t or time.time()))
                    yield f"{clock_text(time.time())} no sign of life from the worker for {silence}"
            sleep(poll_s)

    def status(self) -> Status:
        """Judge the run, as far as it was read."""
        return judge(self._folder, self.state, is_held(self._folder))

    def _progress_is_due(self, event: Event) -> bool:
        last = event.get("step") == self.state.steps_total
        if not last and 0 <= event["t"] - self._told_t < QUIET_S:
            return False
        self._told_t = event["t"]
        return True

    def _phase_is_due(self, event: Event) -> bool:
        known = self.state.phase
        done = event.get("done") is not None and event.get("done") == event.get("total")
        if known is not None and known.name == event.get("name") and not done:
            return self._progress_is_due(event)
        self._told_t = event["t"]
        return True


def lines(folder: RunFolder, from_start: bool = True) -> Iterator[str]:
    """Tell a run's story until it ends, fails or loses its worker; see `Follower.lines`."""
    return Follower(folder, from_start).lines()


def lost_text(folder: RunFolder) -> str:
    """Return what to do about a run whose worker is gone without a word."""
    return f"the worker is gone without a word; `hypernet resume {folder.argument}` goes on from its last state"


def ends_well(status: Status) -> bool:
    """Whether following a run that ended so counts as success."""
    return status in (Status.FINISHED, Status.STOPPED)
