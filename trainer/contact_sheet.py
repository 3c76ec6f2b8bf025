"""A grid of pictures with labels as one picture."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from trainer.text import printable

LEAST_CELL_PX, MOST_CELL_PX, MOST_SIDE_PX = 128, 512, 8192
GAP_PX = 6
BACKGROUND, INK, PALE = (250, 250, 250), (20, 20, 20), (225, 225, 225)
_LINES = 3


def contact_sheet(
    rows: Sequence[str], columns: Sequence[str], pictures: Mapping[tuple[int, int], Path], title: str = ""
) -> Image.Image:
    """Return one picture of all; a place without a file stays pale.

    Args:
        rows: Labels left of the rows.
        columns: Labels above the columns.
        pictures: Files by (row, column); small ones are enlarged to whole multiples, large ones reduced.
        title: Above all.
    """
    width, height = _cell_size(rows, columns, pictures)
    font = ImageFont.load_default(size=max(12, min(28, width // 14)))
    line_px = int(font.getbbox("Ag")[3]) + 3
    left = min(max(width * 3 // 4, 110), 320)
    top = (2 if title else 1) * (line_px + 2 * GAP_PX)
    size = (left + len(columns) * (width + GAP_PX) + GAP_PX, top + len(rows) * (height + GAP_PX) + GAP_PX)
    sheet = Image.new("RGB", size, BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    if title:
        _write(pen, title, (GAP_PX, GAP_PX), size[0] - 2 * GAP_PX, font, line_px, 1)
    for column, label in enumerate(columns):
        place = (left + column * (width + GAP_PX), top - line_px - GAP_PX)
        _write(pen, label, place, width, font, line_px, 1)
    for row, label in enumerate(rows):
        y = top + row * (height + GAP_PX)
        _write(pen, label, (GAP_PX, y), left - 2 * GAP_PX, font, line_px, max(_LINES, height // line_px))
        for column in range(len(columns)):
            place = (left + column * (width + GAP_PX), y)
            _paste(sheet, pen, pictures.get((row, column)), place, (width, height))
    return sheet


def _cell_size(
    rows: Sequence[str], columns: Sequence[str], pictures: Mapping[tuple[int, int], Path]
) -> tuple[int, int]:
    path = next(iter(pictures.values()), None)
    width, height = (MOST_CELL_PX, MOST_CELL_PX) if path is None else _size_of(path)
    room = min(MOST_CELL_PX, MOST_SIDE_PX // max(1, len(columns)), MOST_SIDE_PX // max(1, len(rows)))
    longest = max(width, height)
    if longest < LEAST_CELL_PX:
        factor = -(-LEAST_CELL_PX // longest)
        return width * factor, height * factor
    factor_down = min(1.0, max(room, 32) / longest)
    return max(1, round(width * factor_down)), max(1, round(height * factor_down))


def _size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def _paste(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, path: Path | None, place: tuple[int, int], size: tuple[int, int]
) -> None:
    if path is None or not path.is_file():
        pen.rectangle((*place, place[0] + size[0] - 1, place[1] + size[1] - 1), fill=PALE)
        return
    with Image.open(path) as picture:
        how = Image.Resampling.NEAREST if size[0] >= picture.width else Image.Resampling.LANCZOS
        sheet.paste(picture.convert("RGB").resize(size, how), place)


def _write(
    pen: ImageDraw.ImageDraw,
    text: str,
    place: tuple[int, int],
    width: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    line_px: int,
    most_lines: int,
) -> None:
    """Write text within a width, broken at spaces, else anywhere, and cut with an ellipsis."""
    lines = _broken(printable(text, 400), lambda part: pen.textlength(part, font=font) <= width)
    if len(lines) > most_lines:
        lines = lines[:most_lines]
        while lines[-1] and pen.textlength(lines[-1] + "…", font=font) > width:
            lines[-1] = lines[-1][:-1]
        lines[-1] += "…"
    for number, line in enumerate(lines):
        pen.text((place[0], place[1] + number * line_px), line, fill=INK, font=font)


def _broken(text: str, fits: Callable[[str], bool]) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}".strip()
        if fits(joined):
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if lines[-1] and not fits(lines[-1] + character):
                lines.append("")
            lines[-1] += character
    return lines
