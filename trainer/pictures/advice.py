"""What the sizes and shapes of a folder's pictures suggest."""

from collections.abc import Sequence
from itertools import pairwise

from trainer.pictures.decode import Header
from trainer.pictures.geometry import STEP_PX, center_frame, enlargement, kept_share
from trainer.pictures.options import CropOptions
from trainer.text import printable

Histogram = dict[str, int]
"""Counts by label, in order, empty ones included."""

_SHORT_SIDES = (256, 384, 512, 768, 1024, 2048)
_SHAPES = {
    "1:2 or taller": 0.5, "9:16": 9 / 16, "2:3": 2 / 3, "3:4": 3 / 4, "4:5": 4 / 5, "1:1": 1.0,
    "5:4": 5 / 4, "4:3": 4 / 3, "3:2": 3 / 2, "16:9": 16 / 9, "2:1 or wider": 2.0,
}  # fmt: skip
_MANY = 0.2
"""Share of the pictures from which a remark becomes a suggestion."""
_MUCH_CUT = 0.35

EYES = (
    "Watermarks, signatures and writing on pictures are not looked for, and would be learnt: look for them yourself, "
    "and leave such pictures out or frame them otherwise."
)
"""What no measure here tells."""


def short_sides(headers: Sequence[Header]) -> Histogram:
    """Count pictures by their shorter side in pixels."""
    counts = dict.fromkeys(_side_labels(), 0)
    labels = list(counts)
    for header in headers:
        counts[labels[sum(min(header.width, header.height) >= bound for bound in _SHORT_SIDES)]] += 1
    return counts


def shapes(headers: Sequence[Header]) -> Histogram:
    """Count pictures by the named shape (width to height) that is nearest."""
    counts = dict.fromkeys(_SHAPES, 0)
    for header in headers:
        ratio = header.width / header.height
        counts[min(_SHAPES, key=lambda name: abs(_SHAPES[name] / ratio - 1) / max(_SHAPES[name] / ratio, 1))] += 1
    return counts


def advice(headers: Sequence[Header], options: CropOptions, repeats: Sequence[str]) -> tuple[str, ...]:
    """Return suggestions on size, shape and repeats, each a sentence."""
    found, size = [], options.size
    enlarged = _share_enlarged(headers, size)
    if enlarged > _MANY:
        smaller = next(
            (each for each in range(size - STEP_PX, 191, -STEP_PX) if _share_enlarged(headers, each) <= 0.1), 0
        )
        instead = f"; at {smaller} px hardly any would be (--size {smaller})" if smaller else ""
        found.append(f"{enlarged:.0%} of the pictures would be enlarged to {size} px, which blurs them{instead}.")
    cut = sum(1 - _kept(header) > _MUCH_CUT for header in headers)
    if not options.keeps_shape and cut > _MANY * len(headers):
        found.append(
            f"{cut} pictures lose more than a third to a square crop: look at their frames, let the crop look for "
            "what matters (--mode focal or face), or keep their shapes (--keep-aspect)."
        )
    if repeats:
        names = ", ".join(printable(name, 40) for name in repeats[:3]) + (", …" if len(repeats) > 3 else "")
        noun = "picture repeats another" if len(repeats) == 1 else "pictures repeat others"
        found.append(f"{len(repeats)} {noun} and would count double; leave one out (--leave-out NAME): {names}.")
    if headers:
        found.append(EYES)
    return tuple(found)


def _side_labels() -> list[str]:
    between = [f"{low} to {high - 1}" for low, high in pairwise(_SHORT_SIDES)]
    return [f"below {_SHORT_SIDES[0]}", *between, f"{_SHORT_SIDES[-1]} and more"]


def _share_enlarged(headers: Sequence[Header], size: int) -> float:
    if not headers:
        return 0.0
    frames = (center_frame(header.width, header.height, size, size) for header in headers)
    return sum(enlargement(frame, size, size) > 1.01 for frame in frames) / len(headers)


def _kept(header: Header) -> float:
    return kept_share(center_frame(header.width, header.height, 1, 1), header.width, header.height)
