"""Hypernetworks by the name that a prompt calls them, as A1111 lists them (hypernetwork.py:312-320 at v1.10.1)."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from trainer.text import nearest, printable

HYPERNETWORKS_BELOW = Path("models") / "hypernetworks"
"""Where A1111 and ComfyUI keep them, below their own folder."""


def find_hypernetworks(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the files below `folders` by their name in a prompt: the file's name without `.pt`.

    Within a folder the last of several files of one name counts, as in A1111; of several folders the first.
    A file called None.pt cannot be asked for.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        paths = sorted(folder.rglob("*.pt"), key=lambda path: str(path).lower())
        own = {path.stem: path for path in paths if path.is_file() and path.stem != "None"}
        found = own | found
    return found


def unknown_name(name: str, known: Mapping[str, Path]) -> str:
    """Return what to tell of a tag whose name no file has; A1111 passes over it without a word."""
    return (
        f"<hypernet:{printable(name, 80)}:…> is left out: there is no {printable(name, 80)}.pt."
        f"{printable(nearest(name, known))}"
    )
