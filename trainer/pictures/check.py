"""Dataset doctor: a verdict with its reason for every source picture."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainer.errors import AppError
from trainer.pictures.look import Look, few_pictures_warning, look, picture_files
from trainer.pictures.pool import map_processes, worker_count
from trainer.text import printable


@dataclass(frozen=True)
class CheckReport:
    """The verdicts on a folder."""

    looks: tuple[Look, ...]
    """One for each picture, in natural order."""
    warnings: tuple[str, ...]
    """On the folder as a whole."""

    def with_status(self, status: str) -> list[Look]:
        """Return the verdicts of one status."""
        return [each for each in self.looks if each.status == status]


def check_folder(
    folder: Path,
    size: int,
    *,
    keep_aspect: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int, Look], None] | None = None,
) -> CheckReport:
    """Look at every picture of a folder.

    Args:
        folder: Of the source pictures, not recursive.
        size: Side of the training pictures in pixels.
        keep_aspect: Training pictures keep the pictures' shape.
        workers: Processes; None takes the cores at hand where there is enough to do.
        progress: Called with how many are finished, how many there are, and the latest verdict.

    Raises:
        AppError: the folder cannot be read or holds no pictures.
    """
    pictures = picture_files(folder)
    if not pictures:
        raise no_pictures(folder)
    found: dict[Path, Look] = {}
    task = partial(look, size=size, keep_aspect=keep_aspect)
    for path, verdict in map_processes(task, pictures, worker_count(pictures) if workers is None else workers):
        found[path] = verdict or Look(path, "left-out", "decoding it needs more memory than there is")
        if progress is not None:
            progress(len(found), len(pictures), found[path])
    looks = tuple(found[path] for path in pictures)
    warning = few_pictures_warning(sum(each.usable for each in looks))
    return CheckReport(looks, (warning,) if warning else ())


def no_pictures(folder: Path) -> AppError:
    """Return the error for a folder without pictures."""
    return AppError(
        "No pictures found",
        f"{printable(folder)} holds no picture files.",
        "Put 20 to 50 pictures (JPEG, PNG, WebP, BMP, TIFF) into it, or name another folder.",
    )
