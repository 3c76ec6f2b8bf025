"""Text from outside (file names, captions, metadata) made harmless for a terminal, and numbers for people."""

import difflib
import re
import unicodedata
from collections.abc import Iterable

_BIDI_CONTROLS = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}


def printable(text: object, limit: int = 300) -> str:
    """Return `text` on one line, control and direction-changing characters written as escapes.

    Args:
        text: Anything; its `str()` may hold lone surrogates, as file names can.
        limit: Longest result in characters; the middle is cut out beyond it.
    """
    plain = str(text)
    # Nearly always so, and a hundred times quicker to find out.
    shown = plain if plain.isprintable() else "".join(map(_shown, plain))
    if len(shown) <= limit:
        return shown
    keep = (limit - 1) // 2
    return f"{shown[:keep]}…{shown[-keep:]}"


def is_hidden(character: str) -> bool:
    """Tell whether a character controls the terminal or the direction of text instead of being shown."""
    return character in _BIDI_CONTROLS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _shown(character: str) -> str:
    if is_hidden(character):
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


def without_options(text: str) -> str:
    """Return a message without the options and commands that it gives in brackets: the wizard has keys and fields."""
    return re.sub(r"\s\([^()]*(?:--[a-z]|`hypernet )[^()]*\)", "", text)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return " Did you mean X?" for the nearest of `names`, or an empty string."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {found[0]}?" if found else ""


def size_text(num_bytes: float) -> str:
    """Return bytes for people: "3.1 GiB", "512 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(num_bytes) < 1024 or unit == "GiB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" or num_bytes >= 100 else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1024
    raise AssertionError


def parse_size(text: str) -> int:
    """Return the bytes of a size such as "4GiB", "4 GB", "512M" or "1000000"; all units count in 1024.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT]?)i?B?)\s*", text, re.IGNORECASE)
    if found is None or not float(found[1]):
        raise ValueError("must be a size such as 4GiB or 512MiB")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def rate_text(rate: float) -> str:
    """Return a learning rate as people type it: "1e-5", "0.0005"."""
    return f"{rate:.3g}".replace("e-0", "e-")


def duration_text(seconds: float) -> str:
    """Return seconds as HH:MM:SS; from a hundred hours on as days."""
    total = max(0, round(seconds))
    if total >= 100 * 3600:
        return f"{total / 86_400:.0f} days"
    return f"{total // 3600:02d}:{total % 3600 // 60:02d}:{total % 60:02d}"
