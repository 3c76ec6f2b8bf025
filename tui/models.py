"""Base models as the wizard lists them. Everything here reads files and belongs into a thread."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.base_model.find import FoundModel, find_a1111_folders, find_models
from trainer.errors import AppError
from trainer.text import printable, size_text, without_options
from tui.words import table

_HUB_PREFIX = "models--"


@dataclass(frozen=True)
class ModelLook:
    """One base model."""

    path: Path
    label: str
    """Its family in words."""
    size_bytes: int
    native_size_px: int = 0
    """Side of the pictures it was made for; 0 where that can't be told."""
    short_hash: str = ""
    """Ten digits; empty while not computed, and for folders."""
    problem: str = ""
    """Why it can't be trained on, and what can."""

    def with_hash(self, short_hash: str) -> "ModelLook":
        """Return this with its hash."""
        return replace(self, short_hash=short_hash)

    @property
    def name(self) -> str:
        """Its name, harmless to show; OWNER/NAME for a download from the Hub."""
        for folder in self.path.parents:
            if folder.name.startswith(_HUB_PREFIX):
                return printable(folder.name.removeprefix(_HUB_PREFIX).replace("--", "/"), 80)
        return printable(self.path.name if self.path.is_dir() else self.path.stem, 80)


def found_models(others: Iterable[Path] = ()) -> list[FoundModel]:
    """Return the models of this machine, newest first.

    Args:
        others: Models to list first, wherever they lie.
    """
    found: dict[Path, FoundModel] = {}
    for path in others:
        if path.exists():
            kind, status = ("diffusers-folder" if path.is_dir() else "file"), path.stat()
            found[path.resolve()] = FoundModel(path, kind, _size(path), status.st_mtime)  # type: ignore[arg-type]
    folders = find_a1111_folders()
    listed = [*find_models(), *(model for folder in folders for model in find_models(folder))]
    for model in sorted(listed, key=lambda model: -model.modified_s):
        found.setdefault(model.path.resolve(), model)
    return list(found.values())


def look_at_model(path: Path) -> ModelLook:
    """Recognise a model, without torch.

    Raises:
        AppError: there is nothing at `path`, or it cannot be read as a model at all.
    """
    from trainer.base_model.hashes import known_hash
    from trainer.base_model.recognise import inspect_model
    from trainer.memory.recognise import architecture_of, is_pickle

    if path.is_dir() or not is_pickle(path):
        info = inspect_model(path)
        problem = " ".join(_told(error) for error in info.problems[:1])
        known = "" if path.is_dir() else known_hash(path) or ""
        family = None if problem or info.family != "custom" else architecture_of(path)
        return ModelLook(
            path, family.label if family else info.label, info.size_bytes, info.native_size_px, known, problem
        )
    family = architecture_of(path)
    label = family.label if family else "a pickled checkpoint"
    # Base and v-prediction models of SD 2.x are alike from outside.
    native = 512 if family and family.name == "sd1" else 0
    return ModelLook(path, label, path.stat().st_size, native, known_hash(path) or "")


def hash_of(path: Path, go_on: Callable[[], bool]) -> str:
    """Compute a file's short hash, which takes seconds; "" for folders and when `go_on` says no."""
    from trainer.base_model.hashes import short_hash

    return short_hash(path, go_on) or ""


def judged(path: Path) -> ModelLook:
    """Recognise a model; one that can't be read is described by what is wrong with it."""
    try:
        return look_at_model(path)
    except (AppError, OSError) as error:
        told = _told(error) if isinstance(error, AppError) else str(error)
        # The list says already where it is.
        return ModelLook(path, "can't be read", 0, problem=printable(told).replace(printable(path), "The file", 1))


def _told(error: AppError) -> str:
    return without_options(f"{error.message} {error.hint}")


def model_lines(looks: Sequence[ModelLook], width: int) -> list[str]:
    """Return a line for each model: name, architecture, size, hash, and whether it can be trained on."""
    cells = [
        (
            look.name,
            look.label,
            size_text(look.size_bytes) if look.size_bytes else "",
            "folder" if look.path.is_dir() else look.short_hash or ("" if look.problem else "…"),
            "unusable" if look.problem else "",
        )
        for look in looks
    ]
    return table(cells, width, 16)


def _size(path: Path) -> int:
    parts = [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts)
