"""Settings that changed after a run was started: `changes.json` beside `run.toml`, which stays as it was."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainer.config import RunConfig, parse_assignments
from trainer.config.read import merge, read_toml, validated
from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.run.folder import RunFolder
from trainer.text import printable

ALLOWED = ("memory.", "recovery.", "data.size", "optimizer.rate_scale", "preview.")
"""What may change within a run: how it is computed, and what recovery itself needs."""


@dataclass(frozen=True)
class Change:
    """Settings that hold from a step on."""

    step: int
    """Steps that were done when it was made."""
    why: str
    """memory, cuda, nan, killed, hang or user."""
    settings: Mapping[str, Any]
    """By dotted name."""


def read_changes(folder: RunFolder) -> list[Change]:
    """Return a run's changes, the first one first.

    Raises:
        AppError: the file is damaged.
    """
    path = folder.path / "changes.json"
    try:
        return [
            Change(int(each["step"]), str(each["why"]), dict(each["settings"])) for each in json.loads(path.read_text())
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        raise AppError(
            "Changes damaged",
            f"{printable(path)} cannot be read.",
            "Mend it, or remove it to go on with run.toml's settings.",
        ) from None


def add_change(folder: RunFolder, change: Change) -> None:
    """Record a change; it holds for every worker of the run from now on."""
    changes = [*read_changes(folder), change]
    text = json.dumps([asdict(each) for each in changes], indent=1) + "\n"
    write_atomic(folder.path / "changes.json", text)


def effective_config(folder: RunFolder) -> RunConfig:
    """Return what a run is computed with now: `run.toml` and its changes.

    Raises:
        AppError: either can't be read or used.
    """
    tree = read_toml(folder.config_file)
    for change in read_changes(folder):
        tree = merge(tree, tree_of(change.settings))
    return validated(RunConfig, tree, printable(folder.config_file))


def tree_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted name as a tree."""
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        below = tree
        for part in path:
            below = below.setdefault(part, {})
        below[last] = value
    return tree


def change_by_user(folder: RunFolder, assignments: list[str]) -> None:
    """Record what the user wants of a run that no worker is on.

    Raises:
        AppError: a setting that may not change, or an unusable value; nothing is recorded then.
    """
    from trainer.recovery.states import first_step

    settings = parse_changes(assignments)
    tree = merge(effective_config(folder).model_dump(), tree_of(settings))
    validated(RunConfig, tree)
    add_change(folder, Change(first_step(folder) or 0, "user", settings))


def parse_changes(assignments: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE texts as changes within a run, by dotted name.

    Raises:
        AppError: an unknown setting, or one that may not change within a run.
    """
    parse_assignments(assignments)
    found = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if not name.strip().startswith(ALLOWED):
            raise AppError(
                "Not within a run",
                f"{printable(name)} decides what is learned and stays as the run was started.",
                "Within a run memory.*, preview.*, recovery.* and data.size may change; start a new run for the rest.",
            )
        found[name.strip()] = value.strip()
    return found
