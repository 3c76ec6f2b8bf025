"""A picture in the terminal: two pixels a cell as half blocks, or shades of characters without colour."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.few_colours import with_colours_of

MOST_PX = 64_000_000
"""Larger pictures are not opened."""
KEPT_PX = 512
"""Pictures are kept no larger than this: more than half blocks show, and a preview's own size."""
SHADES = " .:-=+*#%@"
"""From dark to light; terminals are taken to be dark."""


@dataclass(frozen=True)
class Loaded:
    """A picture in memory."""

    picture: Image.Image
    width: int
    height: int
    parameters: str
    """What its PNG text says about how it was made."""


def load_picture(path: Path) -> Loaded | None:
    """Read a picture small enough to draw; None where there is none or it can't be read. Belongs into a thread."""
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG", "JPEG", "WEBP")) as image:
            if image.width * image.height > MOST_PX:
                return None
            small = image.convert("RGB")
            small.thumbnail((KEPT_PX, KEPT_PX))
            return Loaded(small, image.width, image.height, str(image.info.get("parameters", "")))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def fitted(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """Return the columns and rows that a picture takes in a room; a cell is about twice as high as wide."""
    scale = min(columns / width, 2 * rows / height)
    return max(1, round(width * scale)), max(1, round(height * scale / 2))


def half_blocks(picture: Image.Image, columns: int, rows: int, system: str | None = "truecolor") -> list[Strip]:
    """Return a picture as lines of "▀": the upper pixel in front, the lower one behind."""
    return [Strip(line, columns).simplify() for line in half_block_cells(picture, columns, rows, system)]


def half_block_cells(
    picture: Image.Image, columns: int, rows: int, system: str | None = "truecolor"
) -> list[list[Segment]]:
    """Return a picture as rows of single cells, in the colours of a terminal's colour system (rich's name)."""
    pixels = with_colours_of(system, picture.resize((columns, 2 * rows), Image.Resampling.BOX)).load()
    assert pixels is not None

    def colour(x: int, y: int) -> Color:
        value = pixels[x, y]
        assert isinstance(value, tuple)
        return Color.from_rgb(*value[:3])

    return [
        [Segment("▀", Style(color=colour(x, 2 * y), bgcolor=colour(x, 2 * y + 1))) for x in range(columns)]
        for y in range(rows)
    ]


def shades(picture: Image.Image, columns: int, rows: int, style: Style) -> list[Strip]:
    """Return a picture as lines of characters from dark to light."""
    values = picture.convert("L").resize((columns, rows), Image.Resampling.BOX).tobytes()
    text = "".join(SHADES[value * len(SHADES) // 256] for value in values)
    return [Strip([Segment(text[y * columns : (y + 1) * columns], style)], columns) for y in range(rows)]


class Picture(Widget):
    """Shows one picture as large as there is room, in the middle.

    Args:
        plain: Draw with characters only.
    """

    def __init__(self, *, plain: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._plain = plain
        self._picture: Image.Image | None = None
        self._instead = ""
        self._lines: list[Strip] | None = None
        self.version = 0
        """How often what it shows has changed."""
        self.is_repainted = False
        """Whether its cells were sent to the terminal since somebody set this back."""

    def show(self, picture: Image.Image | None, instead: str = "") -> None:
        """Show another picture, or a word or two instead of none."""
        if picture is not self._picture or instead != self._instead:
            self._picture, self._instead = picture, instead
            self.draw_anew()

    def notify_style_update(self) -> None:
        """Draw anew in other colours."""
        self._forget()
        super().notify_style_update()

    def on_resize(self) -> None:
        """Draw anew in another size."""
        self._forget()

    def draw_anew(self) -> None:
        """Draw the same picture again."""
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self._lines = None
        self.version += 1

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return some lines, and note that they are painted."""
        self.is_repainted = True
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Return one line of the widget."""
        if self._lines is None:
            self._lines = self._drawn()
        width, height = self.size
        above = (height - len(self._lines)) // 2
        if not 0 <= y - above < len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[y - above]
        left = (width - line.cell_length) // 2
        return Strip.join(
            [
                Strip.blank(left, self.rich_style),
                line,
                Strip.blank(width - left - line.cell_length, self.rich_style),
            ]
        )

    def _drawn(self) -> list[Strip]:
        if self._picture is None:
            return [Strip([Segment(self._instead[: self.size.width], self.rich_style)])]
        cells = self._cells_taken()
        return self.draw_picture(self._picture, *cells) if cells else []

    def _cells_taken(self) -> tuple[int, int] | None:
        width, height = self.size
        return fitted(*self._picture.size, width, height) if self._picture is not None and width and height else None

    @property
    def drawn_area(self) -> Region | None:
        """Where on the screen the picture itself is drawn in colours; None where it isn't."""
        cells = None if self._plain else self._cells_taken()
        if cells is None:
            return None
        (columns, rows), room = cells, self.content_region
        return Region(room.x + (room.width - columns) // 2, room.y + (room.height - rows) // 2, columns, rows)

    def pixels(self, width: int, height: int) -> Image.Image | None:
        """Return what is shown as a picture of that size; None where there is none."""
        return self._picture and self._picture.resize((width, height), Image.Resampling.BICUBIC)

    def draw_picture(self, picture: Image.Image, columns: int, rows: int) -> list[Strip]:
        """Return a picture as lines."""
        if self._plain:
            return shades(picture, columns, rows, self.rich_style)
        return half_blocks(picture, columns, rows, self.app.console.color_system)
