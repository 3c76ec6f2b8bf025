"""Write the captions of a folder of training pictures: only what is missing, joined with what is there as asked."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trainer.captions.files import EXTENSION, Caption, encoded, read_caption, write_caption
from trainer.captions.record import CaptionRecord
from trainer.captions.undo import UndoLog
from trainer.errors import AppError
from trainer.text import printable

Existing = Literal["ignore", "keep", "prepend", "append"]
"""What becomes of a caption that is already there (A1111, `postprocessing_existing_caption_action`):
ignore: only the new one; keep: the old one where there is one; prepend: old, space, new; append: new, space, old."""


@dataclass(frozen=True)
class Unusable:
    """A picture that has no new caption, and why."""

    reason: str


Make = Callable[[list[Path]], Iterable[str | Unusable]]
"""Gives the new caption of each training picture, in order; "" for none."""

Progress = Callable[[int, int, Path, str, str], None]
"""Called with how many are done, how many there are, the picture, "written", "unchanged", "without" or "failed", and
its caption or the reason."""


def each(make: Callable[[Path], str]) -> Make:
    """Return what makes captions one by one."""
    return lambda pictures: (make(picture) for picture in pictures)


@dataclass(frozen=True)
class CaptionReport:
    """What was done to a folder's captions."""

    written: dict[str, str]
    """Caption by training picture's file name, where the file was made or changed."""
    unchanged: tuple[str, ...]
    """Training pictures whose caption file says this already, was written with the same settings before, or stays as
    there was nothing new to write."""
    without: tuple[str, ...]
    """Training pictures that still have no caption, as there was nothing to write."""
    warnings: tuple[str, ...]
    failed: dict[str, str] = field(default_factory=dict)
    """Reason by training picture's file name, where there is no new caption; its file is as it was."""


@dataclass
class _Counts:
    written: dict[str, str] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def caption_folder(
    crops: list[Path],
    make: Make,
    *,
    existing: Existing = "keep",
    source_of: Mapping[str, Path] | None = None,
    extension: str = EXTENSION,
    recipe: str = "",
    again: bool = False,
    progress: Progress | None = None,
) -> CaptionReport:
    """Write a caption file beside each training picture.

    The existing caption is the one beside the training picture, else the one beside its source. What is overwritten
    can be taken back with `trainer.captions.undo`.

    Args:
        crops: The training pictures, of one folder.
        make: Gives the new captions.
        existing: What becomes of existing captions.
        source_of: Source picture by training picture's file name.
        extension: Of the caption files beside the sources, e.g. ".caption".
        recipe: Hash of the settings that shape the captions: what was written with the same is left alone, whatever
            became of it since. "" keeps no record.
        again: Write those too.
        progress: Told about every picture.

    Raises:
        AppError: a caption cannot be read or written.
    """
    counts = _Counts()
    done = 0

    def tell(crop: Path, status: str, text: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(crops), crop, status, text)

    folder = crops[0].parent if crops else Path()
    with (
        CaptionRecord(folder, recipe, again) if recipe else nullcontext() as record,
        UndoLog(folder, "writing captions") as undo,
    ):
        to_do: list[tuple[Path, Caption | None, Caption | None]] = []
        for crop in crops:
            own, old = _existing(crop, (source_of or {}).get(crop.name), extension, counts.warnings)
            if own is not None and ((record is not None and record.is_done(crop)) or (existing == "keep" and own.text)):
                counts.unchanged.append(crop.name)
                tell(crop, "unchanged", own.text)
            else:
                to_do.append((crop, own, old))
        for (crop, own, old), new in zip(to_do, _new(to_do, make, existing), strict=True):
            if isinstance(new, Unusable):
                counts.failed[crop.name] = new.reason
                tell(crop, "failed", new.reason)
                continue
            text = combined(old, new, existing)
            status = _put(crop, own, text, undo, record, counts)
            if record is not None and status != "without":
                record.note(crop)
            tell(crop, status, text)
    return CaptionReport(
        counts.written, tuple(counts.unchanged), tuple(counts.without), tuple(counts.warnings), counts.failed
    )


def _existing(
    crop: Path, source: Path | None, extension: str, warnings: list[str]
) -> tuple[Caption | None, Caption | None]:
    """Return the caption beside the training picture, and that or else the one beside its source."""
    own = read_caption(crop)
    old = read_caption(source, extension) if own is None and source is not None else own
    if old is not None:
        warnings += [f"The caption of {printable((crop if own else source or crop).name)}: {n}." for n in old.notes]
    return own, old


def _new(
    to_do: list[tuple[Path, Caption | None, Caption | None]], make: Make, existing: Existing
) -> Iterator[str | Unusable]:
    """Yield the new captions; nothing is made where the old one is kept."""
    kept = [existing == "keep" and old is not None and bool(old.text) for _, _, old in to_do]
    made = iter(make([crop for (crop, _, _), keep in zip(to_do, kept, strict=True) if not keep]))
    for keep in kept:
        yield "" if keep else next(made)


def _put(
    crop: Path, own: Caption | None, text: str, undo: UndoLog, record: CaptionRecord | None, counts: _Counts
) -> str:
    if own is not None and text in ("", own.text):
        counts.unchanged.append(crop.name)
        return "unchanged"
    if not text:
        counts.without.append(crop.name)
        return "without"
    try:
        undo.keep(crop.with_suffix(EXTENSION), encoded(text))
    except OSError as error:
        raise AppError(
            "Cannot keep the old captions",
            f"{printable(error.filename or crop.parent)}: {(error.strerror or str(error)).lower()}.",
            "Free some space, or make the folder writable; nothing was overwritten.",
        ) from None
    if record is not None:
        record.promise(crop, encoded(text))
    write_caption(crop, text)
    counts.written[crop.name] = text
    return "written"


def combined(old: Caption | None, new: str, existing: Existing) -> str:
    """Join an existing and a new caption by A1111's rules; surrounding white space goes."""
    if old is None or not old.text or existing == "ignore":
        return new.strip()
    if existing == "keep":
        return old.text
    return (f"{old.text} {new}" if existing == "prepend" else f"{new} {old.text}").strip()
