"""Going back to an earlier checkpoint and on from there, in a new run; the old run stays as it was.

The new run begins with the old one's history up to that step: its events, so that curves join, and hard links to its
checkpoints and previews. What the worker cannot read from these lies in `rewind.json`; from it and the checkpoint's
`.optim` it makes the state that a resumed run would have.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from trainer.config import RunConfig, build_config, config_toml
from trainer.config.read import read_toml
from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.recovery.changes import Change, add_change, read_changes
from trainer.run.events import Event, EventWriter, read_events
from trainer.run.folder import RunFolder
from trainer.run.launch import start_worker
from trainer.run.lock import is_held
from trainer.run.state import RunState, replay
from trainer.run.undone import without_undone
from trainer.text import printable
from trainer.verdict import judge_training

if TYPE_CHECKING:
    from trainer.hypernetwork import Hypernetwork
    from trainer.resume_state import ResumeState

REWIND_FILE = "rewind.json"
_HISTORY = frozenset({"step", "validated", "health", "verdict", "preview", "saved", "removed", "changed"})
"""The kinds of events that the new run takes over."""

Target = int | Literal["best"]


def checkpoints(folder: RunFolder, state: RunState) -> dict[int, Path]:
    """Return the checkpoints of a run that are there, by step; they lie in its folder, which may have moved."""
    paths = {made.step: folder.hypernetworks / PurePosixPath(made.path).name for made in state.saved}
    return {step: path for step, path in sorted(paths.items()) if path.is_file()}


def choose_checkpoint(folder: RunFolder, state: RunState, to: Target) -> int:
    """Return the step of the checkpoint to go back to: the one asked for, or the nearest to the best step.

    Raises:
        AppError: there is no such checkpoint, or nothing tells which step is best.
    """
    there = list(checkpoints(folder, state))
    if not there:
        raise AppError("No checkpoint", f"{printable(folder.title)} has no checkpoint.", "Set save.every next time.")
    if to == "best":
        best = judge_training(state).best_step
        if best is None:
            raise AppError("No best step", _unjudged(folder), f"Name a step: {_steps_text(there)}.")
        return min(there, key=lambda step: (abs(step - best), step))
    if to not in there:
        near = sorted(sorted(there, key=lambda step: abs(step - to))[:6])
        raise AppError(
            "No such checkpoint",
            f"{printable(folder.title)} has no checkpoint of step {to:,}.",
            f"The nearest are {_steps_text(near)}.",
        )
    return to


def rewind(folder: RunFolder, to: Target, settings: Mapping[str, Any] | None = None) -> RunFolder:
    """Make a run that goes on from a checkpoint of another one, and start its worker.

    Args:
        folder: The run to go back in.
        to: A step of which there is a checkpoint, or "best".
        settings: What the new run shall do differently, e.g. `{"optimizer": {"learning_rate": "5e-6"}}`.

    Raises:
        AppError: the run is live, there is no such checkpoint, a setting is bad, or no step is left to make.
    """
    new = prepare_rewind(folder, to, settings)
    start_worker(new)
    return new


def prepare_rewind(folder: RunFolder, to: Target, settings: Mapping[str, Any] | None = None) -> RunFolder:
    """Do what `rewind` does, without starting the worker."""
    if is_held(folder):
        raise AppError(
            "Run is live",
            f"{printable(folder.title)} is being trained.",
            f"Stop it first: hypernet stop {folder.argument}",
        )
    events = without_undone(read_events(folder.events_file))
    state = replay(events)
    step = choose_checkpoint(folder, state, to)
    changed = _as_given(settings or {})
    config = build_config(read_toml(folder.config_file), changed)
    if config.training.steps <= step:
        raise AppError(
            "Nothing to train",
            f"Step {step:,} is the last one: training.steps is {config.training.steps:,} in total.",
            f"Give more steps (--steps {2 * step}).",
        )
    history = [event for event in _until(events, step) if not _is_overridden(event, changed)]
    saved = max(place for place, event in enumerate(events) if event["kind"] == "saved" and event["step"] == step)
    elapsed_s = replay(events[: saved + 1]).elapsed_s
    try:
        return _make(folder, config, state, step, history, changed, elapsed_s)
    except OSError as error:
        raise AppError(
            "Cannot make the run's folder",
            f"{printable(error.filename or folder.path.parent)}: {error.strerror}.",
            "Make room there.",
        ) from None


def _as_given(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the new run shall do differently; a new learning rate is meant as it is given, from there on."""
    optimizer = settings.get("optimizer", {})
    if "learning_rate" not in optimizer:
        return settings
    return {**settings, "optimizer": {"schedule": "steps", "warmup_steps": 0, **optimizer}}


def _make(
    folder: RunFolder,
    config: RunConfig,
    state: RunState,
    step: int,
    history: list[Event],
    changed: Mapping[str, Any],
    elapsed_s: float,
) -> RunFolder:
    new = RunFolder.create(folder.path.parents[1], config.name, date.today())
    write_atomic(new.config_file, config_toml(config))
    for change in _changes_until(folder, step, changed):
        add_change(new, change)
    kept = {at: path for at, path in checkpoints(folder, state).items() if at <= step}
    for path in kept.values():
        _link(path, new.hypernetworks)
        _link(path.with_name(f"{path.name}.optim"), new.hypernetworks)
    for made in state.previews:
        if made.step <= step:
            _link(folder.images / PurePosixPath(made.path).name, new.images)
    if folder.loss_csv.is_file():
        shutil.copyfile(folder.loss_csv, new.loss_csv)
    facts = {"step": step, "checkpoint": kept[step].name, **_facts(history, step)}
    write_atomic(new.path / REWIND_FILE, json.dumps(facts))
    lines = [json.dumps(_moved(event, new), separators=(",", ":")) + "\n" for event in history]
    write_atomic(new.events_file, "".join(lines))
    with EventWriter(new.events_file) as writer:
        writer.emit(
            "rewound",
            run=folder.title,
            path=str(folder.path),
            step=step,
            steps=config.training.steps,
            elapsed_s=elapsed_s,
        )
    return new


def _changes_until(folder: RunFolder, step: int, changed: Mapping[str, Any]) -> list[Change]:
    """Return the changes of settings that held at a step, without what the new run shall do differently.

    A new learning rate is meant as it is given: what recovery had made of the old one goes with it.
    """
    given = {f"{section}.{name}" for section, values in changed.items() for name in values}
    if "optimizer.learning_rate" in given:
        given.add("optimizer.rate_scale")
    held = (
        replace(each, settings={name: value for name, value in each.settings.items() if name not in given})
        for each in read_changes(folder)
        if each.step <= step
    )
    return [each for each in held if each.settings]


def _until(events: Iterable[Event], step: int) -> list[Event]:
    return [event for event in events if event["kind"] in _HISTORY and _step_of(event) <= step]


def _step_of(event: Event) -> float:
    step = event.get("step")
    return step if isinstance(step, int) else float("inf")


def _is_overridden(event: Event, settings: Mapping[str, Any]) -> bool:
    """Tell whether an event is a change of the learning rate that gives way to a rate for the new run."""
    rate = settings.get("optimizer", {}).get("learning_rate")
    return event["kind"] == "changed" and event.get("what") == "learning_rate" and rate is not None


def _facts(history: list[Event], step: int) -> dict[str, Any]:
    """Return what the resume state of that step would say beside weights and moments."""
    validated = [event for event in history if event["kind"] == "validated"]
    saved = [event for event in history if event["kind"] == "saved" and event["step"] == step]
    return {
        "scaler": saved[-1].get("scaler", {}) if saved else {},
        "changes": [(e["step"], e["what"], e["value"]) for e in history if e["kind"] == "changed"],
        "validation_start": next((event["start"] for event in validated if "start" in event), {}),
        "seconds": sum({e["step"]: e["seconds"] or 0.0 for e in history if e["kind"] == "step"}.values()),
    }


def _moved(event: Event, new: RunFolder) -> Event:
    if event["kind"] not in ("preview", "saved", "removed"):
        return event
    folder = new.images if event["kind"] == "preview" else new.hypernetworks
    return {**event, "path": str(folder / PurePosixPath(event["path"]).name)}


def _link(path: Path, folder: Path) -> None:
    """Put a file into another folder without using room: these files are replaced, never rewritten."""
    with contextlib.suppress(FileNotFoundError):
        try:
            os.link(path, folder / path.name)
        except OSError:  # another file system, or one without hard links
            if path.is_file():
                shutil.copyfile(path, folder / path.name)


def rewound_step(folder: RunFolder) -> int | None:
    """Return the step that a run was rewound to; None where it begins by itself."""
    facts = _read(folder)
    return int(facts["step"]) if facts else None


def rewound_state(folder: RunFolder, net: "Hypernetwork") -> "tuple[ResumeState | None, str]":
    """Return the state with which a rewound run begins, and what to know about it; None where it begins by itself.

    Args:
        folder: The new run.
        net: The network that its configuration makes.

    Raises:
        AppError: the checkpoint can't be read.
    """
    from trainer.hypernetwork import load, load_optimizer
    from trainer.resume_state import ResumeState

    facts = _read(folder)
    if facts is None:
        return None, ""
    path = folder.hypernetworks / facts.pop("checkpoint")
    saved = load_optimizer(path, net)
    moments = saved.state["state"] if saved.state else {}
    tensors = {f"{index}.{name}": value for index, values in moments.items() for name, value in values.items()}
    warning = f"The optimizer starts cold, so the first steps may jump: {saved.reason}" if not tensors else saved.reason
    return ResumeState(facts.pop("step"), load(path).state_dict(), tensors, {"scaler": {}, **facts}), warning


def _read(folder: RunFolder) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads((folder.path / REWIND_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return facts


def _unjudged(folder: RunFolder) -> str:
    return f"{printable(folder.title)} was never validated, so no step is known to be the best."


def _steps_text(steps: Iterable[int]) -> str:
    return ", ".join(f"{step:,}" for step in steps)
