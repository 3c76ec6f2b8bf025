"""What a terminal cannot draw is replaced at the very end, when a line is about to be sent."""

from collections.abc import Callable
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_ASCII = {
    "█": "#", "▉": "#", "▊": "#", "▋": "=", "▌": "=", "▍": "-", "▎": "-", "▏": "|", "░": "-", "▒": ":", "▓": "%",
    "▀": "'", "▄": ",", "▁": "_", "▂": "_", "▃": "_", "▅": "=", "▆": "=", "▇": "#", "▐": "|", "▕": "|", "▔": "-",
    "─": "-", "━": "-", "│": "|", "┃": "|", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "┬": "+",
    "┴": "+", "┼": "+", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "═": "=", "║": "|", "╶": "-", "╴": "-",
    "┏": "+", "┓": "+", "┗": "+", "┛": "+",
    "·": ".", "•": "*", "…": "~", "–": "-", "—": "-", "▸": ">", "▾": "v", "▶": ">", "◂": "<", "◀": "<", "↑": "^",
    "↓": "v", "→": ">", "←": "<", "✓": "+", "✗": "x", "×": "x", "°": " ", "“": '"', "”": '"', "‘": "'", "’": "'",
    "★": "*", "●": "*", "○": "o", "◉": "*", "\xa0": " ",
}  # fmt: skip
_CONSOLE = frozenset("█▌▐▀▄░▒▓─│┌┐└┘├┤┬┴┼═║·•↑↓→←°×")
"""What the fonts of a Linux console have beside Latin letters."""


def ascii_only(character: str) -> bool:
    """Tell whether a terminal without Unicode can draw a character."""
    return character.isascii()


def console_font(character: str) -> bool:
    """Tell whether a Linux console (TERM=linux) can draw a character."""
    return ord(character) < 0x180 or character in _CONSOLE


class GlyphFilter(LineFilter):
    """Replaces characters that the terminal cannot draw by ones that it can; the width of a line stays.

    Args:
        drawable: Tells which characters stay.
    """

    def __init__(self, drawable: Callable[[str], bool]) -> None:
        super().__init__()
        self.drawable = drawable

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the line's segments with nothing in them that cannot be drawn."""
        return [
            segment if segment.control or segment.text.isascii() else segment._replace(text=self._plain(segment.text))
            for segment in segments
        ]

    def _plain(self, text: str) -> str:
        return "".join(c if self.drawable(c) else replacement(c) for c in text)


@lru_cache(4096)
def replacement(character: str) -> str:
    """Return ASCII of the same width as a character."""
    code = ord(character)
    if 0x2800 <= code < 0x2900:  # braille: the more dots, the darker
        dots = (code - 0x2800).bit_count()
        return " " if not dots else "." if dots < 3 else ":" if dots < 6 else "#"
    return _ASCII.get(character) or "?" * cell_len(character)
