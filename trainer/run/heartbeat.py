"""Signs of life from a worker, also while it loads for minutes."""

import logging
import threading
import time
from types import TracebackType

from trainer.run.events import EventWriter

HEARTBEAT_S = 5.0
"""Longest silence of a living worker, in seconds."""

_log = logging.getLogger(__name__)


class Heartbeat:
    """A thread that writes a `heartbeat` whenever nothing else was written for a while.

    It runs while the worker loads, too. Used as a context manager.

    Args:
        writer: The worker's own log.
        every_s: Longest silence in seconds.
    """

    def __init__(self, writer: EventWriter, every_s: float = HEARTBEAT_S) -> None:
        self._writer = writer
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def _beat(self) -> None:
        wait_s = self._every_s
        while not self._ended.wait(wait_s):
            quiet_s = time.time() - self._writer.last_t
            if 0 <= quiet_s < self._every_s:
                wait_s = self._every_s - quiet_s
                continue
            wait_s = self._every_s
            try:
                self._writer.emit("heartbeat")
            except OSError as error:
                _log.warning("no heartbeat could be written: %s", error)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
