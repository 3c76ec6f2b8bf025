"""Paths that are typed: completed, and judged. Everything here looks at the disk and belongs into a thread."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.text import is_hidden, printable

MOST_LISTED = 2000
"""Entries of a folder that are looked at; nobody browses more."""


def state_file(name: str) -> Path:
    """Return where the wizard keeps something between two sittings, on this machine for this user."""
    from platformdirs import user_state_path

    return user_state_path("hypernet-wizard") / name


@dataclass(frozen=True)
class Entry:
    """A folder, or a file of a wanted kind."""

    path: Path
    is_folder: bool

    @property
    def label(self) -> str:
        """Its name, harmless to show."""
        return printable(self.path.name, 60) + ("/" if self.is_folder else "")


def entries(folder: Path, suffixes: Sequence[str] = (), *, hidden: bool = False) -> list[Entry]:
    """Return the folders within a folder, and its files with certain suffixes, each in alphabetical order.

    Args:
        folder: Where to look; what can't be read counts as empty.
        suffixes: Of files to list, in small letters; none for folders only.
        hidden: List names that begin with a dot as well.
    """
    return sorted(_entries(folder, suffixes, hidden), key=lambda e: (not e.is_folder, e.path.name.casefold()))


def _entries(folder: Path, suffixes: Sequence[str], hidden: bool) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            for _, each in zip(range(MOST_LISTED), found, strict=False):
                is_folder = each.is_dir()
                wanted = is_folder or each.name.lower().endswith(tuple(suffixes) or "\0")
                if wanted and (hidden or not each.name.startswith(".")):
                    yield Entry(Path(each.path), is_folder)
    except OSError:
        return


def candidates(text: str, suffixes: Sequence[str] = ()) -> list[str]:
    """Return what a typed path may become when its last name is completed; nothing where that was not begun.

    Names that can't be shown as they are come last.
    """
    if text == "~":
        return ["~/"]
    head, slash, start = text.rpartition("/")
    if not slash or not start:
        return []
    found = entries(Path(os.path.expanduser(head or "/")), suffixes, hidden=start.startswith("."))
    found.sort(key=lambda entry: any(map(is_hidden, entry.path.name)))
    paths = [f"{head}/{each.path.name}{'/' if each.is_folder else ''}" for each in found]
    return [path for path in paths if path.startswith(text) and path != text]


def completed(text: str, suffixes: Sequence[str] = ()) -> str:
    """Return a typed path with what all candidates share, the first one where that is no more; "" without any."""
    found = candidates(text, suffixes)
    shared = os.path.commonprefix(found)  # noqa: RUF071 - a name is typed letter by letter
    return shared if len(shared) > len(text) else next(iter(found), "")


def typed_path(text: str) -> Path:
    """Return the absolute path that a typed text means."""
    return Path(os.path.abspath(os.path.expanduser(text.strip())))


def short_path(path: Path) -> str:
    """Return a path as people write it, with "~" for the home folder; harmless to show."""
    return printable(tilde(path), 200)


def tilde(path: Path) -> str:
    """Return a path as one types it, with "~" for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path != home and path.is_relative_to(home) else str(path)
