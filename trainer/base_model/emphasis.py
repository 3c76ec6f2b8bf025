"""A1111's prompt weights: `(x)` × 1.1, `[x]` ÷ 1.1, `(x:1.3)`, `\\(` literal, `BREAK` starts a chunk."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROUND, SQUARE = 1.1, 1 / 1.1
_PIECES = re.compile(
    r"\\(?P<escaped>[()\[\]\\])|(?P<backslash>\\)|(?P<open>[(\[])|:\s*(?P<number>[+-]?[.\d]+)\s*\)|(?P<close>[)\]])"
    r"|(?P<text>[^\\()\[\]:]+|:)"
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


@dataclass
class Piece:
    """A stretch of prompt with one weight."""

    text: str
    weight: float = 1.0
    is_break: bool = False
    """A `BREAK`: what follows begins a new chunk; `text` is empty."""


def parse_emphasis(prompt: str) -> list[Piece]:
    """Split a prompt into pieces of one weight each, brackets and escapes taken out.

    A bracket that is never closed reaches to the end, one that is never opened is text, and a number that is
    none is text too; a backslash before anything else is dropped. Unlike A1111, a `BREAK` within brackets is still a
    break.
    """
    pieces: list[Piece] = []
    opened: list[tuple[str, int]] = []
    for found in _PIECES.finditer(prompt):
        if found["open"]:
            opened.append((found["open"], len(pieces)))
        elif (number := _number(found["number"])) is not None and _innermost_round(opened):
            _close(pieces, opened, "(", number)
        elif found["close"] and any(bracket == _opening(found["close"]) for bracket, _ in opened):
            _close(pieces, opened, _opening(found["close"]), None)
        elif not found["backslash"]:
            _append_text(pieces, found["escaped"] or found[0])
    for bracket, start in opened:
        _multiply(pieces, start, ROUND if bracket == "(" else SQUARE)
    return _merged(pieces)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _innermost_round(opened: list[tuple[str, int]]) -> bool:
    return any(bracket == "(" for bracket, _ in opened)


def _opening(close: str) -> str:
    return "(" if close == ")" else "["


def _close(pieces: list[Piece], opened: list[tuple[str, int]], bracket: str, number: float | None) -> None:
    """Close the last opened bracket of this kind; round and square ones may overlap, as in A1111."""
    last = max(index for index, (kind, _) in enumerate(opened) if kind == bracket)
    _, start = opened.pop(last)
    default = ROUND if bracket == "(" else SQUARE
    _multiply(pieces, start, default if number is None else number)


def _multiply(pieces: list[Piece], start: int, factor: float) -> None:
    for piece in pieces[start:]:
        piece.weight *= factor


def _append_text(pieces: list[Piece], text: str) -> None:
    for index, part in enumerate(_BREAK.split(text)):
        if index:
            pieces.append(Piece("", is_break=True))
        pieces.append(Piece(part))


def _merged(pieces: list[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last and not last.is_break and not piece.is_break and last.weight == piece.weight:
            last.text += piece.text
        else:
            merged.append(piece)
    return merged or [Piece("")]
