"""The resume states as files: which is the newest, and the way back to a good one. Light: no tensor is read."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from trainer.config import RunConfig
from trainer.rewind import rewound_step
from trainer.run.folder import RunFolder
from trainer.schedule import scaled_rate_text

GOOD = "good-"
"""A state of a time when the losses were sane, kept beside the newest two for a roll-back."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WayBack:
    """The state from which a run goes on after a fault."""

    step: int | None = None
    """Steps done in it; None where there is none."""
    rate: float | None = None
    """Learning rate of the step after it, at the present `optimizer.rate_scale`; None where that is unknown."""
    undone: tuple[tuple[str, str], ...] = ()
    """What was changed since then and doesn't hold any more: "learning_rate" or "preview_prompt", and its value."""


def way_back(folder: RunFolder, config: RunConfig, *, diverged: bool) -> WayBack:
    """Return from where a run goes on: the newest state, or after it diverged the one that `roll_back` makes so."""
    newest = max(_states(folder), key=_step, default=None)
    target = (_good(folder) or newest) if diverged else newest
    if newest is None or target is None:
        return WayBack(first_step(folder))
    facts = _facts(target)
    since = _facts(newest).get("changes", [])[len(facts.get("changes", [])) :]
    scale, rate = config.optimizer.rate_scale, facts.get("learning_rate")
    undone = tuple((what, scaled_rate_text(v, scale) if what == "learning_rate" else v) for _, what, v in since)
    return WayBack(_step(target), None if rate is None else rate * scale, undone)


def _facts(path: Path) -> Mapping[str, Any]:
    """Return what a state says of itself besides its tensors; nothing where it can't be read."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            facts: Mapping[str, Any] = json.loads(file.metadata()["facts"])
            return facts
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        _log.warning("%s tells nothing: %s", path.name, error)
        return {}


def last_state_step(folder: RunFolder) -> int | None:
    """Return the steps done in the newest state; None where there is none."""
    return max(map(_step, _states(folder)), default=None)


def first_step(folder: RunFolder) -> int | None:
    """Return the steps done where a worker goes on: from the newest state or a rewind; None for a new run."""
    step = last_state_step(folder)
    return rewound_step(folder) if step is None else step


def mark_good(path: Path) -> None:
    """Keep a state for a roll-back; it takes the place of the one kept before."""
    kept = path.with_name(f"{GOOD}{path.name}")
    if kept.exists():
        return
    try:
        os.link(path, kept)
    except OSError as error:  # a file system without hard links keeps the newest two alone
        _log.info("%s is not kept for a roll-back: %s", path.name, error)
        return
    for old in path.parent.glob(f"{GOOD}state-*.safetensors"):
        if old != kept:
            old.unlink(missing_ok=True)


def roll_back(folder: RunFolder) -> None:
    """Make the good state the newest; where none is kept, the older of the two."""
    good = _good(folder)
    if good is None:
        return
    present = good.with_name(good.name.removeprefix(GOOD))
    # A state of the same step with what was changed there gives way; a file that is there already is left.
    if not (present.exists() and present.samefile(good)):
        beside = present.with_suffix(".tmp")
        beside.unlink(missing_ok=True)
        os.link(good, beside)
        beside.replace(present)
    for path in _states(folder):
        if _step(path) > _step(good):
            path.unlink()


def _good(folder: RunFolder) -> Path | None:
    """Return the state to go back to; None where there is only one."""
    kept = max(folder.state.glob(f"{GOOD}state-*.safetensors"), key=_step, default=None)
    return kept or next(iter(sorted(_states(folder), key=_step)[-2:-1]), None)


def _states(folder: RunFolder) -> list[Path]:
    return list(folder.state.glob("state-[0-9]*.safetensors"))


def _step(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
