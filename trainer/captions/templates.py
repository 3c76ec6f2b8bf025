"""Prompt templates with [name] and [filewords], and variation of tags."""

from importlib.resources import files
from pathlib import Path
from typing import Protocol

from trainer.errors import AppError
from trainer.text import nearest, printable

_FOLDER = files("presets") / "templates"


class Random(Protocol):
    """What varying tags needs of a generator; `random.Random` has it."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def shuffle(self, x: list[str], /) -> None:
        """Shuffle a list in place."""
        ...


def template_names() -> list[str]:
    """Return the names of the templates that ship with the program."""
    return sorted(entry.name.removesuffix(".txt") for entry in _FOLDER.iterdir() if entry.name.endswith(".txt"))


def load_template(name_or_path: str) -> tuple[str, ...]:
    """Return a template's lines, stripped; an empty line is an empty prompt, as in A1111.

    Args:
        name_or_path: One of `template_names()`, with or without ".txt", or the path of a text file.

    Raises:
        AppError: there is no such template, it is empty or unreadable.
    """
    name = name_or_path.removesuffix(".txt")
    try:
        source = _FOLDER / f"{name}.txt" if name in template_names() else Path(name_or_path)
        data = source.read_bytes()
    except (OSError, ValueError) as error:
        names = template_names()
        reason = getattr(error, "strerror", None) or str(error)
        raise AppError(
            "No such template",
            f"data.template is {printable(name_or_path)}: {reason.lower()}.",
            f"Take one of {', '.join(names)}, or the path of a text file.{nearest(name, names)}",
        ) from None
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    if not text.strip():
        raise AppError(
            "Empty template",
            f"{printable(name_or_path)} holds no line.",
            "Write a line such as: a picture of [filewords]",
        )
    return tuple(line.strip() for line in text.removesuffix("\n").split("\n"))


def fill(line: str, name: str, filewords: str) -> str:
    """Put the caption and then the subject's name into a template's line, by plain replacement as A1111 does."""
    return line.replace("[filewords]", filewords).replace("[name]", name)


def vary_tags(caption: str, *, shuffle: bool, dropout: float, rng: Random) -> str:
    """Drop and shuffle a caption's comma-separated tags by A1111's rules (`create_text` in its dataset).

    Each tag, not trimmed, stays when `rng.random() > dropout`; 1 drops all. Rejoined by "," alone.

    Args:
        caption: Tags between commas.
        shuffle: Whether to shuffle what is left.
        dropout: Chance of a tag to be dropped, 0 to 1.
        rng: Drawn from once a tag when `dropout` > 0, then for the shuffle.
    """
    tags = caption.split(",")
    if dropout > 0:
        tags = [tag for tag in tags if rng.random() > dropout]
    if shuffle:
        rng.shuffle(tags)
    return ",".join(tags)
