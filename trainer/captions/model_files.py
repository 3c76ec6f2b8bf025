"""The files of a captioner: given by path, found on this machine, or fetched."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainer.base_model.find import find_a1111_folders
from trainer.errors import AppError
from trainer.text import printable

Progress = Callable[[int, int], None]
"""Called with the bytes that have arrived and the bytes in all (0 while unknown)."""

DEEPBOORU_FILE = "model-resnet_custom_v3.pt"
DEEPBOORU_URL = f"https://github.com/AUTOMATIC1111/TorchDeepDanbooru/releases/download/v1/{DEEPBOORU_FILE}"
_A1111_PLACES = ("models/torch_deepdanbooru", "models/DeepDanbooru", "models/deepbooru")

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""Either of these must be in a transformers folder."""


@dataclass(frozen=True)
class Needed:
    """What a captioner needs."""

    captioner: str
    model: str
    """Path, or OWNER/NAME on the Hub."""
    files: tuple[str, ...]
    """File names; of those joined by "|" one is enough."""
    fetched: tuple[str, ...] = ()
    """Patterns of what is downloaded from the Hub."""
    url: str = ""
    """Where a single file is downloaded from, where it isn't on the Hub."""
    size_text: str = ""
    """How large the download is, about."""


def captioners_folder() -> Path:
    """Return the folder where captioners' files may be put: one folder for each, by the captioner's name."""
    from platformdirs import user_data_path

    return user_data_path("hypernet-wizard") / "captioners"


def find_here(needed: Needed) -> Path | None:
    """Return the folder or file that holds what is needed; None where it isn't on this machine."""
    for place in _places(needed):
        if _holds(place, needed):
            return place / needed.files[0] if needed.url and place.is_dir() else place
    return None


def provide(needed: Needed, progress: Progress | None = None) -> Path:
    """Return the folder or file that holds what is needed, downloaded where it isn't on this machine.

    Raises:
        AppError: it isn't here and can't be downloaded; the message names the files, their source and their place.
    """
    here = find_here(needed)
    if here is not None:
        return here
    if _is_local(needed):
        raise missing(
            needed, "it is not there" if not Path(needed.model).expanduser().exists() else "files are missing"
        )
    from trainer.captions.fetch import fetch_file, fetch_repository

    try:
        if needed.url:
            return fetch_file(needed.url, captioners_folder() / needed.captioner / needed.files[0], progress)
        folder = fetch_repository(needed.model, needed.fetched, progress)
    except (AppError, OSError) as error:
        reason = error.message if isinstance(error, AppError) else str(error)
        raise missing(needed, printable(reason, 200).rstrip(".")) from error
    if not _holds(folder, needed):
        raise missing(needed, "the repository does not hold all of them")
    return folder


def missing(needed: Needed, why: str) -> AppError:
    """Return the message for files that can't be had: what, where from, where to, and what can be done without."""
    source = needed.url or needed.model
    files = ", ".join(name.replace("|", " or ") for name in needed.files)
    where = (
        "" if _is_local(needed) else f" from {printable(source)}{f' ({needed.size_text})' if needed.size_text else ''}"
    )
    return AppError(
        f"No model for {needed.captioner}",
        f"{needed.captioner} needs {files}{where}, which could not be had: {why}.",
        f"Fetch these files elsewhere and put them into {printable(captioners_folder() / needed.captioner)}, or give "
        f"their folder (--set {needed.captioner}.model=FOLDER). Without them: file names or one text as captions "
        "(--with filename, --with text), or captions written by hand.",
    )


def _places(needed: Needed) -> list[Path]:
    if _is_local(needed):
        return [Path(needed.model).expanduser()]
    own = captioners_folder() / needed.captioner
    if needed.url:
        return [own, *(root / place for root in find_a1111_folders() for place in _A1111_PLACES)]
    return [own, *_cached(needed.model)]


def _is_local(needed: Needed) -> bool:
    """Whether the user named a place on this machine."""
    if not needed.model:
        return False
    path = Path(needed.model).expanduser()
    return path.exists() or needed.model.startswith(("/", ".", "~")) or bool(needed.url) or needed.model.count("/") != 1


def _holds(place: Path, needed: Needed) -> bool:
    if needed.url and place.is_file():
        return True
    found = all(any((place / name).is_file() for name in names.split("|")) for names in needed.files)
    return found and all((place / name).is_file() for name in _shards(place))


def _shards(place: Path) -> set[str]:
    """Return the parts of weights that are split into several files, as their index names them."""
    if (place / "model.safetensors").is_file():
        return set()
    try:
        names = json.loads((place / "model.safetensors.index.json").read_bytes())["weight_map"].values()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return set()
    return {Path(str(name)).name for name in names}


def _cached(repo: str) -> list[Path]:
    """Return the snapshots of a repository in the Hub's cache, the one that its main branch names first."""
    root = _hub_cache() / f"models--{repo.replace('/', '--')}"
    try:
        named = (root / "refs" / "main").read_text("utf-8").strip()
    except (OSError, UnicodeError):
        named = ""
    try:
        snapshots = sorted((root / "snapshots").iterdir(), key=lambda path: path.name != named)
    except OSError:
        return []
    return [path for path in snapshots if path.is_dir()]


def _hub_cache() -> Path:
    # As huggingface_hub finds it ("Understand caching"); asked without importing it, which takes half a second.
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home).expanduser() / "hub").expanduser()
