"""The point of a picture that a crop should keep: corners, entropy and faces, weighted.

The three kinds and their default weights are A1111's (`modules/textual_inversion/autocrop.py`, v1.10.1).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.pictures.faces import Face
from trainer.pictures.options import Weights

Greys = NDArray[np.float32]

_SIDE_PX = 256
"""The short side of the copy that is analysed."""

_CORNERS = 100
_QUALITY = 0.04
"""A corner counts if it has this share of the strongest one's strength."""
_DISTANCE_SHARE = 0.06
"""Least distance of two corners, of the short side."""
_IGNORED_BOTTOM = 0.1
"""Share of the height, at the bottom, where watermarks draw corners."""
_WINDOW_STEPS = 64
_LEVELS = 64
_FACE_POINT = 0.33
"""A face's point of interest lies at this share of its box's height, between the eyes."""


def focal_point(
    image: Image.Image, out_width: int, out_height: int, weights: Weights, faces: Sequence[Face] = ()
) -> tuple[float, float]:
    """Return the point of interest in shares of width and height, 0 to 1.

    The weighted mean of the centroids of the kinds that found something; the middle where none did.

    Args:
        image: Mode RGB.
        out_width: Of the training picture; with `out_height` it gives the shape of the window for entropy.
        out_height: Of the training picture.
        weights: A kind of weight 0 is not looked for.
        faces: What `find_faces` returned; empty where faces don't count.
    """
    grey = _analysed(image)
    points: list[tuple[float, float, float]] = []
    if weights.edges > 0 and (corner := corner_centroid(grey)):
        points.append((*corner, weights.edges))
    if weights.entropy > 0 and (lively := entropy_centre(grey, out_width / out_height)):
        points.append((*lively, weights.entropy))
    if weights.faces > 0 and faces:
        points.append((*face_centroid(faces), weights.faces))
    total = sum(weight for _x, _y, weight in points)
    if not total:
        return 0.5, 0.5
    return sum(x * w for x, _y, w in points) / total, sum(y * w for _x, y, w in points) / total


def corner_centroid(grey_HW: Greys) -> tuple[float, float] | None:
    """Return the mean place of the strongest corners (Shi and Tomasi 1994), None on a flat picture.

    Strength is the smaller eigenvalue of the gradients' covariance over 3x3 pixels.
    """
    height, width = grey_HW.shape
    seen_HW = grey_HW[: max(3, round(height * (1 - _IGNORED_BOTTOM)))]
    dy_HW, dx_HW = (np.asarray(slope, np.float32) for slope in np.gradient(seen_HW))
    xx_HW, yy_HW, xy_HW = (_box_sum(product) for product in (dx_HW * dx_HW, dy_HW * dy_HW, dx_HW * dy_HW))
    strength_HW = (xx_HW + yy_HW) / 2 - np.sqrt(((xx_HW - yy_HW) / 2) ** 2 + xy_HW**2)
    strongest = float(strength_HW.max())
    if strongest < 1.0:
        return None
    candidates = np.argsort(strength_HW, axis=None)[::-1]
    distance = _DISTANCE_SHARE * min(height, width)
    corners: list[tuple[int, int]] = []
    free_HW = np.ones(strength_HW.shape, dtype=bool)
    for place in candidates:
        y, x = divmod(int(place), strength_HW.shape[1])
        if strength_HW[y, x] < _QUALITY * strongest or len(corners) == _CORNERS:
            break
        if free_HW[y, x]:
            corners.append((x, y))
            reach = int(np.ceil(distance))
            free_HW[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = False
    xs, ys = zip(*corners, strict=True)
    return (float(np.mean(xs)) + 0.5) / width, (float(np.mean(ys)) + 0.5) / height


def entropy_centre(grey_HW: Greys, shape: float) -> tuple[float, float] | None:
    """Return the centre of the window, of the output's shape, whose greys have the highest entropy.

    The window slides along the side that has room; None where it covers the whole picture.

    Args:
        grey_HW: 0 to 255.
        shape: Width divided by height of the output.
    """
    height, width = grey_HW.shape
    along_x = width / height > shape
    lines = grey_HW.T if along_x else grey_HW
    length = len(lines)
    window = min(length, max(1, round(height * shape if along_x else width / shape)))
    if window == length:
        return None
    levels = np.minimum(lines * (_LEVELS / 256), _LEVELS - 1).astype(np.int64)
    flat = (np.arange(length)[:, None] * _LEVELS + levels).ravel()
    counts = np.bincount(flat, minlength=length * _LEVELS).reshape(length, _LEVELS)
    sums = np.vstack([np.zeros((1, _LEVELS), counts.dtype), counts.cumsum(axis=0)])
    starts = np.unique(np.linspace(0, length - window, _WINDOW_STEPS).astype(int))
    shares = (sums[starts + window] - sums[starts]) / (window * lines.shape[1])
    entropies = -(shares * np.log2(np.maximum(shares, 1e-12))).sum(axis=1)
    best = starts[entropies > entropies.max() - 0.02]
    centre = (float(best.mean()) + window / 2) / length
    return (centre, 0.5) if along_x else (0.5, centre)


def face_centroid(faces: Sequence[Face]) -> tuple[float, float]:
    """Return the mean of the points between the eyes."""
    xs = [face.left + face.width / 2 for face in faces]
    ys = [face.top + face.height * _FACE_POINT for face in faces]
    return sum(xs) / len(xs), sum(ys) / len(ys)


def _analysed(image: Image.Image) -> Greys:
    scale = _SIDE_PX / min(image.size)
    size = (max(3, round(image.width * scale)), max(3, round(image.height * scale)))
    return np.asarray(image.convert("L").resize(size, Image.Resampling.BOX, reducing_gap=2.0), np.float32)


def _box_sum(values_HW: Greys) -> Greys:
    """Return the sum over 3x3 pixels around each, edges repeated."""
    padded = np.pad(values_HW, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    summed: Greys = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return summed
