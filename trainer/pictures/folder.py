"""Crop a whole folder: only what changed, over all cores, saying what was done with every picture."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.errors import AppError
from trainer.pictures.aside import set_aside
from trainer.pictures.check import no_pictures
from trainer.pictures.faces import NO_FACE, faces_available, require_faces
from trainer.pictures.geometry import Frame
from trainer.pictures.look import few_pictures_warning, picture_files
from trainer.pictures.manifest import Manifest, read_manifest, write_manifest
from trainer.pictures.options import CropOptions, Mode
from trainer.pictures.pool import map_processes, worker_count
from trainer.pictures.task import CropResult, Task, crop_one, is_unchanged, left_aside
from trainer.text import printable

_RECORD_EVERY_S = 5.0


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


def crop_folder(
    source: Path,
    processed: Path,
    options: CropOptions,
    *,
    frames: Mapping[str, Frame] | None = None,
    modes: Mapping[str, Mode] | None = None,
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
        modes: Modes by source file name, where they differ from the options'.
        left_out: Source file names that the user left out.
        workers: Processes; None takes the cores at hand where there is enough to do.
        progress: Told about every picture.

    Raises:
        AppError: no usable pictures, unusable folders, or a full disk. What was done stays done.
    """
    begun_s = time.monotonic()
    warnings = _check_modes(options, modes or {})
    pictures = picture_files(source)
    _check_folders(source, processed, pictures)
    manifest = read_manifest(processed)
    wanted = [path for path in pictures if path.name not in left_out]
    results = [
        CropResult(path.name, "left-aside", reason="you left it out") for path in pictures if path.name in left_out
    ]
    tasks = _tasks(wanted, processed, options, frames or {}, modes or {}, manifest)
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
    faceless = sum(NO_FACE in result.notes for result in results)
    if faceless:
        warnings = (*warnings, f"No face was found in {faceless} of the pictures; their focal points frame these.")
    warnings = tuple(filter(None, (*warnings, few_pictures_warning(usable))))
    return CropReport(tuple(results), tuple(strays), warnings, time.monotonic() - begun_s)


def pending(
    source: Path,
    processed: Path,
    options: CropOptions,
    *,
    frames: Mapping[str, Frame] | None = None,
    modes: Mapping[str, Mode] | None = None,
    left_out: Collection[str] = (),
) -> int:
    """Return for how many sources `crop_folder` would have something to do, judged by sizes and times of files.

    Raises:
        AppError: the sources' folder cannot be read.
    """
    wanted = [path for path in picture_files(source) if path.name not in left_out]
    manifest, present = read_manifest(processed), {path.name for path in wanted}
    tasks = _tasks(wanted, processed, options, frames or {}, modes or {}, manifest)
    gone = sum(bool(entry.outputs) for entry in manifest.entries.values() if entry.source not in present)
    return sum(not is_unchanged(task) for task in tasks) + gone


def _tasks(
    pictures: list[Path],
    processed: Path,
    options: CropOptions,
    frames: Mapping[str, Frame],
    modes: Mapping[str, Mode],
    manifest: Manifest,
) -> list[Task]:
    index = manifest.next_index()
    tasks = []
    for path in pictures:
        known = manifest.entries.get(path.name)
        own = replace(options, mode=modes[path.name]) if path.name in modes else options
        tasks.append(Task(path, processed, known.index if known else index, own, frames.get(path.name), known))
        index += known is None
    return tasks


def _crop(tasks: list[Task], manifest: Manifest, strays: list[str], workers: int | None) -> Iterator[CropResult]:
    """Yield a result for every task and keep the record, which is saved now and then and when interrupted."""
    to_do = []
    for task in tasks:
        if is_unchanged(task):
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
            result, entry = answer or left_aside(task, "decoding it needs more memory than there is")
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


def _forget_gone(processed: Path, manifest: Manifest, present: set[str]) -> tuple[str, ...]:
    """Set aside what was made from sources that are gone or left out; their numbers stay on record."""
    gone = [entry for entry in manifest.entries.values() if entry.source not in present and entry.outputs]
    for entry in gone:
        manifest.entries[entry.source] = replace(entry, sha256="", outputs=(), notes=())
    return set_aside(processed, [name for entry in gone for name in entry.outputs])


def _check_modes(options: CropOptions, modes: Mapping[str, Mode]) -> tuple[str, ...]:
    """Refuse or warn before anything starts where OpenCV is wanted and missing."""
    wanted = {options.mode, *modes.values()}
    if "face" in wanted:
        require_faces()
    if "focal" in wanted and options.weights.faces > 0 and not faces_available():
        return ("Faces don't count for the focal point, as opencv-python-headless (4.10 to 4.x) is not installed.",)
    return ()


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
