"""A picture as the bytes by which kitty's protocol or sixel show it."""

import base64
import io
import re

from PIL import Image

CHUNK = 4096
"""Bytes of base64 in one piece of kitty's protocol."""
COLOURS = 128
"""Of a sixel picture; half of what most terminals have, for half of the bytes."""
BAND = 6
_RUN = re.compile(rb"(.)\1{3,}")


def kitty_bytes(picture: Image.Image, id_: int, columns: int, rows: int) -> str:
    """Return what shows a picture over so many cells from the cursor on, in the place of an earlier one of that id."""
    written = io.BytesIO()
    picture.convert("RGB").save(written, "PNG", compress_level=1)
    text = base64.standard_b64encode(written.getvalue()).decode()
    pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    head = f"a=T,f=100,i={id_},p=1,c={columns},r={rows},C=1,q=2,"
    return "".join(
        f"\x1b_G{'' if number else head}m={int(number < len(pieces) - 1)};{piece}\x1b\\"
        for number, piece in enumerate(pieces)
    )


def kitty_erasure(id_: int) -> str:
    """Return what takes a picture away."""
    return f"\x1b_Ga=d,d=I,i={id_},q=2\x1b\\"


def sixel_bytes(picture: Image.Image) -> str:
    """Return what shows a picture from the cursor on, a pixel for a pixel."""
    few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE)
    width, height = few.size
    pixels, palette = few.tobytes(), few.getpalette() or []
    colours = [
        f"#{n};2;" + ";".join(str(round(value / 2.55)) for value in palette[3 * n : 3 * n + 3])
        for n in sorted(set(pixels))
    ]
    bands = [_band(pixels[y * width : (y + BAND) * width], width) for y in range(0, height, BAND)]
    return f'\x1bP0;1;0q"1;1;{width};{height}' + "".join(colours) + "-".join(bands) + "\x1b\\"


def _band(pixels: bytes, width: int) -> str:
    """Return up to six rows: for each colour a row of characters whose bits say where it is."""
    rows = [pixels[start : start + width] for start in range(0, len(pixels), width)]
    lines = []
    for colour in sorted(set(pixels)):
        bits = 0
        for place, row in enumerate(rows):
            # The rows are added as one long number each: one byte a pixel, one bit a row.
            bits += int.from_bytes(row.translate(_bit_table(colour, 1 << place)), "big")
        line = bits.to_bytes(width, "big").translate(_CHARACTERS).rstrip(b"?")
        lines.append(f"#{colour}" + _RUN.sub(_shortened, line).decode())
    return "$".join(lines)


def _bit_table(colour: int, bit: int) -> bytes:
    return bytes(colour) + bytes((bit,)) + bytes(255 - colour)


def _shortened(run: re.Match[bytes]) -> bytes:
    return b"!%d%b" % (len(run[0]), run[1])


_CHARACTERS = bytes((63 + value) & 0xFF for value in range(256))
