"""What the Caption screen says, as text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.pictures.names import source_stem
from trainer.text import printable
from tui.words import counted, fit

if TYPE_CHECKING:
    from trainer.captions.store import Stored

SOURCES: Mapping[str, tuple[str, str]] = {
    "filename": ("file names", "The words of each picture's file name. Needs nothing."),
    "text": ("one text", "The same text for every picture, written below. Needs nothing."),
    "files": ("files beside the sources", "Caption files that lie beside your source pictures. Needs nothing else."),
}
"""What needs no model: how it is called, and what it does."""
EXISTING: Mapping[str, tuple[str, str]] = {
    "keep": ("kept", "Only pictures without a caption get one."),
    "ignore": ("replaced", "Every caption is written anew; undo takes that back."),
    "prepend": ("put before the new one", "Old caption, space, new caption, as A1111 does."),
    "append": ("put after the new one", "New caption, space, old caption, as A1111 does."),
}


def remark_of(stored: "Stored", is_same: bool) -> str:
    """Return what is remarkable about a caption, in a few words; empty where nothing is."""
    if not stored.is_there:
        return "no caption"
    if not stored.text:
        return "empty"
    if stored.is_long:
        return f"{stored.tokens} tokens"
    return "same everywhere" if is_same else "odd file" if stored.notes else ""


def row_text(stored: "Stored", remark: str, width: int) -> tuple[str, str]:
    """Return a picture's line in the list, and its tone."""
    room = max(8, width // 3)
    mark = "·" if not stored.is_there else "!" if remark else "✓"
    told = f"({remark}) {stored.text}" if remark and stored.text else remark or stored.text
    tone = "muted" if not stored.is_there else "warning" if remark else ""
    return f"{mark} {fit(printable(picture_name(stored.picture.stem), 120), room)} {printable(told, 200)}", tone


def words_of(stored: "Stored", remark: str) -> str:
    """Return what a filter looks at."""
    return f"{picture_name(stored.picture.stem)} {remark} {stored.text}".casefold()


def picture_name(stem: str) -> str:
    """Return how a training picture is called in a list: its source's name, and which of several it is."""
    name = source_stem(stem)
    parts = stem.removesuffix(f"-{name}").split("-")
    return f"{name} ({int(parts[1]) + 1})" if name != stem and parts[1] != "0" else name


def same_text(captions: Mapping[str, "Stored"]) -> str:
    """Return the caption that all captioned pictures share, where there are two or more; else ""."""
    texts = [each.text for each in captions.values() if each.text]
    return texts[0] if len(texts) > 1 and len(set(texts)) == 1 else ""


def summary_text(captions: Mapping[str, "Stored"], source: str, existing: str, num_beside: int = 0) -> str:
    """Return the counts of a folder's captions, and where missing ones will come from."""
    counts = dict.fromkeys(("captioned", "empty", "without", "too long"), 0)
    for each in captions.values():
        counts["captioned" if each.text else "empty" if each.is_there else "without"] += 1
        counts["too long"] += each.is_long
    told = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    same = ", all the same" if same_text(captions) else ""
    pictures = f"{counted(len(captions), 'picture')}: {told}{same}"
    name = SOURCES[source][0] if source in SOURCES else source
    if not num_beside or existing == "ignore":
        return f"{pictures} · {name}, old {EXISTING[existing][0]}"
    rest = "" if source == "files" else f", else {name}" if existing == "keep" else f", {name}"
    return f"{pictures} · found beside the pictures: {num_beside:,}{rest}"


def tokens_text(tokens: int, room: int, notes: Sequence[str] = ()) -> str:
    """Return how long a caption is against what the text encoder sees at once."""
    more = f", {tokens - room} too many" if tokens > room else ""
    return " · ".join([f"{tokens} of {room} tokens{more}", *notes])


def change_lines(before: Mapping[str, "Stored"], changes: Mapping[str, str], most: int = 200) -> list[str]:
    """Return what would change, three lines a caption: its picture, the old text and the new one."""
    lines = []
    for name, text in list(changes.items())[:most]:
        lines += [printable(name, 60), *_difference(before[name].text, text), ""]
    if len(changes) > most:
        lines.append(f"… and {len(changes) - most:,} more")
    return lines


def _difference(old: str, new: str, around: int = 30) -> tuple[str, str]:
    """Return both texts about the place where they begin to differ."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    begin = max(0, start - around)
    dots = "…" if begin else ""
    return f"  - {dots}{printable(old[begin:], 120)}", f"  + {dots}{printable(new[begin:], 120)}"
