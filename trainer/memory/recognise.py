"""Which family of the table a base model belongs to, told without torch."""

import zipfile
from functools import lru_cache
from pathlib import Path

from trainer.base_model.layouts import CLIP_TEXT, OPEN_CLIP_TEXT
from trainer.base_model.read import file_format
from trainer.base_model.recognise import inspect_model, require_trainable
from trainer.memory.table import Architecture, load_table

_MOST_PICKLE_BYTES = 1 << 24


def architecture_of(path: Path) -> Architecture | None:
    """Return the family of a base model; None for one that the table doesn't cover.

    Raises:
        AppError: there is no such model, it is damaged, or it cannot be trained on.
    """
    found = path.stat() if path.is_file() else None
    # A plan is made at every key in the wizard; a file is read again only when it has changed.
    return _family_of_file(path, found.st_mtime_ns, found.st_size) if found else _family_of(path)


@lru_cache(maxsize=16)
def _family_of_file(path: Path, *_age: int) -> Architecture | None:
    return _family_of(path)


def _family_of(path: Path) -> Architecture | None:
    families = load_table()
    if is_pickle(path):
        return families.get(_family_of_pickle(path))
    info = inspect_model(path)
    require_trainable(info)
    dims = set(info.dims)
    return next((family for family in families.values() if set(family.dims) == dims), None)


def is_pickle(path: Path) -> bool:
    """Tell whether a model is a pickled checkpoint, which is read closely only where torch is loaded.

    Raises:
        AppError: there is no such model, or it is no weight file.
    """
    return not path.is_dir() and file_format(path) == "pickle"


def _family_of_pickle(path: Path) -> str:
    """Tell by the names in a pickle, which is searched, not read: reading needs torch, and seconds."""
    names = _pickle_bytes(path)
    if OPEN_CLIP_TEXT.encode() in names:
        return "sd2"
    return "sd1" if CLIP_TEXT.encode() in names else ""


def _pickle_bytes(path: Path) -> bytes:
    """Return the part of a torch file that holds the names: `data.pkl` of an archive, else its beginning."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
            if name is None:
                return b""
            with archive.open(name) as file:
                return file.read(_MOST_PICKLE_BYTES)
    except zipfile.BadZipFile:
        with open(path, "rb") as file:
            return file.read(_MOST_PICKLE_BYTES)
