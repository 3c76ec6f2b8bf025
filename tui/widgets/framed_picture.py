"""A picture with the frames of its crop drawn on it; what lies outside is dim."""

from collections.abc import Sequence

from PIL import Image, ImageDraw
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as ThemeColor
from textual.strip import Strip

from tui.widgets.picture import Picture, half_block_cells, shades

Shares = tuple[float, float, float, float]
"""Left, top, right, bottom of a frame in shares of the picture's sides, 0 to 1."""
Cells = tuple[int, int, int, int]
"""The same in cells; right and bottom are the last ones inside."""

OUTSIDE = 0.35
"""What is left of the brightness outside the frames."""
OUTSIDE_PLAIN = "░"
_CORNERS = ("┏", "┓", "┗", "┛")


def cells_of(frame: Shares, columns: int, rows: int) -> Cells:
    """Return the cells that a frame takes; at least one."""
    left, top = min(columns - 1, round(frame[0] * columns)), min(rows - 1, round(frame[1] * rows))
    return left, top, max(left, round(frame[2] * columns) - 1), max(top, round(frame[3] * rows) - 1)


def outline(cells: Cells) -> dict[tuple[int, int], str]:
    """Return the characters of a frame's border by column and row; they lie on its outermost cells."""
    left, top, right, bottom = cells
    drawn = {(x, y): "━" for x in range(left, right + 1) for y in (top, bottom)}
    drawn |= {(x, y): "┃" for y in range(top, bottom + 1) for x in (left, right)}
    drawn |= dict(zip([(left, top), (right, top), (left, bottom), (right, bottom)], _CORNERS, strict=True))
    return drawn


def dimmed(picture: Image.Image, frames: Sequence[Shares]) -> Image.Image:
    """Return a picture that is dark outside the frames."""
    mask = Image.new("L", picture.size, 0)
    draw = ImageDraw.Draw(mask)
    for left, top, right, bottom in frames:
        box = (left * picture.width, top * picture.height, right * picture.width - 1, bottom * picture.height - 1)
        draw.rectangle((box[0], box[1], max(box[0], box[2]), max(box[1], box[3])), fill=255)
    return Image.composite(picture, picture.point(lambda value: round(value * OUTSIDE)), mask)


class FramedPicture(Picture, can_focus=True):
    """Shows a picture with frames; the border is brighter while it can be moved.

    Args:
        plain: Draw with characters only.
    """

    def __init__(self, *, plain: bool = False, id: str | None = None) -> None:
        super().__init__(plain=plain, id=id)
        self._frames: tuple[Shares, ...] = ()
        self._is_active = False

    def show_frames(self, frames: Sequence[Shares], *, active: bool) -> None:
        """Show other frames.

        Args:
            frames: On the picture; none shows the picture alone.
            active: Draw them as what the arrow keys move.
        """
        if (tuple(frames), active) != (self._frames, self._is_active):
            self._frames, self._is_active = tuple(frames), active
            self.draw_anew()

    def draw_picture(self, picture: Image.Image, columns: int, rows: int) -> list[Strip]:
        """Return picture and frames as lines."""
        boxes = [cells_of(frame, columns, rows) for frame in self._frames]
        borders: dict[tuple[int, int], str] = {}
        for box in boxes:
            borders |= outline(box)
        cells = self._plain_cells(picture, boxes, columns, rows) if self._plain else self._cells(picture, columns, rows)
        for (x, y), character in borders.items():
            cells[y][x] = Segment(character, self._border_style(cells[y][x]))
        return [Strip(line, columns).simplify() for line in cells]

    def pixels(self, width: int, height: int) -> Image.Image | None:
        """Return picture and frames as a picture of that size."""
        whole = super().pixels(width, height)
        if whole is None or not self._frames:
            return whole
        drawn = dimmed(whole, self._frames)
        line = self._line_colour()
        for left, top, right, bottom in self._frames:
            box = (left * width, top * height, max(left, right) * width - 1, max(top, bottom) * height - 1)
            ImageDraw.Draw(drawn).rectangle(box, outline=(line.r, line.g, line.b), width=3 if self._is_active else 2)
        return drawn

    def _line_colour(self) -> ThemeColor:
        return ThemeColor.parse(self.app.theme_variables["warning" if self._is_active else "foreground"])

    def _cells(self, picture: Image.Image, columns: int, rows: int) -> list[list[Segment]]:
        shown = dimmed(picture, self._frames) if self._frames else picture
        return half_block_cells(shown, columns, rows, self.app.console.color_system)

    def _plain_cells(
        self, picture: Image.Image, boxes: Sequence[Cells], columns: int, rows: int
    ) -> list[list[Segment]]:
        def is_inside(x: int, y: int) -> bool:
            return not boxes or any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for box in boxes)

        lines = [line.text for line in shades(picture, columns, rows, self.rich_style)]
        return [
            [Segment(c if is_inside(x, y) else OUTSIDE_PLAIN, self.rich_style) for x, c in enumerate(line)]
            for y, line in enumerate(lines)
        ]

    def _border_style(self, cell: Segment) -> Style:
        style = cell.style or self.rich_style
        if self._plain:
            return style + Style(bold=self._is_active)
        line = self._line_colour()
        behind = style.bgcolor.get_truecolor() if style.bgcolor is not None else (0, 0, 0)
        dark = Color.from_rgb(*(channel * 0.4 for channel in behind))
        return Style(color=Color.from_rgb(line.r, line.g, line.b), bgcolor=dark, bold=self._is_active)
