"""Caption files beside pictures: read whatever encoding they have, written whole as UTF-8."""

import codecs
from dataclasses import dataclass
from pathlib import Path

from trainer.captions.filename import words_of
from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.text import printable

EXTENSION = ".txt"
OTHER_EXTENSIONS = (".caption", ".cap", ".tags")
"""What other trainers write; found beside pictures they are offered, never taken silently."""

MAX_BYTES = 1_000_000
"""More than anybody writes about a picture; the rest of a larger file is not read."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class Caption:
    """The text of a caption file."""

    text: str
    """Line ends as "\\n", surrounding white space removed (the tokenizer would drop it)."""
    notes: tuple[str, ...] = ()
    """What was odd about the file, as phrases."""


def caption_path(picture: Path, extension: str = EXTENSION) -> Path:
    """Return the path of a picture's caption file: same folder, same stem."""
    return picture.with_suffix(extension)


def read_caption(picture: Path, extension: str = EXTENSION) -> Caption | None:
    """Read the caption file beside a picture; None where there is none.

    UTF-8 with or without byte order mark, and UTF-16 with one; anything else is taken as Windows-1252,
    Latin-1 where even that has gaps, and noted.

    Raises:
        AppError: the file is there but cannot be read.
    """
    path = caption_path(picture, extension)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AppError(
            "Cannot read a caption",
            f"{printable(path)}: {(error.strerror or str(error)).lower()}.",
            "Make the file readable, or move it away.",
        ) from None
    return decode_caption(data)


def caption_for(picture: Path, regex: str = "", join: str = " ") -> str:
    """Return what A1111 puts for [filewords]: the caption file's text, even if empty, else the file name's words.

    Args:
        picture: The training picture.
        regex: `data.filename_regex`.
        join: `data.filename_join`.

    Raises:
        AppError: an unreadable caption file, or `regex` is no regular expression.
    """
    caption = read_caption(picture)
    return words_of(picture.stem, regex, join) if caption is None else caption.text


def decode_caption(data: bytes) -> Caption:
    """Turn a caption file's bytes into text."""
    notes = []
    if len(data) > MAX_BYTES:
        data = data[:MAX_BYTES]
        notes.append(f"it is longer than {MAX_BYTES:,} bytes; the rest is not read")
    text, guessed = _decoded(data, cut="".join(notes) != "")
    if guessed:
        notes.append(f"it is not UTF-8; it was read as {guessed}")
    if "\x00" in text:
        text = text.replace("\x00", "")
        notes.append("it holds zero bytes, which were dropped")
    return Caption(text.replace("\r\n", "\n").replace("\r", "\n").strip(), tuple(notes))


def write_caption(picture: Path, text: str) -> Path:
    """Write a picture's caption as UTF-8 and return the path of the file.

    Raises:
        AppError: it cannot be written; the old file is then as it was.
    """
    path = caption_path(picture)
    try:
        write_atomic(path, encoded(text))
    except OSError as error:
        raise AppError(
            "Cannot write a caption",
            f"{printable(path)}: {(error.strerror or str(error)).lower()}.",
            "Free some space, or make the folder writable.",
        ) from None
    return path


def encoded(text: str) -> bytes:
    """Return a caption as it is written: UTF-8 without byte order mark; what UTF-8 cannot hold becomes "?"."""
    return text.encode("utf-8", "replace")


def _decoded(data: bytes, cut: bool) -> tuple[str, str]:
    """Return the text and the name of the encoding where it had to be guessed."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), ""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not cut), ""
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "Latin-1"
