"""What a run's events add up to: one frozen value, made by a pure function."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from trainer.run.events import Event, collector_off
from trainer.run.facts import Failure, Health, Item, MadeFile, Phase, Question, Situation, StepPoint, Validation, Worker
from trainer.run.handlers import take, take_steps
from trainer.run.series import Series

_RECENT_STEPS = 51


@dataclass(frozen=True)
class RunState:
    """A run as its events tell it."""

    situation: Situation = Situation.NEW
    worker: Worker | None = None
    phase: Phase | None = None
    steps_total: int | None = None
    points: Series[StepPoint] = field(default_factory=Series)
    validations: Series[Validation] = field(default_factory=Series)
    healths: Series[Health] = field(default_factory=Series)
    previews: Series[MadeFile] = field(default_factory=Series)
    saved: Series[MadeFile] = field(default_factory=Series)
    items: Series[Item] = field(default_factory=Series)
    """What a job did, picture by picture."""
    log: Series[Event] = field(default_factory=Series)
    """The events worth a line in a log: all but steps, items, gauges, heartbeats and progress within a phase."""
    gauge: Mapping[str, object] | None = None
    question: Question | None = None
    failure: Failure | None = None
    results: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    """Time that workers were at it, loading included; without pauses and without waiting for an answer."""
    last_t: float | None = None
    """When the last event was written, in UTC seconds."""
    last_kind: str = ""
    skipped: int = 0
    """Events of a known kind that lacked what they should hold."""
    stepping_s: float = 0.0
    """Time since this worker's first step, previews and validations included, pauses and their saving left out."""
    steps_s: float = 0.0
    """The part of it spent in steps."""
    before_s: tuple[float, float] = (0.0, 0.0)
    """`stepping_s` and `steps_s` of the workers before."""
    beside: tuple[float, int] = (0.0, 0)
    """Seconds that validations and previews will add to a step, as the worker expects, and until which step to go by
    that: behind it each of them has come, and what was measured tells."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        if self.points:
            return self.points[-1].step
        return self.worker.resumed_at_step if self.worker else 0

    @property
    def loss(self) -> float | None:
        """Loss of the last step."""
        return self.points[-1].loss if self.points else None

    @property
    def smoothed_loss(self) -> float | None:
        """Mean loss, recent steps counting most."""
        return self.points[-1].smoothed_loss if self.points else None

    @property
    def learning_rate(self) -> float | None:
        """Learning rate of the last step."""
        return self.points[-1].learning_rate if self.points else None

    @property
    def step_s(self) -> float | None:
        """Median seconds of the last steps."""
        recent = [point.seconds for point in self.points[-_RECENT_STEPS:] if point.seconds is not None]
        return sorted(recent)[len(recent) // 2] if recent else None

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the present pace, with as many previews and validations as so far."""
        if self.steps_total is None or self.step_s is None:
            return None
        stepping_s, steps_s = self.before_s[0] + self.stepping_s, self.before_s[1] + self.steps_s
        slower = max(1.0, stepping_s / steps_s) if steps_s > 0 else 1.0
        beside_s, until = self.beside
        if self.step <= until and self.step_s:
            slower = max(slower, 1 + beside_s / self.step_s)
        return max(0, self.steps_total - self.step) * self.step_s * slower

    @property
    def ended(self) -> bool:
        """Whether the worker said that it is done, for whatever reason."""
        return self.situation in (Situation.FINISHED, Situation.STOPPED, Situation.FAILED)


def reduce(state: RunState, event: Event) -> RunState:
    """Return the state after one more event; an unknown kind changes nothing but the time."""
    return replay([event], state)


def replay(events: Iterable[Event], state: RunState | None = None) -> RunState:
    """Return the state after all `events`, from the beginning or from `state` on."""
    start = state or RunState()
    run = {part.name: getattr(start, part.name) for part in fields(RunState)}
    with collector_off():
        for is_step, group in itertools.groupby(events, _is_step):
            if is_step:
                take_steps(run, group)
            else:
                for event in group:
                    take(run, event)
    return RunState(**run)


def replay_skimmed(head: Iterable[Event], tail: Iterable[Event]) -> RunState:
    """Return the state after a log of which the middle was left out.

    The last step, the pace and what hangs on them are right; series have a gap, `elapsed_s` is an upper bound.
    """
    state = replay(head)
    return replay(tail, after_gap(state)) if tail else state


def after_gap(state: RunState) -> RunState:
    """Return the state ready for events far ahead: the pace is measured anew, a question was answered long since."""
    return replace(state, stepping_s=0.0, steps_s=0.0, question=None)


def _is_step(event: Event) -> bool:
    return bool(event["kind"] == "step")
