"""Frames on pictures: pure arithmetic, in upright source pixels."""

import math
from dataclasses import dataclass

STEP_PX = 64
"""Sides of training pictures are multiples of this: 8 for the VAE times 8 for the UNet's three halvings."""


@dataclass(frozen=True)
class Frame:
    """A rectangle on the upright source picture, in pixels; fractions allowed."""

    left: float
    top: float
    width: float
    height: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return (self.left, self.top, self.left + self.width, self.top + self.height)


def center_frame(width: int, height: int, out_width: int, out_height: int) -> Frame:
    """Return the largest frame of the output's shape, in the middle of a width x height picture."""
    return frame_around(width, height, out_width, out_height, width / 2, height / 2)


def frame_around(
    width: int, height: int, out_width: int, out_height: int, x: float, y: float, zoom: float = 1.0
) -> Frame:
    """Return the frame of the output's shape centred on (x, y), moved inside the picture.

    Args:
        width: Of the picture.
        height: Of the picture.
        out_width: Of the training picture; only the ratio to `out_height` counts.
        out_height: Of the training picture.
        x: Wanted centre, from the left.
        y: Wanted centre, from the top.
        zoom: 1 takes the largest frame that fits, 2 one of half its sides.
    """
    scale = min(width / out_width, height / out_height) / max(1.0, zoom)
    frame_width, frame_height = out_width * scale, out_height * scale
    left = min(max(x - frame_width / 2, 0.0), width - frame_width)
    top = min(max(y - frame_height / 2, 0.0), height - frame_height)
    return Frame(left, top, frame_width, frame_height)


def inside(frame: Frame, width: int, height: int) -> bool:
    """Whether a frame lies on a width x height picture (half a pixel of rounding allowed) and is not empty."""
    return (
        frame.width > 0
        and frame.height > 0
        and frame.left >= -0.5
        and frame.top >= -0.5
        and frame.left + frame.width <= width + 0.5
        and frame.top + frame.height <= height + 0.5
    )


def kept_share(frame: Frame, width: int, height: int) -> float:
    """Return the share of the picture's area that a frame keeps, 0 to 1."""
    return frame.width * frame.height / (width * height)


def enlargement(frame: Frame, out_width: int, out_height: int) -> float:
    """Return how many times a frame's sides are enlarged; below 1 it is reduced."""
    return max(out_width / frame.width, out_height / frame.height)


def aspect_size(width: float, height: float, size: int) -> tuple[int, int]:
    """Return output sides nearest to a picture's own shape: multiples of 64, at most size x size in area.

    Among all such pairs with sides from size/2 to 2*size, the one that keeps most: the share of the
    picture inside the frame times the square root of the share of the allowed area.
    """
    ratio = width / height
    shortest = max(STEP_PX, size // 2 // STEP_PX * STEP_PX)
    sides = range(shortest, 2 * size + 1, STEP_PX)
    pairs = [(w, h) for w in sides for h in sides if w * h <= size * size]

    def worth(pair: tuple[int, int]) -> tuple[float, float]:
        shape = pair[0] / pair[1]
        kept = min(shape / ratio, ratio / shape)
        return kept * math.sqrt(pair[0] * pair[1]) / size, shape if ratio >= 1 else -shape

    return max(pairs, key=worth)
