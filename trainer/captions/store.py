"""A folder's captions as an editor holds them: read with their hashes, written only over what was read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.captions.files import Caption, caption_path, decode_caption, encoded, write_caption
from trainer.captions.undo import UndoLog, file_hash
from trainer.errors import AppError
from trainer.pictures.look import picture_files
from trainer.text import printable

if TYPE_CHECKING:
    from trainer.captions.tokens import TokenCounter


@dataclass(frozen=True)
class Stored:
    """One training picture's caption as it lies on disk."""

    picture: Path
    text: str
    """Empty where there is no file, or nothing in it."""
    hash: str
    """Of the file's bytes; "" where there is no file."""
    tokens: int
    room: int
    """Tokens that the text encoder sees at a time."""
    notes: tuple[str, ...] = ()
    """What was odd about the file, as phrases."""

    @property
    def is_there(self) -> bool:
        """Whether there is a caption file."""
        return bool(self.hash)

    @property
    def is_long(self) -> bool:
        """Whether it is longer than the text encoder sees at once."""
        return self.tokens > self.room


def hash_of(text: str) -> str:
    """Return the hash that a caption file with this text will have."""
    return hashlib.sha256(encoded(text)).hexdigest()


def read_stored(folder: Path, count: "TokenCounter") -> dict[str, Stored]:
    """Read all captions of a folder of training pictures, by the pictures' file names, in natural order.

    Args:
        folder: The training pictures; one that isn't there holds none.
        count: Counts tokens.

    Raises:
        AppError: a file is there but can't be read.
    """
    pictures = picture_files(folder) if folder.is_dir() else []
    return {picture.name: read_one(picture, count) for picture in pictures}


def read_one(picture: Path, count: "TokenCounter") -> Stored:
    """Read the caption of one training picture.

    Raises:
        AppError: the file is there but can't be read.
    """
    path = caption_path(picture)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Stored(picture, "", "", 0, count.room)
    except OSError as error:
        raise AppError(
            "Cannot read a caption", f"{printable(path)}: {(error.strerror or str(error)).lower()}.", "Mend its rights."
        ) from None
    caption: Caption = decode_caption(data)
    hash_ = hashlib.sha256(data).hexdigest()
    return Stored(picture, caption.text, hash_, count(caption.text), count.room, caption.notes)


def write_changes(
    changes: Mapping[Path, str], known: Mapping[Path, str], what: str
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Write captions that were changed; what others changed meanwhile is left alone.

    Args:
        changes: New texts by training picture, all of one folder.
        known: Hash of each caption file as the texts were made from; what isn't here is written over anything.
        what: The change, as a phrase; `trainer.captions.undo` takes it back by it.

    Returns:
        The pictures whose captions were written, and those whose files are others than were read.

    Raises:
        AppError: a file can't be written.
    """
    written: list[Path] = []
    conflicts: list[Path] = []
    if not changes:
        return (), ()
    try:
        with UndoLog(next(iter(changes)).parent, what) as undo:
            for picture, text in changes.items():
                path = caption_path(picture)
                if picture in known and file_hash(path) != known[picture]:
                    conflicts.append(picture)
                    continue
                undo.keep(path, encoded(text))
                write_caption(picture, text)
                written.append(picture)
    except OSError as error:
        raise AppError(
            "Cannot write captions",
            f"{printable(error.filename or '')}: {(error.strerror or str(error)).lower()}.",
            "Free some space, or make the folder writable.",
        ) from None
    return tuple(written), tuple(conflicts)
