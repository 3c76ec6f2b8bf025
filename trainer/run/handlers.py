"""What each kind of event does to a run's state.

A handler changes `run`, the fields of a `RunState` by name, and puts in new values, never changing old ones.
It reads everything it needs before it changes anything, so that an event that lacks a field does nothing.
"""

import bisect
import math
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any

from trainer.run.events import Event
from trainer.run.facts import Failure, Health, Item, MadeFile, Phase, Question, Situation, StepPoint, Validation, Worker
from trainer.run.series import Series

Fields = dict[str, Any]

_IDLE = frozenset({Situation.PAUSED, Situation.ASKING})
"""Situations in which a run waits for its user."""

_INCOMPLETE = (KeyError, TypeError, ValueError, OverflowError)

SMOOTHING = 0.98
"""Decay of the smoothed loss: it averages about the last 50 steps."""


def take(run: Fields, event: Event) -> None:
    """Take in one event of any kind but `step`; one that lacks what it should hold is counted and left out."""
    _pass_time(run, event)
    try:
        HANDLERS.get(event["kind"], note)(run, event)
    except _INCOMPLETE:
        run["skipped"] += 1


def take_steps(run: Fields, events: Iterable[Event]) -> None:
    """Take in `step` events that follow each other: together, as nearly all events are steps."""
    before: Series[StepPoint] = run["points"]
    new: list[StepPoint] = []
    last = before[-1] if before else None
    count = len(before)
    for event in events:
        _pass_time(run, event)
        try:
            point = _point(event, last, count)
        except _INCOMPLETE:
            run["skipped"] += 1
            continue
        if last is not None and point.step <= last.step:
            run["points"] = before.plus_all(new)
            _go_back(run, point.step - 1)
            before, new = run["points"], []
            count = len(before)
            point = _point(event, before[-1] if before else None, count)
        new.append(point)
        last = point
        count += 1
        if point.seconds:
            run["stepping_s"] = run["stepping_s"] if run["steps_s"] else point.seconds
            run["steps_s"] += point.seconds
        if run["situation"] is not Situation.STOPPING:
            run["situation"], run["question"] = Situation.RUNNING, None
    run["points"] = before.plus_all(new)


def _pass_time(run: Fields, event: Event) -> None:
    """Count the time since the event before, unless nobody was at work in between."""
    now, before = event["t"], run["last_t"]
    idle = run["situation"] in _IDLE or event["kind"] in ("started", "rewound")
    if before is not None and not idle:
        gap_s = max(0.0, now - before)
        run["elapsed_s"] += gap_s
        # A pause begins with saving the state, which is no part of the pace either.
        if run["steps_s"] > 0 and run["situation"] is Situation.RUNNING and event["kind"] != "paused":
            run["stepping_s"] += gap_s
    run["last_t"], run["last_kind"] = now, event["kind"]


def _started(run: Fields, event: Event) -> None:
    step = int(event.get("resumed_at_step") or 0)
    worker = Worker(
        pid=int(event["pid"]),
        process_start_s=_number(event, "process_start_s"),
        host=str(event.get("host", "")),
        device=str(event.get("device", "")),
        config_hash=str(event.get("config_hash", "")),
        torch=str(event.get("torch", "")),
        resumed_at_step=step,
    )
    total = _whole(event, "steps")
    _go_back(run, step)
    run.update(worker=worker, situation=Situation.STARTING, phase=None, question=None, failure=None, results=())
    run.update(items=Series())
    _new_pace(run)
    if total is not None:
        run["steps_total"] = total
    note(run, event)


def _new_pace(run: Fields) -> None:
    """Begin to measure a worker's pace, and keep what those before it spent beside their steps."""
    run["before_s"] = run["before_s"][0] + run["stepping_s"], run["before_s"][1] + run["steps_s"]
    run.update(stepping_s=0.0, steps_s=0.0)


def _go_back(run: Fields, step: int) -> None:
    """Forget what came after `step`: it will come again."""
    for name in ("points", "validations", "healths", "previews", "saved"):
        series = run[name]
        if series and series[-1].step > step:
            run[name] = series.first(bisect.bisect_right(series, step, key=lambda item: item.step))


def _phase(run: Fields, event: Event) -> None:
    name, done, before = str(event["name"]), _whole(event, "done"), run["phase"]
    if before is None or before.name != name:
        note(run, event)
        since = event["t"], done or 0
    else:
        since = before.since_t, before.done_at_start
    run["phase"] = Phase(name, done, _whole(event, "total"), since[0], event["t"], since[1])
    if event.get("beside_s") is not None:
        run["beside"] = float(event["beside_s"]), _whole(event, "beside_until") or 0
    if run["situation"] in (Situation.NEW, Situation.STARTING, Situation.RECOVERING):
        run["situation"] = Situation.RUNNING
    if run["worker"] is not None and event.get("device"):
        run["worker"] = replace(run["worker"], device=str(event["device"]))


def _point(event: Event, last: StepPoint | None, count: int) -> StepPoint:
    loss = float(event["loss"])
    vram = event.get("vram_bytes")
    return StepPoint(
        int(event["step"]),
        loss,
        loss if last is None else _smoothed(last.smoothed_loss, count, loss),
        _number(event, "learning_rate"),
        _number(event, "grad_norm"),
        _number(event, "seconds"),
        None if vram is None else int(vram),
        event["t"],
    )


def _smoothed(before: float, count: int, loss: float) -> float:
    """Go on with an exponential mean in which the first losses count fully (Adam's bias correction)."""
    if not math.isfinite(loss):
        return before
    if not math.isfinite(before):
        return loss
    weight = (1 - SMOOTHING) / (1 - SMOOTHING ** (count + 1))
    return before + weight * (loss - before)


def _gauge(run: Fields, event: Event) -> None:
    run["gauge"] = event


def _heartbeat(run: Fields, event: Event) -> None:
    """A sign of life and nothing else."""


def _saved(run: Fields, event: Event) -> None:
    _add(run, "saved", MadeFile(int(event["step"]), str(event["path"]), _number(event, "seconds")), event)


def _preview(run: Fields, event: Event) -> None:
    _add(run, "previews", MadeFile(int(event["step"]), str(event["path"]), _number(event, "seconds")), event)


def _validated(run: Fields, event: Event) -> None:
    result = Validation(int(event["step"]), *(_number(event, name) for name in ("held_out", "training", "mirrored")))
    _add(run, "validations", result, event)


def _health(run: Fields, event: Event) -> None:
    """Take in what was measured; two measurements of one step are joined."""
    numbers = ("grad_norm", "drift", "variety", "contrast", "saturation", "detail", "similarity")
    found = Health(
        step=int(event["step"]),
        strength={str(width): (float(k), float(v)) for width, (k, v) in (event.get("strength") or {}).items()},
        prompt=str(event.get("prompt") or ""),
        nearest=str(event.get("nearest") or ""),
        **{name: _number(event, name) for name in numbers},
    )
    series: Series[Health] = run["healths"]
    while series and series[-1].step > found.step:
        series = series.first(len(series) - 1)
    if series and series[-1].step == found.step:
        new = {part.name: getattr(found, part.name) for part in fields(Health)}
        found = replace(series[-1], **{name: value for name, value in new.items() if value not in (None, "", {})})
        series = series.first(len(series) - 1)
    run["healths"] = series.plus(found)


def _removed(run: Fields, event: Event) -> None:
    """Forget a checkpoint that gave way to a better one."""
    path = str(event["path"])
    run["saved"] = Series(made for made in run["saved"] if made.path != path)


def _rewound(run: Fields, event: Event) -> None:
    """Begin after another run's history."""
    # The events taken over lack the old run's pauses, so that neither time nor pace can be had from them.
    elapsed_s = _number(event, "elapsed_s")
    run.update(situation=Situation.NEW, steps_total=_whole(event, "steps"), stepping_s=0.0, steps_s=0.0)
    run["elapsed_s"] = run["elapsed_s"] if elapsed_s is None else elapsed_s
    note(run, event)


def _add(run: Fields, name: str, item: MadeFile | Validation, event: Event) -> None:
    series = run[name]
    while series and (series[-1].step > item.step or _again(series[-1], item)):
        series = series.first(len(series) - 1)
    run[name] = series.plus(item)
    note(run, event)


def _again(before: MadeFile | Validation, now: MadeFile | Validation) -> bool:
    if isinstance(before, MadeFile) and isinstance(now, MadeFile):
        return (before.step, before.path) == (now.step, now.path)
    return before.step == now.step


def _item(run: Fields, event: Event) -> None:
    texts = (str(event.get(name) or "") for name in ("detail", "path"))
    run["items"] = run["items"].plus(Item(str(event["name"]), str(event["status"]), *texts))


def _question(run: Fields, event: Event) -> None:
    choices = tuple(str(choice) for choice in event["choices"])
    default = str(event.get("default") or (choices[0] if choices else ""))
    run["question"] = Question(str(event["id"]), str(event["text"]), choices, default, event)
    run["situation"] = Situation.ASKING
    note(run, event)


def _answered(run: Fields, event: Event) -> None:
    run.update(question=None, situation=Situation.RUNNING)
    note(run, event)


def _goes_on(run: Fields, situation: Situation) -> None:
    """Take a new situation, unless the run is about to end: what it still does in passing is no news."""
    if run["situation"] is not Situation.STOPPING:
        run["situation"] = situation


def _paused(run: Fields, event: Event) -> None:
    _goes_on(run, Situation.PAUSED)
    note(run, event)


def _resumed(run: Fields, event: Event) -> None:
    _goes_on(run, Situation.RUNNING)
    note(run, event)


def _recovering(run: Fields, event: Event) -> None:
    step = _whole(event, "step")
    if step is not None:
        _go_back(run, step)
    run.update(situation=Situation.RECOVERING, question=None)
    _new_pace(run)
    note(run, event)


def _stopping(run: Fields, event: Event) -> None:
    run["situation"] = Situation.STOPPING
    note(run, event)


def _ack(run: Fields, event: Event) -> None:
    if event["command"] == "stop":
        run["situation"] = Situation.STOPPING
    note(run, event)


def _finished(run: Fields, event: Event) -> None:
    paths = event.get("results")
    results = tuple(str(path) for path in paths) if isinstance(paths, list) else ()
    run.update(situation=Situation.FINISHED, question=None, results=results)
    note(run, event)


def _stopped(run: Fields, event: Event) -> None:
    run.update(situation=Situation.STOPPED, question=None)
    note(run, event)


def _failed(run: Fields, event: Event) -> None:
    run["failure"] = Failure(*(str(event.get(name) or "") for name in ("error", "message", "hint")))
    run.update(situation=Situation.FAILED, question=None)
    note(run, event)


def note(run: Fields, event: Event) -> None:
    """Keep the event for the log."""
    run["log"] = run["log"].plus(event)


def _number(event: Event, name: str) -> float | None:
    value = event.get(name)
    return None if value is None else float(value)


def _whole(event: Event, name: str) -> int | None:
    value = event.get(name)
    return None if value is None else int(value)


HANDLERS: dict[str, Callable[[Fields, Event], None]] = {
    "started": _started,
    "phase": _phase,
    "gauge": _gauge,
    "heartbeat": _heartbeat,
    "saved": _saved,
    "preview": _preview,
    "validated": _validated,
    "item": _item,
    "health": _health,
    "verdict": note,
    "removed": _removed,
    "rewound": _rewound,
    "warning": note,
    "question": _question,
    "answered": _answered,
    "paused": _paused,
    "resumed": _resumed,
    "recovering": _recovering,
    "stopping": _stopping,
    "changed": note,
    "ack": _ack,
    "finished": _finished,
    "stopped": _stopped,
    "failed": _failed,
}
"""A kind that is not here, `step` excepted, is kept in the log as it is."""
