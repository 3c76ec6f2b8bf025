"""Which captions were written by what, so that a stopped or repeated job does only what is missing.

`processed/.captions.jsonl` has a line for each caption written: the picture's file name, its size and time, and a
hash of the settings it was written with. The last line of a picture counts; a cut line is skipped.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from trainer.captions.files import caption_path

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
        if known is None or not caption_path(picture).is_file():
            return False
        stat = picture.stat()
        return known == (self._recipe, stat.st_size, stat.st_mtime_ns)

    def note(self, picture: Path) -> None:
        """Note that a picture's caption was written."""
        stat = picture.stat()
        if self._file is None:
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 - open for the job's whole time
        line = {"name": picture.name, "recipe": self._recipe, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        self._file.write(json.dumps(line) + "\n")
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


def _read(path: Path) -> dict[str, tuple[str, int, int]]:
    known = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            item = json.loads(line)
            known[str(item["name"])] = (str(item["recipe"]), int(item["size"]), int(item["mtime_ns"]))
        except (ValueError, TypeError, KeyError):
            continue
    return known
