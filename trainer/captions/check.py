"""Look at the captions beside pictures: what is missing, empty, elsewhere, the same everywhere, or too long."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.captions.files import OTHER_EXTENSIONS, caption_path, read_caption
from trainer.text import printable

if TYPE_CHECKING:
    from trainer.captions.tokens import TokenCounter


@dataclass(frozen=True)
class CaptionCheck:
    """What was found."""

    captioned: int
    """Pictures with a caption that says something."""
    missing: tuple[str, ...]
    """File names of pictures without a caption file; the words of their names are used."""
    empty: tuple[str, ...]
    """File names of pictures whose caption file is empty."""
    elsewhere: dict[str, int]
    """Number of uncaptioned pictures that have a file of another extension, e.g. {".caption": 42}."""
    same: str
    """The caption that all captioned pictures share, where there are two or more; else ""."""
    long: dict[str, int]
    """Tokens by file name, where a picture's caption has more than `room`."""
    room: int
    """Tokens that the text encoder sees at a time."""
    odd: dict[str, tuple[str, ...]]
    """Remarks on encodings by picture's file name."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to say about it, as sentences."""
        total = self.captioned + len(self.missing) + len(self.empty)
        found = []
        for extension, count in self.elsewhere.items():
            found.append(
                f"{count} of {_pictures(total)} with no .txt but a {extension} file beside: these can be used "
                f"(`hypernet caption PROJECT --with files --extension {extension}`)."
            )
        if self.missing and self.captioned:
            found.append(
                f"{len(self.missing)} of {_pictures(total)} without a caption file: file names are used instead."
            )
        if self.empty:
            found.append(f"Empty caption files: {len(self.empty)} ({_some(self.empty)}).")
        if self.same:
            found.append(f"All {self.captioned} captions are the same: {printable(self.same, 60)}")
        if self.long:
            found.append(
                f"Captions longer than the {self.room} tokens that the encoder sees at once, thus encoded in "
                f"pieces: {len(self.long)} ({_some(tuple(self.long))})."
            )
        found += [
            f"The caption of {printable(name, 60)}: {note}." for name, notes in self.odd.items() for note in notes
        ]
        return tuple(found)


def check_captions(pictures: Sequence[Path], count: "TokenCounter") -> CaptionCheck:
    """Read the captions beside these pictures.

    Args:
        pictures: The pictures.
        count: Counts a caption's tokens.

    Raises:
        AppError: a caption file cannot be read.
    """
    texts: list[str] = []
    missing, empty, elsewhere = [], [], dict.fromkeys(OTHER_EXTENSIONS, 0)
    long, odd = {}, {}
    for picture in pictures:
        caption = read_caption(picture)
        if caption is None:
            missing.append(picture.name)
            for extension in OTHER_EXTENSIONS:
                elsewhere[extension] += caption_path(picture, extension).is_file()
            continue
        if caption.notes:
            odd[picture.name] = caption.notes
        if not caption.text:
            empty.append(picture.name)
            continue
        texts.append(caption.text)
        if (tokens := count(caption.text)) > count.room:
            long[picture.name] = tokens
    return CaptionCheck(
        captioned=len(texts),
        missing=tuple(missing),
        empty=tuple(empty),
        elsewhere={extension: number for extension, number in elsewhere.items() if number},
        same=texts[0] if len(texts) > 1 and len(set(texts)) == 1 else "",
        long=long,
        room=count.room,
        odd=odd,
    )


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _some(names: tuple[str, ...], count: int = 3) -> str:
    return ", ".join(printable(name, 40) for name in names[:count]) + (", …" if len(names) > count else "")
