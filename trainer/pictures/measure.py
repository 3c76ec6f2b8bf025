"""Figures that tell a blurred, uniform, bordered or repeated picture, from a reduced copy; Pillow alone."""

from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter, ImageStat

SHARP_SIDE_PX = 384
"""Short side at which sharpness is judged, so that large and small pictures compare."""

BLURRED_BELOW = 30.0
"""Variance of the Laplacian; photographs in focus have hundreds, out of focus below this (measured on ours)."""

UNIFORM_BELOW = 4.0
"""Standard deviation of grey levels."""

BORDER_TOLERANCE = 14
"""Grey levels by which a plain border may vary; JPEG leaves as much."""

LEAST_BORDER = 0.02
"""Share of a side; thinner borders are not remarked on."""

_HASH_SIDE = 8
_THUMB_SIDE = 16
_LAPLACIAN = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)


@dataclass(frozen=True)
class Measures:
    """What was measured on one picture."""

    sharpness: float
    """Variance of the Laplacian of grey levels at `SHARP_SIDE_PX`."""
    contrast: float
    """Standard deviation of grey levels, 0 to 127."""
    borders: tuple[float, float, float, float]
    """Plain borders left, top, right, bottom, in shares of width and height."""
    fingerprint: int
    """64 bits: whether brightness rises from each of 9x8 cells to its right neighbour (a "difference hash")."""
    mirrored: int
    """The fingerprint of the picture mirrored left to right."""
    thumbnail: bytes
    """16x16 greys, contrast stretched, to confirm what the fingerprint suspects."""


def measure(image: Image.Image) -> Measures:
    """Measure an RGB image; its shape and pixels are not changed."""
    grey = image.convert("L")
    small = grey.resize((_THUMB_SIDE, _THUMB_SIDE), Image.Resampling.BOX)
    return Measures(
        sharpness=_sharpness(grey),
        contrast=ImageStat.Stat(grey).stddev[0],
        borders=_borders(image),
        fingerprint=_difference_hash(grey),
        mirrored=_difference_hash(grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        thumbnail=_stretched(small).tobytes(),
    )


def remarks(measures: Measures) -> tuple[str, ...]:
    """Return what to know about a picture with these measures, as phrases."""
    if measures.contrast < UNIFORM_BELOW:
        return ("it is nearly one colour",)
    notes = []
    sides = zip(("left", "top", "right", "bottom"), measures.borders, strict=True)
    wide = [f"{side} {share:.0%}" for side, share in sides if share >= LEAST_BORDER]
    if _is_framed(measures.borders):
        notes.append(f"it has plain borders ({', '.join(wide)})")
    if measures.sharpness < BLURRED_BELOW:
        notes.append("it looks blurred")
    return tuple(notes)


def _is_framed(borders: tuple[float, float, float, float]) -> bool:
    """Whether there are borders on two opposite sides; on one side alone it may be sky."""
    left, top, right, bottom = borders
    return min(left, right) >= LEAST_BORDER or min(top, bottom) >= LEAST_BORDER


def _sharpness(grey: Image.Image) -> float:
    """Return the variance of the Laplacian inside the picture, at the size where pictures compare."""
    scale = SHARP_SIDE_PX / min(grey.size)
    if scale < 1:
        size = (max(3, round(grey.width * scale)), max(3, round(grey.height * scale)))
        grey = grey.resize(size, Image.Resampling.LANCZOS)
    if min(grey.size) < 5:
        return 0.0
    edges = grey.filter(_LAPLACIAN).crop((1, 1, grey.width - 1, grey.height - 1))
    return ImageStat.Stat(edges).var[0]


def _borders(image: Image.Image) -> tuple[float, float, float, float]:
    """Return the shares of plain borders of the colour of the corners they touch."""
    width, height = image.size
    found = [0.0, 0.0, 0.0, 0.0]
    for corner in ((0, 0), (width - 1, height - 1)):
        colour = image.getpixel(corner)
        differs = ImageChops.difference(image, Image.new("RGB", image.size, colour)).convert("L")
        box = differs.point(lambda value: 255 if value > BORDER_TOLERANCE else 0).getbbox()
        if box is not None:
            left, top, right, bottom = box
            shares = (left / width, top / height, 1 - right / width, 1 - bottom / height)
            found = [max(pair) for pair in zip(found, shares, strict=True)]
    return found[0], found[1], found[2], found[3]


def _difference_hash(grey: Image.Image) -> int:
    cells = grey.resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX).tobytes()
    bits = 0
    for row in range(_HASH_SIDE):
        start = row * (_HASH_SIDE + 1)
        for place in range(start, start + _HASH_SIDE):
            bits = bits << 1 | (cells[place + 1] > cells[place])
    return bits


def _stretched(grey: Image.Image) -> Image.Image:
    low, high = grey.getextrema()
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    scale = 255 / max(1, high - low)
    return grey.point([round(min(max((value - low) * scale, 0), 255)) for value in range(256)])
