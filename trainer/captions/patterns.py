"""Regular expressions that a user wrote: searched with patience that ends.

Some take longer than anybody lives. Python's own `re` can't be interrupted then, and lets no other thread run.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import regex

from trainer.errors import AppError

PATIENCE_S = 3.0
"""Longest time that is spent on one search; sane patterns take milliseconds for thousands of captions."""


def all_found(pattern: str, text: str, *, where: str, hint: str) -> list[str]:
    """Return what a pattern finds in a text: each match, or where there are groups these joined.

    Args:
        pattern: The regular expression.
        text: Where to look.
        where: What to call the pattern in a message.
        hint: What to write instead.

    Raises:
        AppError: it is no regular expression, or takes too long.
    """
    with _reporting(where, hint):
        found = regex.compile(pattern).findall(text, timeout=PATIENCE_S)
        return [match if isinstance(match, str) else "".join(match) for match in found]


def substituted(
    pattern: str, by: str, texts: Mapping[str, str], *, ignore_case: bool = False, where: str, hint: str
) -> dict[str, str]:
    """Return all texts with what a pattern finds replaced; the patience is for all of them together.

    Args:
        pattern: The regular expression.
        by: What takes its place; it may hold groups such as `\\1`.
        texts: Where to look, by name.
        ignore_case: Take capital and small letters for the same.
        where: What to call the pattern in a message.
        hint: What to write instead.

    Raises:
        AppError: it is no regular expression, names a group that it doesn't have, or takes too long.
    """
    with _reporting(where, hint):
        compiled = regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
        end_s = time.monotonic() + PATIENCE_S
        return {
            name: str(compiled.sub(by, text, timeout=max(0.0, end_s - time.monotonic())))
            for name, text in texts.items()
        }


def problem_of(pattern: str, by: str = "") -> str:
    """Return why a pattern is no regular expression, or can't be replaced by a text; empty where it is and can.

    Args:
        pattern: The regular expression.
        by: What takes the place of what it finds; it may hold groups such as `\\1`.
    """
    try:
        regex.compile(pattern)
        # Finds nothing at least, as a replacement is read only where something is found.
        regex.compile(f"(?:{pattern}\n)|").sub(by, "")
    except regex.error as error:
        place = "" if error.pos is None else f"at character {error.pos + 1}: "
        return f"{place}{error.msg}"
    except IndexError as error:
        return str(error)
    return ""


@contextmanager
def _reporting(where: str, hint: str) -> Iterator[None]:
    try:
        yield
    except (regex.error, IndexError) as error:
        raise AppError("Bad regular expression", f"{where}: {error}.", hint) from None
    except TimeoutError:
        raise AppError(
            "The regular expression takes too long",
            f"{where}: still searching after {PATIENCE_S:g} s.",
            "Write it so that a text fits in one way only: a+ instead of (a|aa)+.",
        ) from None
