"""The short hash and the name by which A1111 records a checkpoint in a hypernetwork."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import platformdirs

from trainer.base_model.find import MODELS_BELOW_A1111
from trainer.files import sha256_of, write_atomic

SHORT_DIGITS = 10


def short_hash(path: Path, go_on: Callable[[], bool] = lambda: True) -> str | None:
    """Return the first 10 hex digits of a checkpoint's SHA-256, or None for a folder.

    The hash of a file is kept in the user's cache folder until its size or time changes: 2-7 GB are read
    only once.

    Args:
        path: The checkpoint.
        go_on: Asked before every few megabytes; None is returned when it says no.

    Raises:
        OSError: the file cannot be read.
    """
    if path.is_dir():
        return None
    known = known_hash(path)
    if known is not None:
        return known
    cached, stamp = _cache_file(path), _stamp(path)
    digest = sha256_of(path, go_on=go_on)
    if not digest:
        return None
    with contextlib.suppress(OSError):  # without a cache folder it is only slower next time
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(cached, json.dumps({"path": str(path.resolve()), "stamp": stamp, "sha256": digest}))
    return digest[:SHORT_DIGITS]


def known_hash(path: Path) -> str | None:
    """Return a file's short hash when it has been computed before, else None; reads next to nothing.

    Raises:
        OSError: there is no such file.
    """
    stamp = _stamp(path)
    try:
        record = json.loads(_cache_file(path).read_text("utf-8"))
        if record["path"] == str(path.resolve()) and record["stamp"] == stamp:
            return str(record["sha256"])[:SHORT_DIGITS]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def content_key(path: Path) -> str:
    """Return what identifies a model's content: a file's short hash, or one over a folder's weight files."""
    if path.is_file():
        return short_hash(path) or ""
    weights = sorted(file for pattern in ("*.safetensors", "*.bin") for file in path.rglob(pattern))
    text = "\n".join(f"{file.relative_to(path)} {short_hash(file)}" for file in weights)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:SHORT_DIGITS]


def checkpoint_name(path: Path, models_dir: Path | None = None) -> str:
    """Return the name that A1111 writes as `sd_checkpoint_name`.

    Args:
        path: The checkpoint.
        models_dir: A1111's `models/Stable-diffusion`; the name is then the path below it, with `_` between folders.
    """
    resolved = path.resolve()
    if models_dir is not None and resolved.is_relative_to(models_dir.resolve()):
        relative = resolved.relative_to(models_dir.resolve())
    else:
        relative = Path(path.name)
    name = relative if path.is_dir() else relative.with_suffix("")
    return str(name).replace("/", "_").replace("\\", "_")


def models_folder(path: Path) -> Path | None:
    """Return the A1111 `models/Stable-diffusion` that a checkpoint lies in, if it does."""
    return next((folder for folder in path.resolve().parents if folder.match(str(MODELS_BELOW_A1111))), None)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _cache_file(path: Path) -> Path:
    key = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return platformdirs.user_cache_path("hypernet-wizard") / "hashes" / f"{key}.json"
