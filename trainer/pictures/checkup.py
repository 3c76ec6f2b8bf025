"""Examine one picture for the dataset doctor, and keep what was found so that the next look is quick."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainer.files import sha256_of, write_atomic
from trainer.pictures.decode import Header, PictureError, decode
from trainer.pictures.duplicates import Kin
from trainer.pictures.look import Look, judge, left_out
from trainer.pictures.measure import Measures, measure
from trainer.pictures.options import CropOptions

_VERSION = 2
_SIDE_PX = 256
"""The decoder may shrink to twice this short side: enough to measure sharpness."""


@dataclass(frozen=True)
class Findings:
    """What was found on one picture; depends on the file alone, not on any setting."""

    num_bytes: int
    mtime_ns: int
    sha256: str
    """Empty where the file could not be read."""
    reason: str
    """Why it cannot be decoded, as a phrase; empty otherwise."""
    header: Header | None = None
    notes: tuple[str, ...] = ()
    """On colours and transparency."""
    measures: Measures | None = None


def examine(path: Path) -> Findings:
    """Decode a picture once and measure it; runs in a worker process."""
    num_bytes, mtime_ns, sha256 = 0, 0, ""
    try:
        stat = path.stat()
        num_bytes, mtime_ns = stat.st_size, stat.st_mtime_ns
        sha256 = sha256_of(path)
        picture = decode(path, lambda width, height: _SIDE_PX / min(width, height))
    except PictureError as error:
        return Findings(num_bytes, mtime_ns, sha256, str(error))
    except OSError as error:
        return Findings(num_bytes, mtime_ns, "", f"it cannot be read ({(error.strerror or str(error)).lower()})")
    return Findings(num_bytes, mtime_ns, sha256, "", picture.header, picture.notes, measure(picture.rgb))


def verdict(path: Path, findings: Findings, options: CropOptions) -> Look:
    """Judge what was found by how it will be cropped."""
    if findings.header is None:
        return left_out(path, findings.reason)
    return judge(path, findings.header, findings.notes, options)


@dataclass(frozen=True)
class Record:
    """What is kept of a folder's pictures."""

    findings: Mapping[str, Findings] = field(default_factory=dict)
    """By file name."""
    kin: Mapping[str, Kin] | None = None
    """By file name, what looks alike; None where that wasn't looked for yet, as a check was interrupted."""


def read_record(path: Path) -> Record:
    """Read what was found earlier; a missing or damaged record is an empty one.

    It has a line for each picture, so that a thread that reads thousands lets others run in between.
    """
    findings = {}
    try:
        with path.open("rb") as lines:
            head = json.loads(next(lines, b""))
            if head["version"] != _VERSION:
                return Record()
            for line in lines:
                item = json.loads(line)
                findings[str(item["name"])] = _findings(item)
            alike = head["alike"]
            kin = None if alike is None else {name: Kin(str(of), bool(flip)) for name, (of, flip) in alike.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Record()
    return Record(findings, kin)


def write_record(path: Path, record: Record) -> None:
    """Replace the record; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    alike = None if record.kin is None else {name: (kin.of, kin.is_mirrored) for name, kin in record.kin.items()}
    lines = [json.dumps({"version": _VERSION, "alike": alike})]
    lines += [json.dumps({"name": name, **asdict(each)}, default=bytes.hex) for name, each in record.findings.items()]
    write_atomic(path, "\n".join(lines))


def is_current(path: Path, findings: Findings | None) -> bool:
    """Whether the file has the size and time it had when it was examined; a failure is always tried again."""
    return findings is not None and not findings.reason and is_unchanged(path, findings)


def is_unchanged(path: Path, findings: Findings) -> bool:
    """Whether the file has the size and time it had when it was examined."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (findings.num_bytes, findings.mtime_ns)


def _findings(item: dict[str, Any]) -> Findings:
    header, measures = item["header"], item["measures"]
    return Findings(
        num_bytes=int(item["num_bytes"]),
        mtime_ns=int(item["mtime_ns"]),
        sha256=str(item["sha256"]),
        reason=str(item["reason"]),
        header=None if header is None else _header(header),
        notes=tuple(map(str, item["notes"])),
        measures=None if measures is None else _measures(measures),
    )


def _header(item: dict[str, Any]) -> Header:
    width, height = int(item["width"]), int(item["height"])
    if min(width, height) < 1:
        raise ValueError("an impossible size")
    return Header(width, height, str(item["format"]), str(item["mode"]), int(item["frames"]))


def _measures(item: dict[str, Any]) -> Measures:
    left, top, right, bottom = map(float, item["borders"])
    thumbnail = bytes.fromhex(item["thumbnail"])
    fingerprint, mirrored = int(item["fingerprint"]), int(item["mirrored"])
    if len(thumbnail) != 256 or not 0 <= min(fingerprint, mirrored) <= max(fingerprint, mirrored) < 1 << 64:
        raise ValueError("not a measure")
    return Measures(
        float(item["sharpness"]), float(item["contrast"]), (left, top, right, bottom), fingerprint, mirrored, thumbnail
    )
