"""Pictures of anything: they teach the autoencoder looks that the demo captions never mention."""

from __future__ import annotations

import math
from random import Random

from PIL import Image, ImageDraw

SIDE = 256


def wild_picture(rng: Random, side: int = 64) -> Image.Image:
    """Draw random polygons, strokes, discs and hatchings over a plain or graded ground."""
    image = _ground(rng)
    for _ in range(rng.randint(2, 6)):
        rng.choice((_polygon, _strokes, _disc, _hatching, _outline))(ImageDraw.Draw(image), rng)
    return image.resize((side, side), Image.Resampling.BOX)


def _colour(rng: Random) -> tuple[int, int, int]:
    return rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255)


def _ground(rng: Random) -> Image.Image:
    if rng.random() < 0.6:
        return Image.new("RGB", (SIDE, SIDE), _colour(rng))
    corners = Image.new("RGB", (2, 2))
    corners.putdata([_colour(rng) for _ in range(4)])
    return corners.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def _points(rng: Random, count: int) -> list[tuple[float, float]]:
    return [(rng.uniform(-20, SIDE + 20), rng.uniform(-20, SIDE + 20)) for _ in range(count)]


def _polygon(pen: ImageDraw.ImageDraw, rng: Random) -> None:
    pen.polygon(_points(rng, rng.randint(3, 6)), fill=_colour(rng))


def _outline(pen: ImageDraw.ImageDraw, rng: Random) -> None:
    points = _points(rng, rng.randint(3, 5))
    pen.line([*points, *points[:2]], fill=_colour(rng), width=rng.randint(8, 28), joint="curve")


def _strokes(pen: ImageDraw.ImageDraw, rng: Random) -> None:
    for _ in range(rng.randint(1, 3)):
        pen.line(_points(rng, rng.randint(2, 4)), fill=_colour(rng), width=rng.randint(10, 36), joint="curve")


def _disc(pen: ImageDraw.ImageDraw, rng: Random) -> None:
    x, y = rng.uniform(0, SIDE), rng.uniform(0, SIDE)
    rx, ry = rng.uniform(12, 90), rng.uniform(12, 90)
    outline = _colour(rng) if rng.random() < 0.4 else None
    pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=_colour(rng), outline=outline, width=rng.randint(8, 24))


def _hatching(pen: ImageDraw.ImageDraw, rng: Random) -> None:
    angle, colour = rng.uniform(0, math.pi), _colour(rng)
    period, width = rng.uniform(32, 72), rng.randint(8, 26)
    x, y, reach = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.uniform(40, 250)
    along, across = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    for index in range(-int(reach / period), int(reach / period) + 1):
        cx, cy = x + across[0] * period * index, y + across[1] * period * index
        ends = (cx - along[0] * reach, cy - along[1] * reach, cx + along[0] * reach, cy + along[1] * reach)
        pen.line(ends, fill=colour, width=width)
