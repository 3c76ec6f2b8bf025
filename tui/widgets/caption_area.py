"""Some lines of text that take keys in the order they were typed."""

from dataclasses import dataclass

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from trainer.text import is_hidden


class CaptionArea(TextArea):
    """A caption being edited; Page Up and Page Down ask for another picture's."""

    @dataclass
    class Turned(Message):
        """The user wants to edit the caption of another picture."""

        by: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, soft_wrap=True, tab_behavior="focus", show_line_numbers=False, compact=True)

    def render_line(self, y: int) -> Strip:
        """Return one line, without what would control the terminal; such characters take no cells anyway."""
        strip = super().render_line(y)
        if strip.text.isprintable():
            return strip
        shown = [
            Segment("".join(c for c in text if not is_hidden(c)), style, control) for text, style, control in strip
        ]
        return Strip(shown, strip.cell_length)

    async def _on_key(self, event: events.Key) -> None:
        # As in PromptInput: a bound key must not be overtaken by a letter typed after it.
        if event.key in ("pageup", "pagedown"):
            event.stop()
            event.prevent_default()
            self.post_message(self.Turned(1 if event.key == "pagedown" else -1))
            return
        bound = self._bindings.key_to_bindings.get(event.key, ())
        if not bound:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        for binding in bound:
            await self.run_action(binding.action)
