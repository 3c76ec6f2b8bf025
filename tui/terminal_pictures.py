"""Which way a terminal can show real pictures: asked only when the user wants it, before the wizard takes its keys."""

import fcntl
import os
import re
import select
import struct
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

PATIENCE_S = 2.0
"""How long a terminal may take to answer; over a slow connection it takes a while."""
USUAL_CELL = (10, 20)
"""Width and height of a cell in pixels where the terminal doesn't tell."""
QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c"
"""Kitty's own question, the size of a cell, and last what every terminal answers: what it can do at all."""
_KITTY = re.compile(rb"\x1b_Gi=31;OK\x1b\\")
_CELL = re.compile(rb"\x1b\[6;(\d{1,4});(\d{1,4})t")
_ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
_SIXEL = b"4"


class Protocol(StrEnum):
    """A way to show pictures."""

    BLOCKS = "blocks"
    KITTY = "kitty"
    SIXEL = "sixel"


AUTO = "auto"
CHOICES = (AUTO, *Protocol)
"""What the user can ask for."""


@dataclass(frozen=True)
class Drawing:
    """How pictures are to be drawn."""

    protocol: Protocol = Protocol.BLOCKS
    cell: tuple[int, int] = USUAL_CELL
    """Width and height of a cell in pixels."""
    notice: str = ""
    """Why it is not what the user asked for; empty where it is."""

    @property
    def has_pixels(self) -> bool:
        """Whether pictures go to the terminal as pictures."""
        return self.protocol is not Protocol.BLOCKS


def choose_drawing(wanted: str, environment_forbids: bool, ask: Callable[[], bytes] | None = None) -> Drawing:
    """Return how to draw pictures.

    Args:
        wanted: One of `CHOICES`.
        environment_forbids: Whether neither colours nor anything but ASCII may be sent.
        ask: Asks the terminal; the one that this process runs in when left out.
    """
    if wanted == Protocol.BLOCKS:
        return Drawing()
    if environment_forbids:
        return Drawing(notice="Pictures stay characters, as NO_COLOR or --ascii want it.")
    if wanted == Protocol.KITTY:
        return Drawing(Protocol.KITTY, window_cell() or USUAL_CELL)
    cell = window_cell()
    if wanted == Protocol.SIXEL and cell:
        return Drawing(Protocol.SIXEL, cell)
    answer = (ask or ask_terminal)()
    return _judged(wanted, answer, cell or _cell_in(answer) or USUAL_CELL)


def _judged(wanted: str, answer: bytes, cell: tuple[int, int]) -> Drawing:
    if wanted == Protocol.SIXEL:
        return Drawing(Protocol.SIXEL, cell)
    if _KITTY.search(answer):
        return Drawing(Protocol.KITTY, cell)
    told = _ATTRIBUTES.search(answer)
    if told is None:
        return Drawing(notice=f"Pictures are half blocks: the terminal did not answer within {PATIENCE_S:.0f} s.")
    if _SIXEL in told[1].split(b";"):
        return Drawing(Protocol.SIXEL, cell)
    return Drawing(notice="Pictures are half blocks: the terminal knows neither kitty's pictures nor sixel.")


def _cell_in(answer: bytes) -> tuple[int, int] | None:
    told = _CELL.search(answer)
    return (int(told[2]), int(told[1])) if told and int(told[1]) and int(told[2]) else None


def window_cell() -> tuple[int, int] | None:
    """Return a cell's width and height in pixels as the system knows it; over SSH or in tmux it often doesn't."""
    try:
        size = fcntl.ioctl(0, termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    except OSError:
        return None
    rows, columns, width, height = struct.unpack("HHHH", size)
    return (width // columns, height // rows) if width >= columns > 0 and height >= rows > 0 else None


def ask_terminal() -> bytes:
    """Ask the terminal on stdin; return what it answered, nothing where it doesn't in time."""
    answer = b""
    with _raw(0):
        os.write(2, QUESTION)
        end = time.monotonic() + PATIENCE_S
        while not _ATTRIBUTES.search(answer) and (left := end - time.monotonic()) > 0:
            if select.select([0], [], [], left)[0]:
                received = os.read(0, 4096)
                if not received:
                    break
                answer += received
    return answer


@contextmanager
def _raw(fd: int) -> Iterator[None]:
    """Take keys as they come and echo none of them."""
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
