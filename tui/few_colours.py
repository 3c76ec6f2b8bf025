"""Pictures for terminals of 256 colours: each pixel in the nearest of all colours.

Rich rounds each channel by itself, which makes dark browns red and pale greys pink. Errors are not spread to
neighbours: pictures of so few pixels turn to noise by it.
"""

from collections.abc import Iterable
from functools import cache
from itertools import chain, cycle, islice

from PIL import Image
from rich.color import Color, ColorSystem

Rgb = tuple[int, int, int]


def with_colours_of(system: str | None, picture: Image.Image) -> Image.Image:
    """Return a picture made only of colours that a terminal has; the same one unless it has 256.

    Args:
        system: Rich's name of the terminal's colour system.
        picture: One pixel for each that is drawn.
    """
    if system != "256":
        return picture
    shown, sent = _palettes()
    reduced = picture.quantize(palette=shown, dither=Image.Dither.NONE)
    reduced.putpalette(sent)
    return reduced.convert("RGB")


@cache
def _palettes() -> tuple[Image.Image, list[int]]:
    """Return the colours as they are shown, and what makes rich send each: it turns some greys into another one."""
    pairs: list[tuple[Rgb, Rgb]] = []
    for number in range(16, 256):
        red, green, blue = Color.from_ansi(number).get_truecolor()
        grey = max(0, min(255, round((number - 231) * 255 / 25)))
        pairs += [
            ((red, green, blue), sent)
            for sent in ((red, green, blue), (grey, grey, grey))
            if Color.from_rgb(*sent).downgrade(ColorSystem.EIGHT_BIT).number == number
        ]
    shown = Image.new("P", (1, 1))
    shown.putpalette(_filled(pair[0] for pair in pairs))
    return shown, _filled(pair[1] for pair in pairs)


def _filled(colours: Iterable[Rgb]) -> list[int]:
    return list(chain.from_iterable(islice(cycle(colours), 256)))
