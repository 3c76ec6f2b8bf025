"""Find pictures that repeat an earlier one in a sequence: the same file, nearly the same, or its mirror image."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainer.pictures.measure import Measures

_MOST_BITS = 7
"""Fingerprints that differ in more are different pictures. Below 8, two of them share one byte of their 8 at least."""

_MOST_GREYS = 16.0
"""Mean difference of the confirming thumbnails, in grey levels."""

_THUMB_SIDE = 16

SAME_FILE, NEARLY, MIRRORED = "the same file as", "nearly the same as", "nearly the mirror image of"


@dataclass(frozen=True)
class Repeat:
    """A picture that repeats an earlier one."""

    place: int
    """Of the later picture in the sequence."""
    of: int
    """Of the earlier one."""
    how: str
    """A phrase to be followed by the earlier one's name, e.g. "nearly the same as"."""


@dataclass(frozen=True)
class Kin:
    """The picture that others look like."""

    of: str
    """File name of the picture that stands for all that look alike."""
    is_mirrored: bool
    """Whether this one is the mirror image of that."""


def find_repeats(pictures: Sequence[tuple[str, Measures | None]]) -> list[Repeat]:
    """Return for each picture that repeats an earlier one the first that it repeats.

    Args:
        pictures: Content hash and measures of each; None for what could not be read.

    Time grows with the number of look-alikes, not with the square of the number of pictures: pictures are
    compared only if their fingerprints share a byte in the same place.
    """
    by_content: dict[str, int] = {}
    by_byte: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    repeats = []
    for place, (sha256, measures) in enumerate(pictures):
        if measures is None:
            continue
        if sha256 in by_content:
            repeats.append(Repeat(place, by_content[sha256], SAME_FILE))
            continue
        by_content[sha256] = place
        found = _look_alike(pictures, by_byte, measures)
        if found is not None:  # and the earlier one stands for both: look-alikes by the thousand stay cheap
            repeats.append(Repeat(place, *found))
            continue
        for key in _bytes_of(measures.fingerprint):
            by_byte[key].append(place)
    return repeats


def _look_alike(
    pictures: Sequence[tuple[str, Measures | None]],
    by_byte: dict[tuple[int, int], list[int]],
    measures: Measures,
) -> tuple[int, str] | None:
    """Return the first earlier picture that looks alike, and how."""
    mirrored_thumbnail = _mirrored(measures.thumbnail)
    for fingerprint, thumbnail, how in (
        (measures.fingerprint, measures.thumbnail, NEARLY),
        (measures.mirrored, mirrored_thumbnail, MIRRORED),
    ):
        candidates = {place for key in _bytes_of(fingerprint) for place in by_byte.get(key, ())}
        for place in sorted(candidates):
            other = pictures[place][1]
            assert other is not None
            if (other.fingerprint ^ fingerprint).bit_count() <= _MOST_BITS and (
                _grey_distance(other.thumbnail, thumbnail) <= _MOST_GREYS
            ):
                return place, how
    return None


def _bytes_of(fingerprint: int) -> Iterator[tuple[int, int]]:
    return enumerate(fingerprint.to_bytes(8, "big"))


def _grey_distance(first: bytes, second: bytes) -> float:
    return sum(abs(a - b) for a, b in zip(first, second, strict=True)) / len(first)


def _mirrored(thumbnail: bytes) -> bytes:
    rows = (thumbnail[start : start + _THUMB_SIDE] for start in range(0, len(thumbnail), _THUMB_SIDE))
    return b"".join(row[::-1] for row in rows)
