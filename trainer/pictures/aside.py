"""Training pictures that are no longer wanted: moved with their captions, never deleted, and taken back by name."""

import os
from collections.abc import Iterable
from pathlib import Path

ASIDE_FOLDER = ".set-aside"
"""Below the processed folder."""


def set_aside(processed: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Move training pictures and their captions into `.set-aside`; return those that were there to move."""
    moved = []
    for name in names:
        for path in (processed / name, (processed / name).with_suffix(".txt")):
            if path.is_file():
                aside = processed / ASIDE_FOLDER
                aside.mkdir(exist_ok=True, mode=0o700)
                os.replace(path, aside / path.name)
                moved.append(path.name)
    return tuple(moved)


def take_back_caption(processed: Path, name: str) -> None:
    """Give a training picture that is made again the caption which was set aside with it."""
    caption = (processed / name).with_suffix(".txt")
    aside = processed / ASIDE_FOLDER / caption.name
    if aside.is_file() and not caption.exists():
        os.replace(aside, caption)
