"""A field for a path, completed as it is typed: Right takes what is offered, Tab what all that fits begins with."""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import Suggester

from trainer.text import is_hidden
from tui.paths import candidates, completed
from tui.widgets.fields import Check, FieldChanged, TextField


class _PathSuggester(Suggester):
    def __init__(self, suffixes: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._suffixes = suffixes

    async def get_suggestion(self, value: str) -> str | None:
        """Complete a path, where it can be shown as it is; the disk may be slow, so a thread looks."""
        offered = next(iter(await asyncio.to_thread(candidates, value, self._suffixes)), "")
        return None if not offered or any(map(is_hidden, offered)) else offered


class PathField(TextField):
    """A path that is typed.

    Args:
        help_text: What the field is for, in a sentence.
        check: What is wrong with a text.
        suffixes: Of files that may be chosen; folders only when left out.
        options: As of any text field.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", show=False)]

    def __init__(self, help_text: str, check: Check, *, suffixes: Sequence[str] = (), **options: Any) -> None:
        super().__init__(help_text, check, suggester=_PathSuggester(suffixes), **options)
        self._suffixes = suffixes

    def on_mount(self) -> None:
        """Suggest nothing where no colour could tell it from what is typed."""
        if self.app.no_color:
            self.suggester = None

    async def action_complete(self) -> None:
        """Complete the name that was begun; where none was, or nothing fits, go on to the next field."""
        offered = await asyncio.to_thread(completed, self.meant, self._suffixes) if self._at_end else ""
        if offered:
            self.set_quietly(offered)
            self.post_message(FieldChanged(self))
        else:
            self.screen.focus_next()

    @property
    def _at_end(self) -> bool:
        return bool(self.value) and self.cursor_position >= len(self.value)
