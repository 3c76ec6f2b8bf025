"""Write the captions of a folder of training pictures from file names, a fixed text, or the sources' own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.captions.files import EXTENSION, Caption, read_caption, write_caption
from trainer.text import printable

Existing = Literal["ignore", "keep", "prepend", "append"]
"""What becomes of a caption that is already there (A1111, `postprocessing_existing_caption_action`):
ignore: only the new one; keep: the old one where there is one; prepend: old, space, new; append: new, space, old."""


Progress = Callable[[int, int, Path, str, str], None]
"""Called with how many are done, how many there are, the picture, "written", "unchanged" or "without", its caption."""


@dataclass(frozen=True)
class CaptionReport:
    """What was done to a folder's captions."""

    written: dict[str, str]
    """Caption by training picture's file name, where the file was made or changed."""
    unchanged: tuple[str, ...]
    """Training pictures whose caption file says this already."""
    without: tuple[str, ...]
    """Training pictures that still have no caption, as there was nothing to write."""
    warnings: tuple[str, ...]


def caption_folder(
    crops: list[Path],
    make: Callable[[Path], str],
    *,
    existing: Existing = "keep",
    source_of: Mapping[str, Path] | None = None,
    extension: str = EXTENSION,
    progress: Progress | None = None,
) -> CaptionReport:
    """Write a caption file beside each training picture.

    The existing caption is the one beside the training picture, else the one beside its source.

    Args:
        crops: The training pictures.
        make: Gives the new caption of a training picture; "" for none.
        existing: What becomes of existing captions.
        source_of: Source picture by training picture's file name.
        extension: Of the caption files beside the sources, e.g. ".caption".
        progress: Told about every picture.

    Raises:
        AppError: a caption cannot be read or written.
    """
    written: dict[str, str] = {}
    unchanged, without, warnings = [], [], []
    for done, crop in enumerate(crops, 1):
        own, inherited = read_caption(crop), None
        source = (source_of or {}).get(crop.name)
        if own is None and source is not None:
            inherited = read_caption(source, extension)
        old = own or inherited
        if old is not None:
            warnings += [f"The caption of {printable((crop if own else source or crop).name)}: {n}." for n in old.notes]
        text = combined(old, make(crop), existing)
        if own is not None and text == own.text:
            unchanged.append(crop.name)
            status = "unchanged"
        elif text:
            write_caption(crop, text)
            written[crop.name] = text
            status = "written"
        else:
            without.append(crop.name)
            status = "without"
        if progress is not None:
            progress(done, len(crops), crop, status, text)
    return CaptionReport(written, tuple(unchanged), tuple(without), tuple(warnings))


def combined(old: Caption | None, new: str, existing: Existing) -> str:
    """Join an existing and a new caption by A1111's rules; surrounding white space goes."""
    if old is None or not old.text or existing == "ignore":
        return new.strip()
    if existing == "keep":
        return old.text
    return (f"{old.text} {new}" if existing == "prepend" else f"{new} {old.text}").strip()
