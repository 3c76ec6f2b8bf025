"""Names of training pictures, as A1111's Preprocess tab gives them: `IIIII-S-stem.png`."""

import re
import unicodedata

_LONGEST_STEM_BYTES = 120
_PREFIX = re.compile(r"^\d{5,}-\d+-")
_UNSAFE = set('<>:"/\\|?*')


def safe_stem(stem: str) -> str:
    """Return a file name's stem without what file systems, terminals or shells trip over.

    Control, direction-changing and unassigned characters, lone surrogates and the characters that
    Windows forbids become "_"; the result has at most 120 bytes of UTF-8 and is never empty.
    """
    text = "".join("_" if _is_unsafe(character) else character for character in stem)
    cut = text.encode("utf-8")[:_LONGEST_STEM_BYTES].decode("utf-8", "ignore")
    return cut.strip(" .") or "picture"


def crop_name(index: int, part: int, stem: str) -> str:
    """Return e.g. "00003-0-portrait.png" for part 0 of source number 3."""
    return f"{index:05d}-{part}-{safe_stem(stem)}.png"


def source_stem(crop_stem: str) -> str:
    """Return a crop's stem without its "00003-0-"."""
    return _PREFIX.sub("", crop_stem)


def _is_unsafe(character: str) -> bool:
    if character in _UNSAFE:
        return True
    joins_emoji = character == "\u200d"
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and not joins_emoji
