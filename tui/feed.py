"""One run as a screen follows it: read piece by piece outside the interface, then looked at as one frozen value."""

import contextlib
import math
import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trainer.devices import Gauges
from trainer.errors import AppError
from trainer.run.events import Event, EventReader
from trainer.run.folder import RunFolder
from trainer.run.identity import Identity
from trainer.run.lock import is_held, owner
from trainer.run.state import RunState, replay
from trainer.run.status import Status, judge
from trainer.run.undone import without_undone
from trainer.schedule import scaled_rate_text
from trainer.text import printable
from trainer.verdict import Verdict, judge_training
from tui.slowdown import RECENT_STEPS, slowdown

SLICE_BYTES = 1 << 18
"""About two thousand events: read and replayed in some hundredths of a second."""

GAUGES_S = 1.9
"""To ask a card for all its readings takes longer than to draw them, so it is done at every second redraw."""

PROCESSES_S = 10.0
"""To find a worker's children takes a look at every process of the machine, so it is done this seldom."""

Read = Callable[..., Gauges]


@dataclass(frozen=True)
class RunView:
    """Everything a screen shows of a run, at one moment."""

    state: RunState = field(default_factory=RunState)
    status: Status = Status.STARTING
    gauges: Gauges | None = None
    """Readings of this machine; None where the run isn't live here."""
    verdict: Verdict | None = None
    """How the training stands by its validations; None before the first one."""
    usual: Gauges | None = None
    """The last readings while the run kept its pace; None before that."""
    slower: float | None = None
    """How many times slower the last steps are than the run's median; None while it keeps its pace."""
    read_share: float = 0.0
    """How much of the log was read, 0 to 1."""
    learning_rate: str = ""
    """The learning rate as it was set: a rate, or rates with the steps where they end."""
    preview_prompt: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the whole log was read."""
        return self.read_share >= 1.0


class RunFeed:
    """Follows a run's log. `advance` belongs into a thread; `view` may be taken by any thread at any time.

    Args:
        folder: The run.
        read_gauges: Takes readings; `trainer.devices.read_gauges` when left out.
    """

    def __init__(self, folder: RunFolder, read_gauges: Read | None = None) -> None:
        self.folder = folder
        self.view = RunView()
        self._reader = EventReader(folder.events_file)
        self._read_gauges = read_gauges
        self._slice_bytes = SLICE_BYTES
        self._paced: deque[tuple[int, Gauges]] = deque(maxlen=4 * RECENT_STEPS)
        self._gauges_at = 0.0
        self._settings: dict[str, Any] | None = None
        self._measured: tuple[object, object, object] | None = None
        self._processes: tuple[float, object, tuple[int, ...] | None] | None = None
        self._current: tuple[object, dict[str, str]] | None = None

    def advance(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Read all that was appended, then look at lock and gauges; `view` is renewed after each slice.

        Raises:
            AppError: the log is there but can't be read.
        """
        if self._settings is None:
            self._settings = self._read_settings()
        # The lock first: a worker that ends in between writes its last event before it lets go.
        held = is_held(self.folder)
        try:
            while not cancelled() and self._read_slice():
                pass
        except OSError as error:
            raise AppError(
                "Cannot read the run's log",
                f"{printable(self.folder.events_file)}: {error.strerror or error}.",
                "A run goes on all the same. It is read again when this is closed.",
            ) from error
        state = self.view.state
        if cancelled():
            return
        status = judge(self.folder, state, held)
        current: dict[str, Any] = {**self._current_settings(state)}
        gauges = self._gauges(state) if status.is_live else None
        slower = slowdown(state.points) if status is Status.RUNNING else None
        self.view = replace(
            self.view,
            status=status,
            verdict=self._judged(state),
            gauges=gauges,
            slower=slower,
            usual=self._usual(state, gauges if status is Status.RUNNING and slower is None else None),
            read_share=1.0,
            **current,
        )

    def _judged(self, state: RunState) -> Verdict | None:
        """Return the verdict, judged anew only when something was measured since."""
        measured = (state.validations, state.healths, state.previews)
        if not state.validations:
            return None
        if self._measured is None or any(a is not b for a, b in zip(measured, self._measured, strict=True)):
            self._measured = measured
            return judge_training(state)
        return self.view.verdict

    def _usual(self, state: RunState, gauges: Gauges | None) -> Gauges | None:
        """Return the last readings of when the run surely kept its pace."""
        if gauges is None:
            return self.view.usual
        if not self._paced or self._paced[-1][0] != state.step:
            self._paced.append((state.step, gauges))
        # A slowdown shows only after some slow steps, so the newest readings may belong to one.
        old = [paced for step, paced in self._paced if step <= state.step - 2 * RECENT_STEPS]
        return old[-1] if old else self.view.usual

    def _read_slice(self) -> bool:
        """Read and replay one slice; return whether there may be more."""
        size = self.folder.events_file.stat().st_size if self.folder.events_file.exists() else 0
        before = self._reader.offset
        events = self._reader.new(self._slice_bytes)
        if self._reader.offset == before:
            is_long_line = size - before >= self._slice_bytes
            self._slice_bytes *= 2 if is_long_line else 1
            return is_long_line
        state = replay(events, self.view.state)
        if state.steps_total is None and (steps := self.section("training").get("steps")) is not None:
            state = replace(state, steps_total=int(steps))
        share = 1.0 if self.view.is_whole else min(0.99, self._reader.offset / max(1, size))
        self.view = replace(self.view, state=state, read_share=share)
        return self._reader.offset < size

    def _gauges(self, state: RunState) -> Gauges | None:
        now = time.monotonic()
        if self.view.gauges is not None and now < self._gauges_at + GAUGES_S:
            return self.view.gauges
        self._gauges_at = now
        processes = self._known_processes(state)
        if processes is None:
            return None
        if self._read_gauges is None:
            from trainer.devices import read_gauges

            self._read_gauges = read_gauges
        return self._read_gauges(processes, self.folder.path)

    def _known_processes(self, state: RunState) -> tuple[int, ...] | None:
        """Return the run's processes as they were some seconds ago at most; None where they are on another machine."""
        now = time.monotonic()
        known = self._processes
        if known is None or known[1] is not state.worker or now >= known[0] + PROCESSES_S:
            known = self._processes = now, state.worker, _processes_of(owner(self.folder))
        return known[2]

    def _current_settings(self, state: RunState) -> dict[str, str]:
        """Return what can be edited as it stands: the last change of each, else what run.toml says."""
        if self._current is None or self._current[0] is not state.log:
            self._current = state.log, self.settings_at(state.log)
        return self._current[1]

    def settings_at(self, log: Iterable[Event], step: float = math.inf) -> dict[str, str]:
        """Return learning rate and preview prompt as they stood when a step was done, by their names in run.toml.

        Args:
            log: The run's events.
            step: The last step when left out.
        """
        current = {
            "learning_rate": self.text("optimizer", "learning_rate"),
            "preview_prompt": self.text("preview", "prompt"),
        }
        scale = self.section("optimizer").get("rate_scale") or 1.0
        for event in without_undone(log):
            at = event.get("step")
            if isinstance(at, int) and at > step:
                continue
            if event["kind"] == "changed" and event.get("what") in current:
                current[event["what"]] = str(event.get("value", ""))
            elif event["kind"] == "recovering" and isinstance(event.get("changes"), dict):
                scale = event["changes"].get("optimizer.rate_scale", scale)
        # What isn't a rate is shown as it is.
        with contextlib.suppress(ValueError, TypeError):
            current["learning_rate"] = scaled_rate_text(current["learning_rate"], float(scale))
        return current

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section of what the run was started with; empty where it is not known."""
        part = (self._settings or {}).get(name)
        return part if isinstance(part, dict) else {}

    def number(self, section: str, name: str, default: int) -> int:
        """Return a whole number that the run was started with."""
        value = self.section(section).get(name)
        return value if isinstance(value, int) else default

    def text(self, section: str, name: str) -> str:
        """Return a text that the run was started with."""
        return str(self.section(section).get(name) or "")

    def _read_settings(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.folder.config_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # a run without settings can be followed all the same
            return {}


def _processes_of(holder: Identity | None) -> tuple[int, ...] | None:
    """Return a worker's pid and its children's, which may hold VRAM too; None for one on another machine."""
    import psutil  # type: ignore[import-untyped]

    if holder is not None and not holder.is_here:
        return None
    if holder is None or not holder.is_alive:
        return ()
    try:
        return holder.pid, *(child.pid for child in psutil.Process(holder.pid).children(recursive=True))
    except psutil.Error:  # it ended just now
        return ()
