"""The last line of a screen: at most six keys; those that can't act now are dim."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widgets import Static

MOST_KEYS = 6


@dataclass(frozen=True)
class Hint:
    """One key of the line."""

    key: str
    description: str
    action: str
    """What a click does, with its namespace, e.g. "screen.pause"."""
    can_act: bool


class KeyLine(Static):
    """Shows keys and what they do; a click does the same."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._hints: list[Hint] = []

    def show(self, hints: Sequence[Hint]) -> None:
        """Show other keys.

        Raises:
            ValueError: there are more than a person can take in.
        """
        if len(hints) > MOST_KEYS:
            raise ValueError(f"{len(hints)} keys; a footer shows {MOST_KEYS} at most")
        if list(hints) == self._hints:
            return
        self._hints = list(hints)
        self.update(Content("  ").join(_content(hint) for hint in hints))


def _content(hint: Hint) -> Content:
    style = "" if hint.can_act else "[dim]"
    markup = f"[@click={hint.action}]{style}[b $primary]$key[/] $text"
    return Content.from_markup(markup, key=hint.key, text=hint.description)
