"""Caption files as they were, kept on disk, so that whatever changed many of them can be taken back.

`processed/.caption-undo/NNNN.jsonl` belongs to one change: its first line says what it was, each further line
holds a caption file's name, its bytes before (null where there was none), and the hash of its bytes after.
"""

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trainer.captions.record import forget
from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.text import printable

UNDO_FOLDER = ".caption-undo"
KEPT_ALWAYS, KEPT_AT_MOST, KEPT_BYTES = 20, 1_000, 32_000_000
"""So many changes can be taken back, one after the other: some of any size, many more where they are small."""


def file_hash(path: Path) -> str:
    """Return the hash of a caption file's bytes; "" where there is no file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


class UndoLog:
    """Keeps what one change overwrites; a context manager, which leaves nothing where nothing was overwritten.

    Args:
        folder: Of the captions.
        what: The change, as a phrase.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self._folder, self._what = folder, what
        self._file: IO[str] | None = None

    def keep(self, path: Path, after: bytes) -> None:
        """Keep a caption file before `after` is written over it.

        Raises:
            OSError: it cannot be kept; then nothing may be overwritten.
        """
        try:
            before: bytes | None = path.read_bytes()
        except FileNotFoundError:
            before = None
        if self._file is None:
            self._file = self._begin()
        packed = None if before is None else base64.b64encode(before).decode()
        line = {"name": path.name, "before": packed, "after": hashlib.sha256(after).hexdigest()}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def _begin(self) -> IO[str]:
        parent = self._folder / UNDO_FOLDER
        parent.mkdir(mode=0o700, exist_ok=True)
        logs = _logs(self._folder)
        for old in _too_old(logs):
            old.unlink(missing_ok=True)
        number = int(logs[-1].stem) + 1 if logs else 1
        file = open(parent / f"{number:04d}.jsonl", "x", encoding="utf-8")  # noqa: SIM115 - open for the change's whole time
        file.write(json.dumps({"what": self._what, "t": round(time.time())}) + "\n")
        return file

    def __enter__(self) -> "UndoLog":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()


@dataclass(frozen=True)
class Undone:
    """What was taken back."""

    what: str
    """The change, as a phrase."""
    restored: tuple[str, ...]
    """Names of caption files that are as they were."""
    changed_since: tuple[str, ...]
    """Names of caption files that were left alone, as somebody changed them after the change."""


def last_change(folder: Path) -> str:
    """Return what `undo_last` would take back, as a phrase; "" where there is nothing."""
    logs = _logs(folder)
    if not logs:
        return ""
    with logs[-1].open(encoding="utf-8") as lines:
        return _what(lines.readline())


def undo_last(folder: Path) -> Undone:
    """Take the last change of many captions back.

    Raises:
        AppError: there is none, or a file cannot be written; what is restored by then stays so, and the rest can be
            taken back again.
    """
    logs = _logs(folder)
    if not logs:
        raise AppError("Nothing to undo", f"No change of captions is on record in {printable(folder)}.", "")
    what, lines = _read(logs[-1])
    restored: list[str] = []
    changed: list[str] = []
    try:
        # The newest first, as a file may have been changed twice.
        for name, before, after in reversed(lines):
            path = folder / name
            if file_hash(path) != after:
                already = before is not None and path.is_file() and path.read_bytes() == before
                (restored if already else changed).append(name)
            elif before is None:
                path.unlink()
                restored.append(name)
            else:
                write_atomic(path, before)
                restored.append(name)
        forget(folder, restored)
        os.replace(logs[-1], logs[-1].with_suffix(".undone"))
    except OSError as error:
        raise AppError(
            "Cannot restore a caption",
            f"{printable(error.filename or folder)}: {(error.strerror or str(error)).lower()}.",
            "Free some space, or make the folder writable; then undo again.",
        ) from None
    return Undone(what, tuple(sorted(set(restored) - set(changed))), tuple(sorted(set(changed))))


def _logs(folder: Path) -> list[Path]:
    logs = (path for path in (folder / UNDO_FOLDER).glob("*.jsonl") if path.stem.isdecimal())
    return sorted(logs, key=lambda path: int(path.stem))


def _too_old(logs: list[Path]) -> Iterator[Path]:
    """Yield the logs that go before another one is begun."""
    kept_bytes = 0
    for count, log in enumerate(reversed(logs), 2):
        kept_bytes += log.stat().st_size
        if count > KEPT_ALWAYS and (count > KEPT_AT_MOST or kept_bytes > KEPT_BYTES):
            yield log


def _read(log: Path) -> tuple[str, list[tuple[str, bytes | None, str]]]:
    texts = log.read_text(encoding="utf-8").splitlines()
    return _what(texts[0] if texts else ""), list(_lines(texts[1:]))


def _what(first_line: str) -> str:
    try:
        return str(json.loads(first_line)["what"])
    except (ValueError, KeyError, TypeError):
        return "a change"


def _lines(texts: list[str]) -> Iterator[tuple[str, bytes | None, str]]:
    for text in texts:
        try:
            item = json.loads(text)
            name = str(item["name"])
            before = None if item["before"] is None else base64.b64decode(item["before"])
            line = (name, before, str(item["after"]))
        except (ValueError, KeyError, TypeError):
            continue  # cut by a crash, which came before the file was overwritten
        if name == Path(name).name and name.endswith(".txt"):
            yield line
