"""Captions from file names, by A1111's rule (`modules/textual_inversion/dataset.py`, v1.10.1)."""

import re

from trainer.captions.patterns import all_found
from trainer.text import printable

_NUMBER_AT_START = re.compile(r"^[-\d]+\s*")


def words_of(stem: str, regex: str = "", join: str = " ") -> str:
    """Return the words of a file name without extension.

    A leading run of digits and hyphens with the spaces after it goes, which also removes the
    "00012-0-" of training pictures; what `regex` finds in the rest is joined by `join`.

    Args:
        stem: File name without extension.
        regex: A1111's "filename word regex"; empty takes all.
        join: A1111's "filename join string".

    Raises:
        AppError: `regex` is no regular expression, or takes too long.
    """
    text = _NUMBER_AT_START.sub("", stem)
    if not regex:
        return text
    found = all_found(
        regex,
        text,
        where=f'data.filename_regex is "{printable(regex, 60)}"',
        hint=r"Write one such as \w+ (every word), or leave it empty to take the whole name.",
    )
    return join.join(found)
