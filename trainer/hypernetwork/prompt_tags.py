"""`<hypernet:NAME:WEIGHT>` in prompts, read as A1111 does (modules/extra_networks.py at v1.10.1)."""

import math
import re
from dataclasses import dataclass, field

from trainer.text import printable

_TAG = re.compile(r"<(\w+):([^>]+)>")


@dataclass(frozen=True)
class ParsedPrompt:
    """A prompt without its tags, and what they asked for."""

    text: str
    hypernetworks: list[tuple[str, float]] = field(default_factory=list)
    """(name, weight) in the order to be chained; a name may come twice and is then applied twice."""
    warnings: list[str] = field(default_factory=list)


def parse_prompt(prompt: str, default_weight: float = 1.0) -> ParsedPrompt:
    """Take the tags out of a prompt.

    Args:
        prompt: The positive prompt; tags of every kind are removed, the spaces around them stay.
        default_weight: For a tag without a weight.

    Returns:
        The rest and the hypernetworks. A weight that is no number turns all of them off, as in A1111.
    """
    found: list[tuple[str, float]] = []
    warnings: list[str] = []
    unreadable = False
    for kind, arguments in _TAG.findall(prompt):
        if kind != "hypernet":
            warnings.append(f"<{printable(kind, 40)}:…> is left out: only <hypernet:NAME:WEIGHT> can be used here.")
            continue
        name, *rest = arguments.split(":")
        weight = _weight(rest[0]) if rest else default_weight
        if weight is None:
            unreadable = True
            warnings.append(
                f"<hypernet:{printable(arguments, 80)}>: the weight is not a number, so no hypernetwork is used."
            )
        else:
            found.append((name, weight))
    return ParsedPrompt(_TAG.sub("", prompt), [] if unreadable else found, warnings)


def _weight(text: str) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if math.isfinite(weight) else None
