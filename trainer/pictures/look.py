"""Look at a folder of source pictures: which can be used, which not, and why."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trainer.errors import AppError
from trainer.pictures import formats
from trainer.pictures.geometry import center_frame, enlargement, kept_share
from trainer.run.events import collector_off
from trainer.text import printable

if TYPE_CHECKING:
    # Loaded where a picture is decoded: listing a folder and a plan shall not wait for the imaging library.
    from trainer.pictures.decode import Header
    from trainer.pictures.options import CropOptions

Status = Literal["fine", "warning", "left-out"]

FEWEST_PICTURES = 10
"""With fewer a hypernetwork tends to learn the pictures by heart; 20 to 50 is the usual advice."""

LARGEST_ENLARGEMENT = 8.0
"""Pictures that would be enlarged more than this many times are left out."""

SMALLEST_PX = 8
"""A picture narrower than one latent pixel is of no use at any size."""

LEAST_KEPT = 0.5
"""Crops that keep a smaller share of the picture's area are remarked on."""

_THUMBNAIL_PX = 128
_NOT_PICTURES = {
    ".txt", ".caption", ".json", ".jsonl", ".toml", ".yaml", ".yml", ".csv", ".md", ".log", ".xml", ".html",
    ".npz", ".npy", ".pt", ".pth", ".ckpt", ".safetensors", ".optim", ".zip", ".py", ".sh", ".mp4", ".mov",
}  # fmt: skip
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Look:
    """The verdict on one source picture."""

    path: Path
    status: Status
    reason: str
    """Why it is left out, as a phrase; empty otherwise."""
    notes: tuple[str, ...] = ()
    """What to know although it can be used, as phrases; not empty where status is "warning"."""
    header: "Header | None" = None
    """Size, format and frames; None where the file could not be read."""

    @property
    def usable(self) -> bool:
        """Whether the picture is not left out."""
        return self.status != "left-out"


def picture_files(folder: Path) -> list[Path]:
    """Return the picture files of a folder in natural order: not recursive, hidden files left out.

    A file counts as a picture by its extension, or by its first bytes where the extension says nothing.

    Raises:
        AppError: the folder is missing or cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            paths = [Path(entry.path) for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise AppError(
            "Cannot read the pictures' folder",
            f"{printable(folder)}: {(error.strerror or str(error)).lower()}.",
            "Give a folder that exists and that you may read.",
        ) from None
    # The many small keys would set off a search for garbage, which holds all threads, the interface's too.
    with collector_off():
        return sorted(filter(_is_candidate, paths), key=natural_key)


def passed_over(folder: Path) -> tuple[str, ...]:
    """Name what lies in a folder and is neither looked at nor known to belong to pictures, as sentences.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        paths = sorted((Path(entry.path) for entry in entries if not entry.name.startswith(".")), key=natural_key)
    folders = [path.name for path in paths if path.is_dir()]
    files = [
        path.name
        for path in paths
        if not path.is_dir() and path.suffix.lower() not in _NOT_PICTURES and not _is_candidate(path)
    ]
    found = ("Subfolders are not looked into", folders), ("Files that are no pictures", files)
    return tuple(f"{what}: {_some(names)}." for what, names in found if names)


def _some(names: list[str], count: int = 5) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(printable(name, 40) for name in names[:count]) + more


def natural_key(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key that puts img2 before img10."""
    parts = _DIGITS.split(path.name.casefold())
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in (*parts, path.name))


def look(path: Path, options: "CropOptions | None" = None, *, max_megapixels: float = 0.0) -> Look:
    """Decode a picture once and say whether it can become a training picture.

    Args:
        path: The picture.
        options: How it will be cropped, to judge its size by; None doesn't judge that.
        max_megapixels: Larger pictures are left out; 0 takes the usual limit.
    """
    from trainer.pictures.decode import MAX_MEGAPIXELS, PictureError, decode

    most = max_megapixels or MAX_MEGAPIXELS
    try:
        picture = decode(path, lambda width, height: _THUMBNAIL_PX / min(width, height), max_megapixels=most)
    except PictureError as error:
        return left_out(path, str(error))
    return judge(path, picture.header, picture.notes, options)


def judge(path: Path, header: "Header", notes: tuple[str, ...], options: "CropOptions | None") -> Look:
    """Return the verdict on a picture that could be decoded.

    Args:
        path: The picture; its name's extension is compared with its format.
        header: Its size and format.
        notes: On its colours; they make no warning.
        options: How it will be cropped; None doesn't judge its size.
    """
    reason, on_size = judge_size(header, options)
    if reason:
        return Look(path, "left-out", reason, header=header)
    warnings = (*_notes_on_file(path, header), *on_size)
    return Look(path, "warning" if warnings else "fine", "", (*warnings, *notes), header)


def left_out(path: Path, reason: str) -> Look:
    """Return the verdict on a picture that cannot be used."""
    return Look(path, "left-out", reason)


def judge_size(header: "Header", options: "CropOptions | None") -> tuple[str, tuple[str, ...]]:
    """Return the reason to leave a picture out for its size (or ""), and notes on enlarging and cutting."""
    width, height = header.width, header.height
    if min(width, height) < SMALLEST_PX:
        return too_small(width, height), ()
    if options is None:
        return "", ()
    from trainer.pictures.decode import PictureError
    from trainer.pictures.framing import out_size

    try:
        out = out_size(width, height, options)
    except PictureError as error:
        return "", (str(error),)  # a frame made by hand may still suit it
    frame = center_frame(width, height, *out)
    reason, notes = judge_enlargement("it", f"{width}×{height}", enlargement(frame, *out))
    kept = kept_share(frame, width, height)
    if kept < LEAST_KEPT and not reason:
        notes = (*notes, cut_away(kept))
    return reason, notes


def too_small(width: int, height: int) -> str:
    """Return the reason for a picture below `SMALLEST_PX`."""
    return f"it is too small: {width}×{height} pixels"


def cut_away(kept: float) -> str:
    """Return the note on a picture of which a crop keeps a small share, 0 to 1."""
    return f"its shape is far from the target: a crop keeps {kept:.0%} of it"


def judge_enlargement(what: str, size: str, factor: float) -> tuple[str, tuple[str, ...]]:
    """Return the reason not to use what has to be enlarged `factor` times (or ""), and a note on enlarging."""
    if factor > LARGEST_ENLARGEMENT:
        return f"{what} is too small: {size} pixels would be enlarged {factor:.0f} times", ()
    if factor <= 1.01:
        return "", ()
    how_much = f"{factor:.1f} times" if factor >= 2 else f"by {factor - 1:.0%}"
    return "", (f"{what} is small ({size}) and would be enlarged {how_much}",)


def few_pictures_warning(count: int) -> str:
    """Return the warning for a small set, "" where there are enough pictures."""
    if count >= FEWEST_PICTURES:
        return ""
    noun = "picture" if count == 1 else "pictures"
    return (
        f"Only {count} usable {noun}: with fewer than {FEWEST_PICTURES} a hypernetwork tends to copy them "
        "instead of learning what they have in common. 20 to 50 varied ones are better."
    )


def _is_candidate(path: Path) -> bool:
    if path.is_dir():
        return False
    if formats.is_picture_name(path):
        return path.is_file() or path.is_symlink()
    if path.suffix.lower() in _NOT_PICTURES or not path.is_file():
        return False
    try:
        return formats.format_of(formats.head_of(path)) not in ("", *formats.WEAK_FORMATS)
    except OSError:
        return False


def _notes_on_file(path: Path, header: "Header") -> tuple[str, ...]:
    notes = []
    promised = formats.FORMAT_OF_EXTENSION.get(path.suffix.lower(), "")
    actual = {"MPO": "JPEG", "DIB": "BMP"}.get(header.format, header.format)
    if promised != actual:
        extension = printable(path.suffix, 20) or "no extension"
        notes.append(f"it is a {actual} picture although its name has {extension}; it is used all the same")
    if header.frames > 1:
        kind = "pages" if header.format == "TIFF" else "frames"
        notes.append(f"it has {header.frames} {kind}; only the first is used")
    return tuple(notes)
