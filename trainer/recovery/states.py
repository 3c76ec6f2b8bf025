"""The resume states as files: which is the newest, and the way back to a good one. Light: no tensor is read."""

import logging
import os
from pathlib import Path

from trainer.rewind import rewound_step
from trainer.run.folder import RunFolder

GOOD = "good-"
"""A state of a time when the losses were sane, kept beside the newest two for a roll-back."""
_log = logging.getLogger(__name__)


def last_state_step(folder: RunFolder) -> int | None:
    """Return the steps done in the newest state; None where there is none."""
    return max((_step(path) for path in folder.state.glob("state-[0-9]*.safetensors")), default=None)


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
    good = max(folder.state.glob(f"{GOOD}state-*.safetensors"), key=_step, default=None)
    states = sorted(folder.state.glob("state-[0-9]*.safetensors"), key=_step)
    if good is None and len(states) < 2:
        return
    target = _step(good) if good else _step(states[-2])
    if good is not None:
        present = good.with_name(good.name.removeprefix(GOOD))
        if not present.exists():
            os.link(good, present)
    for path in states:
        if _step(path) > target:
            path.unlink()


def _step(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
