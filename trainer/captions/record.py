"""Which captions were written by what, so that a stopped or repeated job does only what is missing.

`processed/.captions.jsonl` has two lines for each caption written: one before, with the hash of what will be written,
one after. Both hold the picture's file name, its size and time, and a hash of the settings. The last line of a picture
counts, the one before only if the file is what it promised; a cut line is skipped.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from trainer.captions.files import caption_path
from trainer.files import sha256_of

RECORD_NAME = ".captions.jsonl"


def recipe_of(tree: Mapping[str, Any]) -> str:
    """Return a short hash of everything that shapes a caption."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True, default=str).encode()).hexdigest()[:16]


class CaptionRecord:
    """The record of one folder and one recipe; a context manager.

    Args:
        folder: Of the training pictures.
        recipe: From `recipe_of`.
        forget: Start as if nothing had been written.
    """

    def __init__(self, folder: Path, recipe: str, forget: bool = False) -> None:
        self._path, self._recipe = folder / RECORD_NAME, recipe
        self._known = {} if forget else _read(self._path)
        self._file: IO[str] | None = None

    def is_done(self, picture: Path) -> bool:
        """Whether this picture's caption was written with this recipe, and both are still there."""
        known = self._known.get(picture.name)
        caption = caption_path(picture)
        if known is None or not caption.is_file():
            return False
        stat = picture.stat()
        *same, promised = known
        if same != [self._recipe, stat.st_size, stat.st_mtime_ns]:
            return False
        if promised and sha256_of(caption) != promised:
            return False
        if promised:
            self.note(picture)  # it was: from now on it may be edited
        return True

    def promise(self, picture: Path, data: bytes) -> None:
        """Note what will be written, so that a kill just after the writing has no caption added twice."""
        self._add(picture, {"promised": hashlib.sha256(data).hexdigest()})

    def note(self, picture: Path) -> None:
        """Note that a picture's caption was written."""
        self._add(picture, {})

    def _add(self, picture: Path, more: Mapping[str, str]) -> None:
        stat = picture.stat()
        if self._file is None:
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 - open for the job's whole time
        line = {"name": picture.name, "recipe": self._recipe, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        self._file.write(json.dumps({**line, **more}) + "\n")
        self._file.flush()

    def __enter__(self) -> "CaptionRecord":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()


def forget(folder: Path, captions: Iterable[str]) -> None:
    """Note that caption files aren't what was written any more, so that a job writes them again.

    Args:
        folder: Of the training pictures.
        captions: File names.
    """
    stems = {Path(name).stem for name in captions}
    gone = [name for name in _read(folder / RECORD_NAME) if Path(name).stem in stems]
    if gone:
        with open(folder / RECORD_NAME, "a", encoding="utf-8") as file:
            file.writelines(json.dumps({"name": n, "recipe": "", "size": 0, "mtime_ns": 0}) + "\n" for n in gone)


def _read(path: Path) -> dict[str, tuple[str, int, int, str]]:
    known = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            item = json.loads(line)
            promised = str(item.get("promised", ""))
            known[str(item["name"])] = (str(item["recipe"]), int(item["size"]), int(item["mtime_ns"]), promised)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return known
