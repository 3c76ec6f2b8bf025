"""Events from a worker to its supervisor: a line of JSON each, through a pipe that only the two know."""

import json
import os
import threading
import time
from typing import Any

from trainer.run.events import VERSION, Event, encode_event

FAULT = "fault"
"""A kind that never reaches the log: what ended the worker, for the supervisor to judge."""


RESTART = "restart"
"""The other such kind: the user wants other settings, with which the next worker goes on."""


class EventPipe:
    """The worker's end: takes events as `EventWriter` does; may be used from several threads.

    Args:
        handle: The pipe's file descriptor; not passed on to programs that the worker starts.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._guard = threading.Lock()
        self.last_t = time.time()
        os.set_inheritable(handle, False)

    def emit(self, kind: str, **payload: Any) -> Event:
        """Send one event.

        Raises:
            BrokenPipeError: the supervisor is gone; the worker should be, too.
        """
        event: Event = {"kind": kind, **payload}
        data = encode_event(event)
        now = time.time()
        with self._guard:
            while data:
                data = data[os.write(self._handle, data) :]
            self.last_t = now
        return {"v": VERSION, "seq": 0, "t": round(now, 3), **event}


class EventSource:
    """The supervisor's end: events in order; a last line that was cut by the worker's death is dropped."""

    def __init__(self, handle: int) -> None:
        os.set_blocking(handle, False)
        self.handle = handle
        self.open = True
        """Whether the worker still has its end."""
        self._rest = b""

    def new(self) -> list[Event]:
        """Return what has arrived."""
        while self.open:
            try:
                data = os.read(self.handle, 1 << 16)
            except BlockingIOError:
                break
            self.open = bool(data)
            self._rest += data
            if len(self._rest) > 1 << 22:
                break
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Give the pipe up."""
        os.close(self.handle)
