"""Base models that are already on this machine, newest first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MODELS_BELOW_A1111 = Path("models") / "Stable-diffusion"
SUFFIXES = (".safetensors", ".ckpt")
A1111_NAMES = ("stable-diffusion-webui", "stable-diffusion-webui-forge", "stable-diffusion-webui-amdgpu", "webui")
"""Folder names under which A1111 and its forks are usually installed."""
USUAL_PARENTS = ("/workspace", "/notebooks", "/content", "/opt", "/srv", "/data")
"""Where rented machines and notebooks usually keep it, besides the home and working folders."""


@dataclass(frozen=True)
class FoundModel:
    """A file or folder that looks like a model; what it is, is told by `inspect_model`."""

    path: Path
    kind: Literal["file", "diffusers-folder"]
    size_bytes: int
    modified_s: float


def find_a1111_folders(beside: Iterable[Path] = ()) -> list[Path]:
    """Return the A1111 installations in the usual places.

    Args:
        beside: Further folders that may be, or hold, an installation.
    """
    here = Path.cwd()
    parents = [*beside, here, *here.parents, *_subfolders(Path.home()), *map(Path, USUAL_PARENTS)]
    candidates = [path for parent in parents for path in (parent, *(parent / name for name in A1111_NAMES))]
    found: dict[Path, None] = {}
    for path in candidates:
        if _is_folder(path / MODELS_BELOW_A1111):
            found.setdefault(path.resolve())
    return list(found)


def find_models(a1111_dir: Path | None = None, folders: Iterable[Path] = ()) -> list[FoundModel]:
    """Return the models of an A1111 folder, of other folders and of the Hugging Face cache, newest first.

    Args:
        a1111_dir: An A1111 installation; its `models/Stable-diffusion` is searched with all sub-folders.
        folders: Further folders to search.
    """
    searched = [a1111_dir / MODELS_BELOW_A1111] if a1111_dir else []
    found: dict[Path, FoundModel] = {}
    for folder in (*searched, *folders):
        for model in _models_below(folder):
            found.setdefault(model.path.resolve(), model)
    for model in _cached_models():
        found.setdefault(model.path.resolve(), model)
    return sorted(found.values(), key=lambda model: model.modified_s, reverse=True)


def default_model(a1111_dir: Path) -> Path | None:
    """Return the newest checkpoint of an A1111 installation, or None."""
    models = sorted(_models_below(a1111_dir / MODELS_BELOW_A1111), key=lambda model: model.modified_s)
    return models[-1].path if models else None


def _models_below(folder: Path) -> Iterator[FoundModel]:
    for current, folders, files in os.walk(folder, followlinks=True):
        depth = len(Path(current).relative_to(folder).parts)
        folders[:] = sorted(folders) if depth < 8 else []
        if "model_index.json" in files:
            folders.clear()
            yield from _described(Path(current), "diffusers-folder")
            continue
        for name in sorted(files):
            lowered = name.lower()
            if lowered.endswith(SUFFIXES) and ".vae." not in lowered:
                yield from _described(Path(current) / name, "file")


def _cached_models() -> Iterator[FoundModel]:
    """Diffusers folders that the Hub client downloaded (huggingface_hub, "Understand caching")."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    try:
        indexes = sorted(cache.glob("models--*/snapshots/*/model_index.json"))
    except OSError:
        return
    for index in indexes:
        if (index.parent / "unet").is_dir():
            yield from _described(index.parent, "diffusers-folder")


def _described(path: Path, kind: Literal["file", "diffusers-folder"]) -> Iterator[FoundModel]:
    """Describe a model, unless it is gone or cannot be looked at."""
    try:
        parts = [path] if kind == "file" else [part for part in path.rglob("*") if part.is_file()]
        yield FoundModel(path, kind, sum(part.stat().st_size for part in parts), path.stat().st_mtime)
    except OSError:
        return


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _subfolders(folder: Path) -> list[Path]:
    """The folder itself and those directly in it, hidden ones left out."""
    try:
        inside = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and path.is_dir()]
    except OSError:
        inside = []
    return [folder, *inside]
