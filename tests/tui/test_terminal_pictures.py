"""Real pictures in the terminal: what is asked of it, what is sent to it, and when half blocks stay."""

import base64
import io
import itertools
import re

import pytest
from PIL import Image

from tui.picture_bytes import kitty_bytes, sixel_bytes
from tui.terminal_pictures import USUAL_CELL, Drawing, Protocol, choose_drawing

KITTY, CELL, SIXEL, PLAIN = b"\x1b_Gi=31;OK\x1b\\", b"\x1b[6;18;9t", b"\x1b[?62;4;22c", b"\x1b[?62;22c"


def gradient(width: int, height: int) -> Image.Image:
    picture = Image.new("RGB", (width, height))
    picture.putdata([(255 * x // width, 255 * y // height, 90) for y in range(height) for x in range(width)])
    return picture


def unsixel(data: str) -> Image.Image:
    """Draw as a terminal does."""
    body = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\', data, re.DOTALL)
    assert body
    picture, colours, x, y, colour = Image.new("RGB", (int(body[1]), int(body[2]))), {}, 0, 0, (0, 0, 0)
    for token in re.findall(r"#\d+(?:;2;\d+;\d+;\d+)?|!\d+.|[-$]|[?-~]", body[3]):
        if token[0] == "#":
            number, *rgb = token[1:].split(";")
            if rgb:
                colours[number] = tuple(round(int(share) * 2.55) for share in rgb[1:])
            colour = colours[number]
        elif token in "-$":
            x, y = 0, y + 6 * (token == "-")
        else:
            end = x + (int(token[1:-1]) if token[0] == "!" else 1)
            bits = ord(token[-1]) - 63
            for place, row in itertools.product(range(x, end), (row for row in range(6) if bits >> row & 1)):
                picture.putpixel((place, y + row), colour)
            x = end
    return picture


@pytest.mark.parametrize("size", [(50, 41), (1, 1), (64, 12)])
def test_sixel_draws_every_pixel_in_about_its_colour(size: tuple[int, int]) -> None:
    picture = gradient(*size)
    drawn = unsixel(sixel_bytes(picture))
    assert drawn.size == size
    pairs = zip(picture.convert("RGB").tobytes(), drawn.tobytes(), strict=True)
    assert max(abs(before - after) for before, after in pairs) < 40


def test_kitty_gets_the_whole_picture_in_small_pieces() -> None:
    picture = gradient(300, 200)
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty_bytes(picture, 7, 30, 10))
    assert "a=T,f=100,i=7,p=1,c=30,r=10" in pieces[0][0]
    assert [head.rpartition("m=")[2] for head, _ in pieces] == ["1"] * (len(pieces) - 1) + ["0"]
    assert max(len(text) for _, text in pieces) <= 4096
    written = base64.standard_b64decode("".join(text for _, text in pieces))
    assert Image.open(io.BytesIO(written)).tobytes() == picture.tobytes()


@pytest.mark.parametrize(
    ("wanted", "answer", "protocol"),
    [
        ("auto", KITTY + CELL + PLAIN, Protocol.KITTY),
        ("auto", CELL + SIXEL, Protocol.SIXEL),
        ("auto", PLAIN, Protocol.BLOCKS),
        ("auto", b"", Protocol.BLOCKS),
        ("sixel", CELL + PLAIN, Protocol.SIXEL),
    ],
)
def test_the_answer_decides_and_what_falls_back_says_why(wanted: str, answer: bytes, protocol: Protocol) -> None:
    drawing = choose_drawing(wanted, False, lambda: answer)
    assert drawing.protocol is protocol
    assert bool(drawing.notice) == (protocol is Protocol.BLOCKS)
    assert drawing.cell == ((9, 18) if CELL in answer else USUAL_CELL)


def test_nothing_is_asked_where_the_answer_would_change_nothing() -> None:
    def never() -> bytes:
        raise AssertionError("the terminal was asked")

    assert choose_drawing("blocks", False, never) == Drawing()
    assert choose_drawing("kitty", False, never).protocol is Protocol.KITTY
    assert "NO_COLOR" in choose_drawing("auto", True, never).notice
