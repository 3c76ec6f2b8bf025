"""A text field that takes keys in the order they were typed."""

from textual import events
from textual.widgets import Input


class PromptInput(Input):
    """A text field for slow lines.

    Letters reach a plain `Input` at once, but Backspace and the like only after a way round by the app: in a burst
    of keys, as SSH delivers them, "Backspace 7" would insert the 7 and then delete it.
    """

    async def _on_key(self, event: events.Key) -> None:
        bound = self._bindings.key_to_bindings.get(event.key, ())
        if not bound:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        for binding in bound:
            await self.run_action(binding.action)
