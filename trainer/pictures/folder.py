"""Crop a whole folder: only what changed, over all cores, saying what was done with every picture."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from trainer.errors import AppError
from trainer.files import sha256_of
from trainer.pictures.aside import set_aside, take_back_caption
from trainer.pictures.check import no_pictures
from trainer.pictures.crop import crop_picture, save_crops
from trainer.pictures.decode import PictureError
from trainer.pictures.geometry import Frame
from trainer.pictures.look import few_pictures_warning, picture_files
from trainer.pictures.manifest import Entry, Manifest, read_manifest, write_manifest
from trainer.pictures.names import crop_name
from trainer.pictures.options import CropOptions
from trainer.pictures.pool import map_processes, worker_count
from trainer.text import printable

_RECORD_EVERY_S = 5.0


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
class CropReport:
    """What became of a folder."""

    results: tuple[CropResult, ...]
    """One for each source, in natural order."""
    set_aside: tuple[str, ...]
    """Files moved to `.set-aside` because their source is gone or left out, or gives fewer pictures now."""
    warnings: tuple[str, ...]
    seconds: float

    def with_status(self, status: str) -> list[CropResult]:
        """Return the results of one status."""
        return [result for result in self.results if result.status == status]


Progress = Callable[[int, int, CropResult], None]
"""Called with how many are finished, how many there are, and the latest."""


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


def crop_folder(
    source: Path,
    processed: Path,
    options: CropOptions,
    *,
    frames: Mapping[str, Frame] | None = None,
    left_out: Collection[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> CropReport:
    """Make the training pictures of all sources in a folder; sources are never changed.

    Args:
        source: Folder of pictures, not recursive.
        processed: Where `IIIII-S-stem.png` go; made if need be.
        options: What to make.
        frames: Manual frames by source file name.
        left_out: Source file names that the user left out.
        workers: Processes; None takes the cores at hand where there is enough to do.
        progress: Told about every picture.

    Raises:
        AppError: no usable pictures, unusable folders, or a full disk. What was done stays done.
    """
    begun_s = time.monotonic()
    pictures = picture_files(source)
    _check_folders(source, processed, pictures)
    manifest = read_manifest(processed)
    wanted = [path for path in pictures if path.name not in left_out]
    results = [
        CropResult(path.name, "left-aside", reason="you left it out") for path in pictures if path.name in left_out
    ]
    tasks = _tasks(wanted, processed, options, frames or {}, manifest)
    strays: list[str] = []
    try:
        for result in _crop(tasks, manifest, strays, workers):
            results.append(result)
            if progress is not None:
                progress(len(results), len(pictures), result)
        strays += _forget_gone(processed, manifest, {path.name for path in wanted})
        write_manifest(processed, manifest)
    except OSError as error:
        raise _cannot_write(processed, error) from None
    order = {path.name: place for place, path in enumerate(pictures)}
    results.sort(key=lambda result: order[result.source])
    usable = sum(bool(result.outputs) for result in results)
    if not usable:
        raise AppError("No usable pictures", _first_reasons(source, results), "Add pictures that can be opened.")
    warning = few_pictures_warning(usable)
    return CropReport(tuple(results), tuple(strays), (warning,) if warning else (), time.monotonic() - begun_s)


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
        return _left_aside(task, f"it cannot be read ({(error.strerror or str(error)).lower()})")
    if known is not None and known.sha256 == sha256 and known.recipe == recipe and _outputs_exist(task):
        entry = replace(known, num_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)
        return CropResult(name, "unchanged", known.outputs, notes=known.notes), entry
    try:
        crops = crop_picture(task.source, task.options, task.frame)
    except PictureError as error:
        return _left_aside(task, str(error))
    names = [crop_name(task.index, part, task.source.stem) for part in range(len(crops.images))]
    own = () if known is None else known.outputs
    set_aside(task.processed, [output for output in names if output not in own])
    save_crops(crops.images, task.processed, names)
    for output in names:
        take_back_caption(task.processed, output)
    entry = Entry(name, task.index, stat.st_size, stat.st_mtime_ns, sha256, recipe, tuple(names), crops.notes)
    return CropResult(name, "done", entry.outputs, notes=crops.notes, megapixels=crops.megapixels), entry


def _left_aside(task: Task, reason: str) -> tuple[CropResult, Entry | None]:
    """Report a source as unusable; its number stays on record, so that it gets its old names back."""
    entry = None if task.known is None else replace(task.known, sha256="", outputs=(), notes=())
    return CropResult(task.source.name, "left-aside", reason=reason), entry


def _tasks(
    pictures: list[Path], processed: Path, options: CropOptions, frames: Mapping[str, Frame], manifest: Manifest
) -> list[Task]:
    index = manifest.next_index()
    tasks = []
    for path in pictures:
        known = manifest.entries.get(path.name)
        tasks.append(Task(path, processed, known.index if known else index, options, frames.get(path.name), known))
        index += known is None
    return tasks


def _crop(tasks: list[Task], manifest: Manifest, strays: list[str], workers: int | None) -> Iterator[CropResult]:
    """Yield a result for every task and keep the record, which is saved now and then and when interrupted."""
    to_do = []
    for task in tasks:
        if _is_unchanged(task):
            assert task.known is not None
            yield CropResult(task.source.name, "unchanged", task.known.outputs, notes=task.known.notes)
        else:
            to_do.append(task)
    if not to_do:
        return
    if workers is None:
        workers = worker_count(task.source for task in to_do)
    saved_s = time.monotonic()
    processed = to_do[0].processed
    try:
        for task, answer in map_processes(crop_one, to_do, workers):
            result, entry = answer or _left_aside(task, "decoding it needs more memory than there is")
            if entry is not None:
                manifest.entries[entry.source] = entry
            if task.known is not None:
                strays += set_aside(processed, [name for name in task.known.outputs if name not in result.outputs])
            yield result
            if time.monotonic() - saved_s > _RECORD_EVERY_S:
                write_manifest(processed, manifest)
                saved_s = time.monotonic()
    finally:
        write_manifest(processed, manifest)


def _is_unchanged(task: Task) -> bool:
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


def _forget_gone(processed: Path, manifest: Manifest, present: set[str]) -> tuple[str, ...]:
    """Set aside what was made from sources that are gone or left out; their numbers stay on record."""
    gone = [entry for entry in manifest.entries.values() if entry.source not in present and entry.outputs]
    for entry in gone:
        manifest.entries[entry.source] = replace(entry, sha256="", outputs=(), notes=())
    return set_aside(processed, [name for entry in gone for name in entry.outputs])


def _check_folders(source: Path, processed: Path, pictures: list[Path]) -> None:
    if not pictures:
        raise no_pictures(source)
    try:
        processed.mkdir(parents=True, exist_ok=True, mode=0o700)
        same = source.samefile(processed)
    except OSError as error:
        raise _cannot_write(processed, error) from None
    if same:
        raise AppError(
            "Source and target are one folder",
            f"The training pictures would be written among the sources in {printable(source)}.",
            "Choose another folder for the training pictures.",
        )


def _cannot_write(processed: Path, error: OSError) -> AppError:
    return AppError(
        "Cannot write the training pictures",
        f"{printable(processed)}: {(error.strerror or str(error)).lower()}.",
        "Free some space, or choose a folder that you may write to; what is done already is kept.",
    )


def _first_reasons(source: Path, results: list[CropResult], count: int = 3) -> str:
    reasons = "; ".join(f"{printable(result.source, 60)}: {result.reason}" for result in results[:count])
    more = f"; and {len(results) - count} more" if len(results) > count else ""
    return f"None of the {len(results)} pictures in {printable(source)} can be used ({reasons}{more})."
