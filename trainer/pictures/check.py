"""Dataset doctor: a verdict with its reason for every source picture, and advice on the whole."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.errors import AppError
from trainer.pictures.advice import Histogram, advice, shapes, short_sides
from trainer.pictures.checkup import (
    Findings,
    Record,
    examine,
    is_current,
    is_unchanged,
    read_record,
    verdict,
    write_record,
)
from trainer.pictures.duplicates import MIRRORED, NEARLY, SAME_FILE, Kin, find_repeats
from trainer.pictures.look import Look, few_pictures_warning, left_out, passed_over, picture_files
from trainer.pictures.measure import remarks
from trainer.pictures.options import CropOptions
from trainer.pictures.pool import map_processes, worker_count
from trainer.text import printable

_RECORD_EVERY_S = 5.0
_OUT_OF_MEMORY = "decoding it needs more memory than there is"


@dataclass(frozen=True)
class CheckReport:
    """The verdicts on a folder."""

    looks: tuple[Look, ...]
    """One for each picture, in natural order."""
    repeats: dict[str, str]
    """File name of each picture that repeats another, with the other's, which is the better one."""
    short_sides: Histogram
    """How many usable pictures have a shorter side in each range of pixels."""
    shapes: Histogram
    """How many usable pictures are near each shape."""
    warnings: tuple[str, ...]
    """On the folder as a whole."""
    suggestions: tuple[str, ...]
    """What could be done about it."""

    def with_status(self, status: str) -> list[Look]:
        """Return the verdicts of one status."""
        return [each for each in self.looks if each.status == status]


def check_folder(
    folder: Path,
    options: CropOptions,
    *,
    left_out_names: Collection[str] = (),
    record: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int, Look], None] | None = None,
) -> CheckReport:
    """Look at every picture of a folder.

    Args:
        folder: Of the source pictures, not recursive; nothing in it is changed.
        options: How they will be cropped.
        left_out_names: Source file names that the user left out.
        record: Where findings are kept, so that an interrupted or repeated check goes on from there.
        workers: Processes; None takes the cores at hand where there is enough to do.
        progress: Called with how many are finished, how many there are, and the latest verdict.

    Raises:
        AppError: the folder cannot be read or holds no pictures.
    """
    pictures = picture_files(folder)
    if not pictures:
        raise no_pictures(folder)
    known = read_record(record) if record is not None else Record()
    findings: dict[str, Findings] = {}
    for path, found in _examined(pictures, known.findings, record, workers):
        findings[path.name] = found
        if progress is not None:
            progress(len(findings), len(pictures), verdict(path, found, options))
    kin = known.kin
    if kin is None or findings != known.findings:
        kin = _all_kin(findings)
        if record is not None:
            write_record(record, Record(findings, kin))
    return _report(folder, pictures, Record(findings, kin), options, left_out_names)


def recorded_report(
    folder: Path, options: CropOptions, record: Path, *, even_outdated: bool = False
) -> CheckReport | None:
    """Return the verdicts on a folder without opening a picture; None where the record doesn't know them all.

    Args:
        folder: Of the source pictures.
        options: How they will be cropped.
        record: Where `check_folder` keeps its findings.
        even_outdated: Take findings of files that have changed since, and leave out pictures without any.

    Raises:
        AppError: the folder cannot be read or holds no pictures.
    """
    pictures = picture_files(folder)
    if not pictures:
        raise no_pictures(folder)
    known = read_record(record)
    if even_outdated:
        pictures = [path for path in pictures if path.name in known.findings]
    elif known.kin is None or not all(_is_as_found(path, known.findings.get(path.name)) for path in pictures):
        return None
    return _report(folder, pictures, known, options, ())


def _is_as_found(path: Path, findings: Findings | None) -> bool:
    return findings is not None and is_unchanged(path, findings)


def _report(
    folder: Path,
    pictures: list[Path],
    known: Record,
    options: CropOptions,
    left_out_names: Collection[str],
) -> CheckReport:
    looks = [_look(path, known.findings[path.name], options, path.name in left_out_names) for path in pictures]
    repeats = _note_repeats(looks, known)
    usable = [look for look in looks if look.usable]
    warning = few_pictures_warning(len(usable))
    headers = [look.header for look in usable if look.header is not None]
    return CheckReport(
        looks=tuple(looks),
        repeats=repeats,
        short_sides=short_sides(headers),
        shapes=shapes(headers),
        warnings=(*filter(None, [warning]), *passed_over(folder)),
        suggestions=advice(headers, options, list(repeats)),
    )


def no_pictures(folder: Path) -> AppError:
    """Return the error for a folder without pictures."""
    return AppError(
        "No pictures found",
        f"{printable(folder)} holds no picture files.",
        "Put 20 to 50 pictures (JPEG, PNG, WebP, BMP, TIFF) into it, or name another folder.",
    )


def _examined(
    pictures: list[Path], known: Mapping[str, Findings], record: Path | None, workers: int | None
) -> Iterator[tuple[Path, Findings]]:
    """Yield each picture's findings, those known where the file has not changed; the record grows on the way."""
    found = {path.name: known[path.name] for path in pictures if is_current(path, known.get(path.name))}
    to_do = []
    for path in pictures:
        if path.name in found:
            yield path, found[path.name]
        else:
            to_do.append(path)
    saved_s = time.monotonic()
    try:
        for path, findings in map_processes(examine, to_do, worker_count(to_do) if workers is None else workers):
            found[path.name] = findings or Findings(0, 0, "", _OUT_OF_MEMORY)
            yield path, found[path.name]
            if record is not None and time.monotonic() - saved_s > _RECORD_EVERY_S:
                write_record(record, Record(found))
                saved_s = time.monotonic()
    finally:
        if record is not None and to_do:
            write_record(record, Record(found))


def _look(path: Path, findings: Findings, options: CropOptions, by_user: bool) -> Look:
    look = verdict(path, findings, options)
    if by_user:
        return replace(left_out(path, "you left it out"), header=look.header)
    notes = remarks(findings.measures) if findings.measures is not None else ()
    return _with_notes(look, notes)


def _all_kin(findings: Mapping[str, Findings]) -> dict[str, Kin]:
    """Return which pictures look alike, whatever the size of training pictures; takes seconds for thousands."""

    def rank(name: str) -> tuple[int, int]:
        header = findings[name].header
        return -(header.width * header.height if header is not None else 0), -findings[name].num_bytes

    names = sorted(findings, key=rank)
    found = find_repeats([(findings[name].sha256, findings[name].measures) for name in names])
    kin: dict[str, Kin] = {}
    for repeat in found:
        first = kin.get(names[repeat.of], Kin(names[repeat.of], False))
        kin[names[repeat.place]] = Kin(first.of, first.is_mirrored != (repeat.how == MIRRORED))
    return kin


def _note_repeats(looks: list[Look], known: Record) -> dict[str, str]:
    """Add a note to every usable picture that repeats a better usable one; return their names in natural order."""
    kin = known.kin or {}
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for place, look in enumerate(looks):
        if look.usable:
            alike[_kin_of(look, kin).of].append(place)
    repeats = {}
    for places in alike.values():
        best = min(places, key=lambda place: _rank(looks[place], known.findings[looks[place].path.name].num_bytes))
        better = looks[best]
        for place in places:
            if place != best:
                how = _how(looks[place], better, known)
                repeats[looks[place].path.name] = better.path.name
                looks[place] = _with_notes(looks[place], (f"it is {how} {printable(better.path.name, 60)}",))
    return {look.path.name: repeats[look.path.name] for look in looks if look.path.name in repeats}


def _kin_of(look: Look, kin: Mapping[str, Kin]) -> Kin:
    return kin.get(look.path.name, Kin(look.path.name, False))


def _how(look: Look, better: Look, known: Record) -> str:
    if known.findings[look.path.name].sha256 == known.findings[better.path.name].sha256:
        return SAME_FILE
    kin = known.kin or {}
    return NEARLY if _kin_of(look, kin).is_mirrored == _kin_of(better, kin).is_mirrored else MIRRORED


def _rank(look: Look, num_bytes: int) -> tuple[int, int, int]:
    """Order look-alikes by what is better to keep: fewer remarks, more pixels, less compressed."""
    pixels = look.header.width * look.header.height if look.header is not None else 0
    return len(look.notes), -pixels, -num_bytes


def _with_notes(look: Look, notes: tuple[str, ...]) -> Look:
    if not notes or not look.usable:
        return look
    return replace(look, status="warning", notes=(*look.notes, *notes))
