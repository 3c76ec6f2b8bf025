"""Events and states as plain lines for people; text from outside is made harmless."""

import time
from collections.abc import Callable

from trainer.run.events import RESERVED, Event
from trainer.run.state import RunState
from trainer.text import duration_text, printable, rate_text

SILENT = frozenset({"heartbeat", "gauge", "health"})
"""Kinds that are no news."""


def describe(event: Event) -> str:
    """Return an event as one line without its time, e.g. "saved hypernetworks/gollum-100.pt at step 100"."""
    writer = _WRITERS.get(event["kind"])
    try:
        return printable(writer(event), 600) if writer else _unknown(event)
    except (KeyError, TypeError, ValueError):
        return _unknown(event)


def clock_text(t: float) -> str:
    """Return UTC seconds as local time of day, e.g. "15:04:05"."""
    try:
        return time.strftime("%H:%M:%S", time.localtime(t))
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def progress_text(state: RunState) -> str:
    """Return how far training is: "step 120/2,000  loss 0.1234  mean 0.1300  lr 5e-06  1.20 s/step  eta 00:39:10"."""
    parts = [f"step {state.step:,}/{f'{state.steps_total:,}' if state.steps_total else '?'}"]
    if state.loss is not None and state.smoothed_loss is not None:
        parts.append(f"loss {state.loss:.4f}  mean {state.smoothed_loss:.4f}")
    if state.learning_rate is not None:
        parts.append(f"lr {rate_text(state.learning_rate)}")
    if state.step_s is not None:
        parts.append(f"{state.step_s:.2f} s/step")
    if state.eta_s is not None and not state.ended:
        parts.append(f"eta {duration_text(state.eta_s)}")
    return "  ".join(parts)


def _unknown(event: Event) -> str:
    told = ", ".join(f"{key} {value}" for key, value in event.items() if key not in RESERVED)
    return printable(f"{event['kind']}: {told}" if told else event["kind"], 300)


def _started(event: Event) -> str:
    step = event.get("resumed_at_step")
    where = ", ".join(str(event[key]) for key in ("host", "device") if event.get(key))
    return f"{f'going on from step {step:,}' if step else 'started'} on {where or 'this machine'} (pid {event['pid']})"


def _phase(event: Event) -> str:
    name, done, total = event["name"], event.get("done") or 0, event.get("total") or 0
    where = f" on {event['device']}" if event.get("device") else ""
    if name == "training" and total:
        return f"training: {f'from step {done:,} to {total:,}' if done else f'{total:,} steps'}{where}"
    # A log keeps only how a phase began, where a count would read as if it had got stuck there.
    count = f" {done:,}/{total:,}" if done > 1 else f": {total:,} in all"
    return f"{name}{where}{count if total > 1 else ''}"


def _step(event: Event) -> str:
    return f"step {event['step']:,}  loss {float(event['loss']):.4f}"


def _saved(event: Event) -> str:
    return f"saved {event['path']} at step {event['step']:,}"


def _preview(event: Event) -> str:
    took = f" in {float(event['seconds']):.1f} s" if event.get("seconds") is not None else ""
    return f"preview {event['path']} at step {event['step']:,}{took}"


def _validated(event: Event) -> str:
    sides = [
        (label, event.get(key))
        for label, key in (("held-out", "held_out"), ("training", "training"), ("mirrored", "mirrored"))
    ]
    losses = ", ".join(f"{label} loss {float(loss):.1%}" for label, loss in sides if loss is not None)
    told = f"{losses} of before training" if losses else "nothing measured"
    return f"validation at step {event['step']:,}: {told}"


def _health(event: Event) -> str:
    names = ("drift", "variety", "contrast", "saturation", "detail", "similarity")
    told = [f"{name} {float(event[name]):.3g}" for name in names if event.get(name) is not None]
    strength = [float(part) for pair in (event.get("strength") or {}).values() for part in pair]
    told = [*([f"strength up to {max(strength):.3g}"] if strength else []), *told]
    return f"health at step {event['step']:,}: {', '.join(told) or 'nothing measured'}"


def _verdict(event: Event) -> str:
    best = "" if event.get("best_step") is None else f" Best step: {event['best_step']:,}."
    return f"verdict: {event['text']}{best} {event.get('advice') or ''}".rstrip()


def _removed(event: Event) -> str:
    return f"removed {event['path']}, since a later step is better"


def _rewound(event: Event) -> str:
    return f"goes on from step {event['step']:,} of {event['run']}"


def _warning(event: Event) -> str:
    return f"warning: {event['message']}"


def _recovering(event: Event) -> str:
    if event.get("message"):
        return f"recovering: {event['message']}"
    change = f": {event['from']} -> {event['to']}" if event.get("from") and event.get("to") else ""
    return f"recovering from {event['why']}{change}"


def _question(event: Event) -> str:
    choices = ", ".join(str(choice) for choice in event["choices"])
    return f"question: {event['text']} Choices: {choices}; default {event.get('default') or 'none'}."


def _answered(event: Event) -> str:
    how = {"time-out": "nobody answered in time", "policy": "by itself"}.get(str(event.get("by")), "")
    return f"answered: {event.get('choice', '')}{f' ({how})' if how else ''}"


def _item(event: Event) -> str:
    return f"{event['status']} {event['name']}{': ' + str(event['detail']) if event.get('detail') else ''}"


def _paused(event: Event) -> str:
    return f"paused at step {event['step']:,}"


def _resumed(event: Event) -> str:
    return f"resumed at step {event['step']:,}"


def _changed(event: Event) -> str:
    what = str(event["what"]).replace("_", " ")
    return f"{what} is {_value(what, event.get('given', event['value']))} from step {event['step']:,} on"


def _stopping(event: Event) -> str:
    return f"stopping{': ' + str(event['why']) if event.get('why') else ''}"


def _ack(event: Event) -> str:
    skipped = {*RESERVED, "id", "command"}
    command = str(event["command"]).replace("_", " ")
    told = ", ".join(_value(command, value) for key, value in event.items() if key not in skipped)
    return f"command taken: {command}{' ' + told if told else ''}"


def _value(what: str, value: object) -> str:
    return f'"{value}"' if what.endswith("prompt") else str(value)


def _finished(event: Event) -> str:
    # Only a job's: a training run may have paused, which its last event doesn't know.
    is_job = "step" not in event and event.get("seconds") is not None
    took = f" in {duration_text(float(event['seconds']))}" if is_job else ""
    paths = event.get("results")
    made = f"; made {', '.join(str(path) for path in paths)}" if isinstance(paths, list) and paths else ""
    where = f" at step {event['step']:,}" if "step" in event else ""
    return f"finished{where}{took}{made}"


def _stopped(event: Event) -> str:
    if "step" not in event:
        return "stopped; started again, it does only what is missing"
    return f"stopped at step {event['step']:,}; the run can be resumed from there"


def _failed(event: Event) -> str:
    parts = (f"failed: {event.get('message') or event.get('error') or 'no reason given'}", event.get("hint") or "")
    return " ".join(str(part) for part in parts if part)


def _picture(event: Event) -> str:
    return f"drew {event['path']} in {event['seconds']:.1f} s"


def _not_drawn(event: Event) -> str:
    return f"not drawn: {event['message']}"


_WRITERS: dict[str, Callable[[Event], str]] = {
    "started": _started,
    "phase": _phase,
    "step": _step,
    "saved": _saved,
    "preview": _preview,
    "validated": _validated,
    "health": _health,
    "verdict": _verdict,
    "removed": _removed,
    "rewound": _rewound,
    "item": _item,
    "picture": _picture,
    "not_drawn": _not_drawn,
    "warning": _warning,
    "recovering": _recovering,
    "question": _question,
    "answered": _answered,
    "paused": _paused,
    "resumed": _resumed,
    "changed": _changed,
    "stopping": _stopping,
    "ack": _ack,
    "finished": _finished,
    "stopped": _stopped,
    "failed": _failed,
}
