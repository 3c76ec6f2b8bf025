"""From scores of tags to a caption, by A1111's rules (`modules/deepbooru.py`, v1.10.1)."""

import re
from collections.abc import Mapping

from trainer.config.captioning import TagSettings

_SPECIAL = re.compile(r"([\\()])")

FACES = frozenset(
    ("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^",
     "o_o", "u_u", "x_x", "|_|", "||_||")
)  # fmt: skip
"""Tags that are drawn faces: the underscore is a part of them."""


def tags_caption(scores: Mapping[str, float], settings: TagSettings, *, keep_faces: bool = False) -> str:
    """Return the tags as a caption.

    Args:
        scores: Score of each tag that is to be written, by its name with underscores.
        settings: Order, spaces, escapes, filter, scores.
        keep_faces: Don't write spaces in `FACES`; A1111's Deepbooru does.
    """
    unwanted = {part.strip().replace(" ", "_") for part in settings.filter_tags.split(",")}
    order = sorted(scores) if settings.sort == "alphabet" else sorted(scores, key=lambda tag: -scores[tag])
    return ", ".join(_shown(tag, scores[tag], settings, keep_faces) for tag in order if tag not in unwanted)


def _shown(tag: str, score: float, settings: TagSettings, keep_faces: bool) -> str:
    text = tag.replace("_", " ") if settings.use_spaces and not (keep_faces and tag in FACES) else tag
    if settings.escape:
        text = _SPECIAL.sub(r"\\\1", text)
    return f"({text}:{score:.3f})" if settings.scores else text
