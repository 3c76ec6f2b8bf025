"""Keys act one after the other, each where those before it have left the focus.

Textual puts a key into the focused widget's queue and carries out most of what it means when it has come back to the
app, where the focus then is; a field that is left tells so by messages that take as long. What is typed fast, as keys
come over a slow connection, would act on the field or screen before.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from textual.app import App
from textual.events import Event
from textual.message_pump import MessagePump

TRIPS = 4
"""A key's longest way: it comes back to the app, the app tells the field, the field the screen, the screen the app."""
PATIENCE_S = 1.0
"""Where a widget went away with what it was asked, the next key waits no longer."""


class KeyOrder:
    """Holds keys back until the one before is done.

    Args:
        app: The program.
        deliver: What Textual does with a key.
    """

    def __init__(self, app: App[None], deliver: Callable[[Event], Awaitable[None]]) -> None:
        self._app, self._deliver = app, deliver
        self._waiting: deque[Event] = deque()
        self._number = 0
        self._is_busy = False

    async def take(self, event: Event) -> None:
        """Deliver a key, or what was pasted, as soon as those before are done."""
        self._waiting.append(event)
        if not self._is_busy:
            await self._next(self._number)

    async def _next(self, number: int) -> None:
        if number != self._number:  # it took too long, and is no longer waited for
            return
        self._number += 1
        self._is_busy = bool(self._waiting)
        if self._waiting:
            await self._deliver(self._waiting.popleft())
            asyncio.get_running_loop().call_later(PATIENCE_S, self._app.call_later, self._next, self._number)
            self._travel(self._number, TRIPS)

    def _travel(self, number: int, trips: int) -> None:
        """Go through the queues of the focused widget and of all above it, behind what is in them by now."""
        if trips:
            focused = self._app.focused or self._app.screen
            self._hop(number, trips, focused.ancestors_with_self)
        elif self._app.screen._layout_required:  # the order of fields is that of their places
            self._app.screen.call_after_refresh(self._app.call_later, self._next, number)
        else:
            self._app.call_later(self._next, number)

    def _hop(self, number: int, trips: int, way: Sequence[MessagePump]) -> None:
        for place, pump in enumerate(way):
            if pump.call_later(self._hop, number, trips, way[place + 1 :]):
                return
        self._travel(number, trips - 1)
