"""Crop one source of a folder, in a worker process: nothing if it has not changed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from trainer.files import sha256_of
from trainer.pictures.aside import set_aside, take_back_caption
from trainer.pictures.crop import crop_picture, save_crops
from trainer.pictures.decode import PictureError
from trainer.pictures.geometry import Frame
from trainer.pictures.manifest import Entry
from trainer.pictures.names import crop_name
from trainer.pictures.options import CropOptions


@dataclass(frozen=True)
class CropResult:
    """What became of one source."""

    source: str
    status: Literal["done", "unchanged", "left-aside"]
    outputs: tuple[str, ...] = ()
    """File names in the processed folder."""
    reason: str = ""
    """Why it was left aside, as a phrase."""
    notes: tuple[str, ...] = ()
    megapixels: float = 0.0
    """Decoded from the source in this run."""


@dataclass(frozen=True)
class Task:
    """One source to be cropped, as sent to a worker process."""

    source: Path
    processed: Path
    index: int
    options: CropOptions
    frame: Frame | None
    known: Entry | None
    """What the record says of an earlier run."""


def crop_one(task: Task) -> tuple[CropResult, Entry | None]:
    """Do one task; runs in a worker process.

    Returns:
        The result and what to put on record; None keeps the record as it is.

    Raises:
        OSError: the training picture cannot be written.
    """
    name, known = task.source.name, task.known
    recipe = task.options.recipe(task.frame)
    try:
        stat = task.source.stat()
        sha256 = sha256_of(task.source)
    except OSError as error:
        return left_aside(task, f"it cannot be read ({(error.strerror or str(error)).lower()})")
    if known is not None and known.sha256 == sha256 and known.recipe == recipe and _outputs_exist(task):
        entry = replace(known, num_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)
        return CropResult(name, "unchanged", known.outputs, notes=known.notes), entry
    try:
        crops = crop_picture(task.source, task.options, task.frame)
    except PictureError as error:
        return left_aside(task, str(error))
    names = [crop_name(task.index, part, task.source.stem) for part in range(len(crops.images))]
    own = () if known is None else known.outputs
    set_aside(task.processed, [output for output in names if output not in own])
    save_crops(crops.images, task.processed, names)
    for output in names:
        take_back_caption(task.processed, output)
    entry = Entry(name, task.index, stat.st_size, stat.st_mtime_ns, sha256, recipe, tuple(names), crops.notes)
    return CropResult(name, "done", entry.outputs, notes=crops.notes, megapixels=crops.megapixels), entry


def left_aside(task: Task, reason: str) -> tuple[CropResult, Entry | None]:
    """Report a source as unusable; its number stays on record, so that it gets its old names back."""
    entry = None if task.known is None else replace(task.known, sha256="", outputs=(), notes=())
    return CropResult(task.source.name, "left-aside", reason=reason), entry


def is_unchanged(task: Task) -> bool:
    """Whether size and time of the source and the recipe are those on record, and the results are there."""
    known = task.known
    if known is None or not known.outputs or known.recipe != task.options.recipe(task.frame):
        return False
    try:
        stat = task.source.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (known.num_bytes, known.mtime_ns) and _outputs_exist(task)


def _outputs_exist(task: Task) -> bool:
    known = task.known
    return (
        known is not None and bool(known.outputs) and all((task.processed / name).is_file() for name in known.outputs)
    )
