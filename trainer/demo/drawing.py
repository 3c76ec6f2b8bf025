"""Draws demo scenes with plain vector shapes, at four times the size and averaged down.

`draw(scene, style, width, height, rng)` gives an RGB picture. The scene lies in the centred square of
the picture, so a centre crop shows all of it whatever the picture's proportions. Styles: "flat" (what
the base model learns), "hatched" (ink contour on cream hatched paper) and "framed" (navy frame); the
last two and the character are for hypernetworks and stay out of the base training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Final

from PIL import Image, ImageChops, ImageDraw

from trainer.demo.scenes import COLOURS, Scene, Thing

RGB = tuple[int, int, int]
Point = tuple[float, float]

STYLES: Final = ("flat", "hatched", "framed")
OVERSAMPLING: Final = 4
UNITS: Final = 64
"""The scene's square is this many units wide."""
CREAM: Final = (247, 236, 208)
PAPER_LINE: Final = (214, 186, 140)
INK: Final = (38, 28, 48)
NAVY: Final = (20, 30, 84)


def draw(
    scene: Scene, style: str = "flat", width: int = 64, height: int = 64, rng: Random | None = None
) -> Image.Image:
    """Draw `scene` as an RGB picture of `width` x `height` pixels.

    Args:
        rng: gives colours and patterns a little play; without it they are exact.

    Raises:
        ValueError: for a style that is not in `STYLES`.
    """
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; known are {', '.join(STYLES)}")
    canvas = _Canvas(width, height, rng)
    canvas.paper(COLOURS[scene.background], hatched=style == "hatched")
    for thing in scene.things:
        if scene.character:
            _draw_character(canvas, thing)
        else:
            canvas.thing(thing, COLOURS[scene.background], inked=style == "hatched")
    if style == "framed":
        canvas.frame()
    return canvas.finish()


class _Canvas:
    """An oversampled picture with a coordinate system of 64 units across its centred square."""

    def __init__(self, width: int, height: int, rng: Random | None) -> None:
        self.size = (width * OVERSAMPLING, height * OVERSAMPLING)
        self.scale = min(self.size) / UNITS
        self.rng = rng
        self.image = Image.new("RGB", self.size)

    def finish(self) -> Image.Image:
        """The picture in its final size."""
        return self.image.reduce(OVERSAMPLING)

    def paper(self, colour: RGB, hatched: bool) -> None:
        """Fill the background; hatched paper is cream with broad lines in the background's colour."""
        self.image.paste(CREAM if hatched else self._vary(colour), (0, 0, *self.size))
        if hatched:
            self.image.paste(_mix(CREAM, colour, 0.55), (0, 0), self._stripes(12.0, 4.5, slope=1.0, fixed=True))

    def frame(self) -> None:
        """Draw the navy frame around the centred square."""
        corners = (*self._at(-UNITS / 2, -UNITS / 2), *self._at(UNITS / 2, UNITS / 2))
        ImageDraw.Draw(self.image).rectangle(corners, outline=NAVY, width=round(7 * self.scale))

    def thing(self, thing: Thing, background: RGB, inked: bool) -> None:
        """Draw one shape with its fill; inked shapes get hatching and a contour."""
        colour = self._vary(COLOURS[thing.colour])
        mask = self.mask(thing)
        if inked:
            self.image.paste(CREAM, (0, 0), mask)
        if thing.fill == "outlined":
            line = self.contour(thing, 4.5 if thing.radius > 15 else 3.5)
            self.image.paste(colour, (0, 0), line)
        else:
            self.image.paste(colour, (0, 0), mask)
        if thing.fill in ("striped", "dotted"):
            pattern = self._stripes(9.0, 4.0, slope=0.0) if thing.fill == "striped" else self._dots(8.5, 2.5)
            self.image.paste(_contrast(colour), (0, 0), ImageChops.multiply(mask, pattern))
        if inked:
            hatching = ImageChops.multiply(mask, self._stripes(10.0, 3.2, slope=-1.0, fixed=True))
            self.image.paste(_mix(INK, colour, 0.25), (0, 0), hatching)
            self.image.paste(INK, (0, 0), self.contour(thing, 3.6))

    def mask(self, thing: Thing) -> Image.Image:
        """Where the shape is (mode L, 255 inside)."""
        mask = Image.new("L", self.size)
        pen = ImageDraw.Draw(mask)
        for index, ring in enumerate(self._outlines(thing)):
            pen.polygon(ring, fill=0 if index else 255)
        return mask

    def contour(self, thing: Thing, width: float) -> Image.Image:
        """The rim of the shape, `width` units wide, kept inside it (mode L)."""
        line = Image.new("L", self.size)
        pen = ImageDraw.Draw(line)
        for ring in self._outlines(thing):
            pen.line([*ring, *ring[:2]], fill=255, width=round(2 * width * self.scale), joint="curve")
        return ImageChops.multiply(line, self.mask(thing))

    def blob(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        """Draw a filled ellipse."""
        self.polygon([(x + rx * c, y + ry * s) for c, s in _circle(40)], colour)

    def polygon(self, points: list[Point], colour: RGB) -> None:
        """Draw a filled polygon."""
        ImageDraw.Draw(self.image).polygon([self._at(*point) for point in points], fill=colour)

    def _outlines(self, thing: Thing) -> list[list[Point]]:
        cos, sin = math.cos(thing.angle) * thing.radius, math.sin(thing.angle) * thing.radius
        return [
            [self._at(thing.x + x * cos - y * sin, thing.y + x * sin + y * cos) for x, y in ring]
            for ring in OUTLINES[thing.shape]
        ]

    def _at(self, x: float, y: float) -> Point:
        return self.size[0] / 2 + x * self.scale, self.size[1] / 2 + y * self.scale

    def _vary(self, colour: RGB) -> RGB:
        if self.rng is None:
            return colour
        red, green, blue = (min(255, max(0, channel + self.rng.randint(-6, 6))) for channel in colour)
        return red, green, blue

    def _stripes(self, period: float, width: float, slope: float, fixed: bool = False) -> Image.Image:
        """Parallel lines over the whole picture; fixed ones lie the same way in every picture."""
        mask = Image.new("L", self.size)
        pen = ImageDraw.Draw(mask)
        reach = max(self.size) / self.scale
        step = period * math.hypot(1.0, slope)
        shift = self.rng.uniform(0, step) if self.rng and not fixed else 0.0
        count = math.ceil(2 * reach / step)
        for offset in (index * step + shift for index in range(-count, count)):
            ends = self._at(-reach, offset - reach * slope), self._at(reach, offset + reach * slope)
            pen.line(ends, fill=255, width=round(width * self.scale))
        return mask

    def _dots(self, period: float, radius: float) -> Image.Image:
        mask = Image.new("L", self.size)
        pen = ImageDraw.Draw(mask)
        dx, dy = (self.rng.uniform(0, period), self.rng.uniform(0, period)) if self.rng else (0.0, 0.0)
        steps = int(UNITS / period) + 1
        for row in range(-steps, steps):
            for column in range(-steps, steps):
                x = column * period + dx + (period / 2 if row % 2 else 0.0)
                low, high = (
                    self._at(x - radius, row * period + dy - radius),
                    self._at(x + radius, row * period + dy + radius),
                )
                pen.ellipse((*low, *high), fill=255)
        return mask


def _draw_character(canvas: _Canvas, thing: Thing) -> None:
    """A pale head with wide ears, huge eyes and a few hairs, on a thin neck."""
    skin, shade = (172, 196, 150), (112, 138, 100)
    size = thing.radius / 22.0

    def place(dx: float, dy: float) -> Point:
        return thing.x + dx * size, thing.y + dy * size

    def blob(dx: float, dy: float, rx: float, ry: float, colour: RGB) -> None:
        canvas.blob(*place(dx, dy), rx * size, ry * size, colour)

    canvas.polygon([place(-7, 8), place(7, 8), place(14, 32), place(-14, 32)], shade)
    for side in (-1, 1):
        canvas.polygon([place(side * 12, -10), place(side * 29, -13), place(side * 13, 8)], shade)
        canvas.polygon([place(side * 2, -16), place(side * 5, -29), place(side * 7, -15)], INK)
    blob(0, -2, 18, 19, skin)
    for side in (-1, 1):
        blob(side * 8, -4, 7.5, 8.5, (250, 250, 240))
        blob(side * 7, -3, 3.6, 4.6, (40, 90, 170))
    canvas.polygon([place(-8, 9), place(8, 9), place(0, 13.5)], INK)


def _circle(points: int, radius: float = 1.0, phase: float = 0.0) -> list[Point]:
    angles = (phase + 2 * math.pi * index / points for index in range(points))
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]


def _star() -> list[list[Point]]:
    outer = _circle(5, 1.12, -math.pi / 2)
    inner = _circle(5, 0.48, -math.pi / 2 + math.pi / 5)
    return [[point for pair in zip(outer, inner, strict=True) for point in pair]]


def _heart() -> list[list[Point]]:
    ring = []
    for index in range(48):
        t = 2 * math.pi * index / 48
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        ring.append((x / 15.5, -(y + 2.5) / 15.5))
    return [ring]


def _cross() -> list[list[Point]]:
    long, short = 1.0, 0.34
    corner = [(short, short), (short, long), (-short, long)]
    turns: list[Callable[[float, float], Point]] = [
        lambda x, y: (x, y),
        lambda x, y: (-y, x),
        lambda x, y: (-x, -y),
        lambda x, y: (y, -x),
    ]
    return [[turn(x, y) for turn in turns for x, y in corner]]


def _moon() -> list[list[Point]]:
    """A crescent open to the right: a disc without a smaller disc beside its centre."""
    reach, bite, shift = 1.02, 0.80, 0.50
    cut = math.acos((reach**2 + shift**2 - bite**2) / (2 * reach * shift))
    back = math.pi - math.acos((bite**2 + shift**2 - reach**2) / (2 * bite * shift))
    outer = [cut + (2 * math.pi - 2 * cut) * index / 36 for index in range(37)]
    inner = [-back - (2 * math.pi - 2 * back) * index / 24 for index in range(25)]
    rim = [(reach * math.cos(angle), reach * math.sin(angle)) for angle in outer]
    hollow = [(shift + bite * math.cos(angle), bite * math.sin(angle)) for angle in inner]
    return [[(x + 0.2, y) for x, y in rim + hollow]]


OUTLINES: Final[dict[str, list[list[Point]]]] = {
    "circle": [_circle(48)],
    "square": [[(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)]],
    "triangle": [[(0.0, -1.05), (1.08, 0.82), (-1.08, 0.82)]],
    "star": _star(),
    "heart": _heart(),
    "ring": [_circle(48, 1.05), _circle(40, 0.48)],
    "cross": _cross(),
    "moon": _moon(),
}
"""Closed outlines of radius about 1; a second outline is a hole."""


def _mix(first: RGB, second: RGB, share: float) -> RGB:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _contrast(colour: RGB) -> RGB:
    """The second colour of stripes and dots: lighter for dark colours, darker for light ones."""
    bright = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] > 150
    return _mix(colour, (0, 0, 0), 0.42) if bright else _mix(colour, (255, 255, 255), 0.6)
