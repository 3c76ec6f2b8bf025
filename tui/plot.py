"""A plot as rows of characters: two axes with labels, points as signs, lines as braille dots.

A library for plots takes twenty times as long, which a run that is redrawn every second would pay for.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_BRAILLE = 0x2800
_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Bits of the left and the right column of a braille character, from its lowest dot up (Unicode, U+2800)."""
_ACROSS, _UP = 2, 4
"""Dots of a cell."""

Pairs = Sequence[tuple[float, float]]
Row = tuple[str, bytes]
"""A row's text, and of each character the number of its colour among 256; 0 for the terminal's own."""


@dataclass(frozen=True)
class Axis:
    """What an axis spans, and where it is labelled."""

    low: float
    high: float
    """More than `low`."""
    labels: tuple[tuple[float, str], ...]
    colour: int = 0
    """Of its labels, where it stands upright."""

    def place(self, value: float, count: int) -> int:
        """Return which of `count` equal steps a value within the axis is at."""
        # A little more than a half, as 9.9999999 is meant to be 10.
        return int(0.50000001 + (count - 1) * (value - self.low) / (self.high - self.low))


@dataclass(frozen=True)
class Layer:
    """Pairs of x and y that are drawn alike, over the layers before."""

    pairs: Pairs
    """Within the axes; in the order of x where they are a line."""
    up: Axis
    """The axis of y that they are measured on."""
    colour: int
    sign: str = ""
    """What each is drawn as; empty for a line through all of them."""


def draw_plot(layers: Sequence[Layer], across: Axis, left: Axis, right: Axis, width: int, height: int) -> list[Row]:
    """Return the rows of a plot from top to bottom.

    Args:
        layers: What is drawn, the uppermost last.
        across: The axis of x.
        left: The axis of y on the left.
        right: The one on the right; without labels it isn't drawn.
        width: Cells of a row.
        height: Rows, those of the lower axis and its labels included.
    """
    margin = max((len(label) for _, label in left.labels), default=0)
    edge = max((len(label) + 1 for _, label in right.labels), default=0)
    canvas = _Canvas(max(1, width - margin - 1 - edge), max(1, height - 2))
    for layer in layers:
        canvas.draw(layer, across)
    marks, ends = ({axis.place(value, canvas.rows): label for value, label in axis.labels} for axis in (left, right))
    drawn = [
        (
            f"{marks.get(row, ''):>{margin}}{'┤' if row in marks else '│'}{''.join(text)}"
            + (f"{'├' if row in ends else '│'}{ends.get(row, ''):<{edge - 1}}" if edge else ""),
            bytes(margin + 1) + bytes(colours) + bytes([right.colour]) * edge,
        )
        for row, (text, colours) in enumerate(zip(canvas.text, canvas.colours, strict=True))
    ]
    line, below = _foot(across, canvas.columns, margin, width, "┘" if edge else "")
    return [*reversed(drawn), (line, bytes(len(line))), (below, bytes(len(below)))]


class _Canvas:
    """The cells between the axes; rows count from the bottom."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.text = [[" "] * columns for _ in range(rows)]
        self.colours = [bytearray(columns) for _ in range(rows)]

    def draw(self, layer: Layer, across: Axis) -> None:
        """Draw a layer over what is there."""
        up = layer.up
        if layer.sign:
            for x, y in layer.pairs:
                self._put(across.place(x, self.columns), up.place(y, self.rows), layer.sign, layer.colour)
            return
        dots = [(across.place(x, _ACROSS * self.columns), up.place(y, _UP * self.rows)) for x, y in layer.pairs]
        cells: dict[tuple[int, int], int] = {}
        for x, y in _line(dots):
            cell = x // _ACROSS, y // _UP
            cells[cell] = cells.get(cell, 0) | _DOTS[x % _ACROSS][y % _UP]
        for (column, row), bits in cells.items():
            self._put(column, row, chr(_BRAILLE + bits), layer.colour)

    def _put(self, column: int, row: int, sign: str, colour: int) -> None:
        self.text[row][column], self.colours[row][column] = sign, colour


def _line(dots: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give every dot on the way from each one to the next."""
    yield from dots[:1]
    for (x, y), (next_x, next_y) in itertools.pairwise(dots):
        count = max(abs(next_x - x), abs(next_y - y))
        for number in range(1, count + 1):
            yield int(x + number * (next_x - x) / count), int(y + number * (next_y - y) / count)


def _foot(across: Axis, columns: int, margin: int, width: int, corner: str) -> tuple[str, str]:
    """Return the lower axis and the line with its labels; one for which there is no room is left out."""
    line, below = ["─"] * columns, ""
    for value, label in across.labels:
        place = across.place(value, columns)
        start = max(0, min(margin + 1 + place - len(label) // 2, width - len(label)))
        if start > len(below) or not below:
            below = below.ljust(start) + label
            line[place] = "┬"
    return f"{' ' * margin}└{''.join(line)}{corner}".ljust(width)[:width], below.ljust(width)[:width]
