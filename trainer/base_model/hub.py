"""Base models fetched from the Hugging Face Hub by name.

A dropped connection is taken up again where it broke; a later try keeps every file that is complete.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any

from trainer.base_model.find import SUFFIXES
from trainer.base_model.folder_info import WEIGHT_NAMES
from trainer.errors import AppError
from trainer.network import network_reason
from trainer.text import printable

Progress = Callable[[int, int], None]
"""Called with the bytes that have arrived and the bytes in all (0 while unknown)."""

_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+)(?:/(?P<file>[\w./ -]+\.(?:safetensors|ckpt)))?")
_CONFIGS = ("model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json")


def looks_like_repo_id(text: str) -> bool:
    """Tell whether a `--model` value that names nothing on disk may be OWNER/NAME or OWNER/NAME/FILE."""
    return bool(_NAME.fullmatch(text)) and not Path(text).exists() and ".." not in text


def download_model(name: str, progress: Progress | None = None, *, revision: str | None = None) -> Path:
    """Download a model, or find it in the cache, and return its folder or file.

    Args:
        name: OWNER/NAME of a repository in diffusers layout or with one checkpoint; or OWNER/NAME/FILE.
        progress: Told how far the download is, from another thread.
        revision: Branch, tag or commit; the repository's main branch by default.

    Raises:
        AppError: no such repository, no right to it, no network, or nothing in it that can be used.
    """
    found = _NAME.fullmatch(name)
    if not found:
        raise AppError("Not a model name", f"“{printable(name)}” is not OWNER/NAME.", "Example: owner/model-name.")
    repo, wanted = found["repo"], found["file"]
    try:
        sizes = _remote_files(repo, revision)
    except _network_errors() as error:
        return _from_cache(repo, revision, wanted, error)
    names = [wanted] if wanted else select_files(repo, sizes.keys())
    if wanted and wanted not in sizes:
        raise AppError("No such file", f"{repo} has no {printable(wanted)}.", f"It has: {_checkpoints_text(sizes)}")
    try:
        folder = _snapshot(repo, revision, names, progress, sum(sizes[file] for file in names))
    except _network_errors() as error:
        raise _failed(repo, error, names) from error
    return _model_in(folder, names)


def download_files(
    repo: str,
    choose: Callable[[list[str]], list[str]],
    progress: Progress | None = None,
    *,
    revision: str | None = None,
) -> Path:
    """Download some files of a repository, or find them in the cache, and return the folder they are in.

    Args:
        repo: OWNER/NAME.
        choose: Given the names of all files, returns those that are wanted.
        progress: Told how far the download is, from another thread.
        revision: Branch, tag or commit; the repository's main branch by default.

    Raises:
        AppError: no such repository, no right to it, or no network.
    """
    try:
        sizes = _remote_files(repo, revision)
        names = choose(sorted(sizes))
        return _snapshot(repo, revision, names, progress, sum(sizes[name] for name in names))
    except _network_errors() as error:
        raise _failed(repo, error, []) from error


def select_files(repo: str, names: Collection[str]) -> list[str]:
    """Choose what of a repository is needed: one set of weights a part, safetensors and full precision first.

    Raises:
        AppError: it holds no model, or several checkpoints to choose from.
    """
    if "model_index.json" in names:
        chosen = [name for name in names if name in _CONFIGS or name.startswith(("scheduler/", "tokenizer/"))]
        for part, weights in WEIGHT_NAMES.items():
            present = [f"{part}/{file}" for file in weights if f"{part}/{file}" in names]
            chosen += present[:1]
        return sorted(chosen)
    checkpoints = sorted(name for name in names if name.lower().endswith(SUFFIXES))
    if len(checkpoints) == 1:
        return checkpoints
    title = "Several models" if checkpoints else "No model"
    hint = f"Name one of them: {repo}/{checkpoints[0]}" if checkpoints else "Choose another repository."
    raise AppError(title, f"{repo} holds {_checkpoints_text(names)}.", hint)


def _checkpoints_text(names: Collection[str]) -> str:
    checkpoints = sorted(name for name in names if name.lower().endswith(SUFFIXES))
    shown = ", ".join(printable(name) for name in checkpoints[:8])
    return f"{shown} …" if len(checkpoints) > 8 else shown or "neither model_index.json nor a checkpoint"


def _remote_files(repo: str, revision: str | None) -> dict[str, int]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(repo, revision=revision, files_metadata=True)
    return {file.rfilename: file.size or 0 for file in info.siblings or []}


def _network_errors() -> tuple[type[Exception], ...]:
    """What the client raises for its network and cache; its transport library differs between versions."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    transport = [base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)]
    return (OSError, RuntimeError, HFValidationError, *transport)


def _snapshot(repo: str, revision: str | None, names: list[str], progress: Progress | None, total: int) -> Path:
    from huggingface_hub import snapshot_download

    bar = _reporting_bar(progress, total) if progress else None
    return Path(snapshot_download(repo, revision=revision, allow_patterns=names, tqdm_class=bar))


def _from_cache(repo: str, revision: str | None, wanted: str | None, error: Exception) -> Path:
    """Return an earlier download when the Hub cannot be asked (layout: huggingface_hub, "Understand caching")."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    reference = cache / "refs" / (revision or "main")
    commit = reference.read_text("utf-8").strip() if reference.is_file() else revision or "none"
    folder = cache / "snapshots" / commit
    present = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    complete = all(any(f"{part}/{name}" in present for name in files) for part, files in WEIGHT_NAMES.items())
    checkpoints = [name for name in present if name.lower().endswith(SUFFIXES)]
    if wanted in present:
        return folder / str(wanted)
    if wanted is None and "model_index.json" in present and complete:
        return folder
    if wanted is None and len(checkpoints) == 1 and "model_index.json" not in present:
        return folder / checkpoints[0]
    raise _failed(repo, error, [wanted] if wanted else []) from error


def _model_in(folder: Path, names: list[str]) -> Path:
    return folder if "model_index.json" in names else folder / names[0]


def _failed(repo: str, error: Exception, names: list[str]) -> AppError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    reason = network_reason(error)
    if isinstance(error, GatedRepoError):
        return AppError(
            "No right to this model", f"{repo}: {reason}", "Accept its terms on its page, then sign in: hf auth login"
        )
    if isinstance(error, (RepositoryNotFoundError, RevisionNotFoundError)):
        hint = "Check the spelling; for a private one sign in: hf auth login"
        return AppError("No such model on the Hub", f"{repo}: {reason}", hint)
    needed = ", ".join(names[:12]) or "model_index.json with unet/, vae/, text_encoder/, tokenizer/ and scheduler/"
    return AppError(
        "The Hub cannot be reached",
        f"{repo} could not be downloaded ({reason}).",
        f"Try again (complete files are kept), or fetch these files elsewhere, put them into one folder here "
        f"and give that folder (--model FOLDER): {needed}. "
        "A single .safetensors checkpoint does as well (--model FILE).",
    )


def _reporting_bar(progress: Progress, total: int) -> type[Any]:
    """Make a progress bar class that draws nothing and reports bytes."""
    tqdm: Any = import_module("huggingface_hub.utils.tqdm").tqdm
    lock = threading.Lock()
    arrived: dict[int, float] = {}

    class ReportingBar(tqdm):  # type: ignore[misc]
        """Counts what bars in bytes are told; some versions keep two of the same bytes, so the larger counts."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "file": io.StringIO()})
            self.in_bytes = kwargs.get("unit") == "B"

        def update(self, n: float | None = 1) -> bool | None:
            """Add n and report."""
            if self.in_bytes:
                with lock:
                    arrived[id(self)] = arrived.get(id(self), 0) + (n or 0)
                    progress(int(max(arrived.values())), total)
            return bool(super().update(n))

    return ReportingBar
