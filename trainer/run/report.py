"""A run's standing as text for people and as plain values for programs."""

from dataclasses import asdict, replace
from typing import Any

from trainer.run.describe import progress_text
from trainer.run.events import read_outline
from trainer.run.facts import Question
from trainer.run.follow import lost_text
from trainer.run.launch import log_lines
from trainer.run.lock import is_held, owner
from trainer.run.state import RunState, replay
from trainer.run.status import Glance, Status
from trainer.text import duration_text, printable, size_text
from trainer.verdict import Standing, Verdict, judge_training

_OUTLINE = (
    "started", "rewound", "validated", "health", "paused", "resumed", "question", "answered", "recovering", "stopping",
)  # fmt: skip
"""What the time and the verdict are made from."""


def summary(look: Glance) -> dict[str, Any]:
    """Return what a list says of a run, as values for JSON."""
    state = look.state
    return {
        "run": look.folder.title,
        "path": str(look.folder.path),
        "status": str(look.status),
        "step": state.step,
        "steps_total": state.steps_total,
        "loss": state.loss,
        "smoothed_loss": state.smoothed_loss,
        "learning_rate": state.learning_rate,
        "seconds_per_step": state.step_s,
        "eta_s": None if state.ended else state.eta_s,
        "last_event_t": state.last_t,
    }


def details(look: Glance) -> dict[str, Any]:
    """Return all that is known of a run as values for JSON."""
    folder, state = look.folder, whole_state(look)
    holder = owner(folder) if is_held(folder) else None
    worker, phase, question, failure = state.worker, state.phase, state.question, state.failure
    validation = state.validations[-1] if state.validations else None
    return {
        **summary(look),
        "elapsed_s": state.elapsed_s,
        "worker_pid": holder.pid if holder else None,
        "host": worker.host if worker else None,
        "device": worker.device if worker else None,
        "phase": phase and vars(phase),
        "validation": validation._asdict() if validation else None,
        "verdict": asdict(judge_training(state)),
        "last_saved": state.saved[-1]._asdict() if state.saved else None,
        "last_preview": state.previews[-1]._asdict() if state.previews else None,
        "question": question
        and {"id": question.id, "text": question.text, "choices": question.choices, "default": question.default},
        "failure": failure and vars(failure),
        "results": state.results,
    }


def whole_state(look: Glance) -> RunState:
    """Return a run's state with its time and all its validations, however long its log is."""
    told = replay(read_outline(look.folder.events_file, *_OUTLINE))
    return replace(look.state, validations=told.validations, healths=told.healths, elapsed_s=told.elapsed_s)


def verdict_lines(verdict: Verdict) -> list[str]:
    """Return a verdict with its evidence as lines; none where there is nothing to judge."""
    if verdict.standing is Standing.UNKNOWN:
        return []
    best = "" if verdict.best_step is None else f" Best step: {verdict.best_step:,}."
    return [f"verdict: {verdict.text}{best}", *(f"  {line}" for line in (*verdict.evidence, verdict.advice) if line)]


def status_lines(look: Glance) -> list[str]:
    """Return a run's standing as a few lines."""
    folder, status, state = look.folder, look.status, whole_state(look)
    lines = [f"{printable(folder.title)}: {status}"]
    if state.points or state.steps_total is not None:
        lines.append(progress_text(state))
    if state.phase is not None and status.is_live:
        progress = f" {state.phase.done or 0:,}/{state.phase.total:,}" if (state.phase.total or 0) > 1 else ""
        lines.append(f"phase: {printable(state.phase.name)}{progress}")
    if state.worker is not None:
        lines.append(
            f"{duration_text(state.elapsed_s)} so far, on {printable(state.worker.device or state.worker.host)}"
        )
    lines += verdict_lines(judge_training(state))
    lines += [
        f"{label}: {printable(series[-1].path)} (step {series[-1].step:,})"
        for label, series in (("last checkpoint", state.saved), ("last preview", state.previews))
        if series
    ]
    return [*lines, *_trouble(look), f"folder: {printable(folder.path)}"]


_FITS = {"True": "fits", "False": "may not fit"}


def question_lines(question: Question) -> list[str]:
    """Return a question with its choices as lines; text from outside is made harmless."""
    options = {str(each.get("id")): each for each in _options(question)}
    lines = [printable(question.text, 2000)]
    for choice in question.choices:
        option = options.get(choice, {})
        peak, fits = option.get("peak_bytes"), _FITS.get(str(option.get("fits")), "")
        facts = [size_text(float(peak)) if isinstance(peak, int | float) else "", fits, str(option.get("price") or "")]
        told = ", ".join(printable(fact, 60) for fact in facts if fact)
        mark, title = "*" if choice == question.default else " ", printable(option.get("title") or "", 60)
        lines.append(f"{mark} {printable(choice, 30):<18}{title}{f' ({told})' if told else ''}")
    return [*lines, "* is taken when nobody answers."]


def _options(question: Question) -> list[dict[str, Any]]:
    found = question.event.get("options")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _trouble(look: Glance) -> list[str]:
    folder, status, state = look.folder, look.status, look.state
    if status is Status.NEEDS_YOU and state.question is not None:
        choices = ", ".join(printable(choice, 60) for choice in state.question.choices)
        return [f"asks: {printable(state.question.text)} ({choices}; default {printable(state.question.default, 60)})"]
    if status is Status.LOST:
        return [lost_text(folder), *(f"  {line}" for line in log_lines(folder, count=3))]
    failure = state.failure
    told = [printable(text) for text in (failure.message or failure.error, failure.hint) if text] if failure else []
    return [*told, f"`hypernet resume {folder.argument}` goes on from the last state"] if status.can_resume else told


def table_lines(looks: list[Glance]) -> list[str]:
    """Return one line for each run, aligned."""
    rows = [(printable(look.folder.title, 60), str(look.status), progress_text(look.state)) for look in looks]
    name_width = max((len(name) for name, _, _ in rows), default=0)
    return [f"{name:<{name_width}}  {status:<13}  {progress}".rstrip() for name, status, progress in rows]
