"""The run's log on a disk that may be full: events wait in memory until there is room."""

import logging
from collections import deque
from types import TracebackType
from typing import Any

from trainer.files import write_atomic
from trainer.run.events import Event, EventWriter
from trainer.run.folder import RunFolder

RESERVE_BYTES = 1 << 18
_log = logging.getLogger(__name__)


class PatientWriter:
    """Writes a run's events, and keeps those for later that a full disk refuses.

    A reserve file only takes up room: it is given back when the disk is full, so that this can be written down.

    Raises:
        OSError: the log can't be opened.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.writer = EventWriter(folder.events_file)
        self.last_told = ""
        """Kind of the last event."""
        self._reserve = folder.path / ".reserve"
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self.keep_reserve()

    def keep_reserve(self) -> None:
        """Set the reserve aside, where there is room."""
        try:
            write_atomic(self._reserve, bytes(RESERVE_BYTES))
        except OSError as error:
            self._reserve.unlink(missing_ok=True)
            _log.warning("no reserve: %s", error)

    def emit(self, kind: str, **payload: Any) -> Event:
        """Write an event, after those that wait."""
        self.last_told = kind
        self._waiting.append((kind, payload))
        self.retry()
        return {"kind": kind, **payload}

    def retry(self) -> None:
        """Write what waits, as far as there is room."""
        while self._waiting:
            kind, payload = self._waiting[0]
            try:
                self.writer.emit(kind, **payload)
            except OSError as error:
                if self._reserve.exists():
                    self._reserve.unlink()
                    continue
                _log.warning("%s waits for room on the disk: %s", kind, error)
                return
            self._waiting.popleft()

    def __enter__(self) -> "PatientWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.retry()
        self._reserve.unlink(missing_ok=True)
        self.writer.close()
