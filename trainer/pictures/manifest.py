"""The record of what was cropped from what, so that a second run does only what changed.

`processed/.crop.json` holds for each source: its number, size, time and SHA-256, a hash of the recipe
(options, manual frame), and the names of the training pictures made from it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from trainer.files import write_atomic

MANIFEST_NAME = ".crop.json"
_VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One source picture and what was made from it."""

    source: str
    """File name in the pictures' folder."""
    index: int
    """Its number, kept for good once given."""
    num_bytes: int
    mtime_ns: int
    sha256: str
    recipe: str
    outputs: tuple[str, ...]
    """File names in the processed folder."""
    notes: tuple[str, ...] = ()


@dataclass
class Manifest:
    """All entries, by source file name."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def next_index(self) -> int:
        """Return the first number above all that were given."""
        return max((entry.index for entry in self.entries.values()), default=-1) + 1

    def outputs(self) -> set[str]:
        """Return the names of all training pictures on record."""
        return {name for entry in self.entries.values() for name in entry.outputs}

    def source_of(self) -> dict[str, str]:
        """Return the source's file name for each training picture's file name."""
        return {name: entry.source for entry in self.entries.values() for name in entry.outputs}


def read_manifest(processed: Path) -> Manifest:
    """Read the record; a missing or damaged one is an empty one, and everything is cropped again."""
    try:
        tree = json.loads((processed / MANIFEST_NAME).read_bytes())
        if tree["version"] != _VERSION:
            return Manifest()
        entries = [_entry(item) for item in tree["pictures"]]
    except (OSError, ValueError, TypeError, KeyError):
        return Manifest()
    return Manifest({entry.source: entry for entry in entries})


def write_manifest(processed: Path, manifest: Manifest) -> None:
    """Replace the record."""
    pictures = [asdict(entry) for entry in sorted(manifest.entries.values(), key=lambda entry: entry.index)]
    write_atomic(processed / MANIFEST_NAME, json.dumps({"version": _VERSION, "pictures": pictures}, indent=1))


def _entry(item: dict[str, Any]) -> Entry:
    """Check one entry as it was read; names with a folder in them are refused, as they become paths."""
    values = {each.name: item[each.name] for each in fields(Entry)}
    outputs = _names(values["outputs"])
    if any(type(values[name]) is not int for name in ("index", "num_bytes", "mtime_ns")):
        raise ValueError("a number is missing")
    _names([values["source"]])
    return Entry(**{**values, "outputs": outputs, "notes": tuple(map(str, values["notes"]))})


def _names(values: Iterable[Any]) -> tuple[str, ...]:
    names = tuple(values)
    if any(not isinstance(name, str) or name != Path(name).name for name in names):
        raise ValueError("not a plain file name")
    return names
