"""Edit many captions at once: pure functions from texts to those texts that change.

Captions go by their pictures' file names. Tags are what stands between commas.
"""

import re
from collections import Counter
from collections.abc import Mapping

from trainer.captions.patterns import substituted
from trainer.text import printable

Texts = Mapping[str, str]


def replaced(texts: Texts, find: str, by: str, *, regex: bool = False, ignore_case: bool = False) -> dict[str, str]:
    """Return the captions that change when `find` is replaced by `by`.

    Args:
        texts: All captions.
        find: A text, or a regular expression; empty finds nothing.
        by: What takes its place; with `regex` it may hold groups such as `\\1`.
        regex: Read `find` as a regular expression.
        ignore_case: Take capital and small letters for the same.

    Raises:
        AppError: `find` is no regular expression or takes too long, or `by` names a group that it doesn't have.
    """
    if not find:
        return {}
    after = substituted(
        find if regex else re.escape(find),
        by if regex else _literal(by),
        texts,
        ignore_case=ignore_case,
        where=f"“{printable(find, 60)}” → “{printable(by, 60)}”",
        hint=r"Write one such as (\w+) at sea, and \1 for the first group in what replaces it.",
    )
    return _changed(texts, after)


def with_prefix(texts: Texts, prefix: str) -> dict[str, str]:
    """Return the captions that change when those without it get a prefix; it is written as it is."""
    return _changed(texts, {n: text if text.startswith(prefix) else f"{prefix}{text}" for n, text in texts.items()})


def with_suffix(texts: Texts, suffix: str) -> dict[str, str]:
    """Return the captions that change when those without it get a suffix; it is written as it is."""
    return _changed(texts, {n: text if text.endswith(suffix) else f"{text}{suffix}" for n, text in texts.items()})


def tags_of(text: str) -> list[str]:
    """Return a caption's tags in order, without the white space around them."""
    return [tag for tag in (part.strip() for part in text.split(",")) if tag]


def tag_counts(texts: Texts) -> list[tuple[str, int]]:
    """Return every tag and how many captions have it, the most frequent first."""
    counts = Counter(tag for text in texts.values() for tag in dict.fromkeys(tags_of(text)))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0].casefold(), item[0]))


def without_tag(texts: Texts, tag: str) -> dict[str, str]:
    """Return the captions that change when a tag is removed."""
    wanted = tag.strip()
    having = {name: tags for name, text in texts.items() if wanted in (tags := tags_of(text))}
    return {name: ", ".join(each for each in tags if each != wanted) for name, tags in having.items()}


def sorted_tags(texts: Texts, *, by_count: bool = False) -> dict[str, str]:
    """Return the captions that change when their tags are sorted, each tag being kept once.

    Args:
        texts: All captions.
        by_count: The most frequent tag first, instead of by the alphabet.
    """
    rank = {tag: place for place, (tag, _) in enumerate(tag_counts(texts))} if by_count else {}
    return _changed(
        texts,
        {
            name: ", ".join(sorted(dict.fromkeys(tags_of(text)), key=lambda tag: (rank.get(tag, 0), tag.casefold())))
            for name, text in texts.items()
        },
    )


def _literal(text: str) -> str:
    return text.replace("\\", r"\\")


def _changed(before: Texts, after: Texts) -> dict[str, str]:
    return {name: text for name, text in after.items() if text != before[name]}
