"""The event log: one JSON object a line, appended whole by one writer, read by anybody at any time.

Every event has `v` (layout version), `seq` (1, 2, …), `t` (UTC seconds) and `kind`; the rest is its payload.
The file is ASCII, so a line never holds a raw line break or control character of its payload.
"""

import contextlib
import errno
import gc
import json
import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, cast

Event = dict[str, Any]
VERSION = 1
RESERVED = frozenset({"v", "seq", "t", "kind"})
HEAD_BYTES = 1 << 16
TAIL_BYTES = 1 << 18
"""How much of a long log is looked at where its whole story isn't needed."""
_read_json = json.JSONDecoder().raw_decode
_log = logging.getLogger(__name__)


class Emitter(Protocol):
    """Whatever takes events: the log itself, or the way to it."""

    def emit(self, kind: str, **payload: Any) -> Event:
        """Take one event and return it."""


class EventWriter:
    """Appends events to a log; may be used from several threads, by one process at a time.

    A log that exists is continued: `seq` goes on, and a last line cut by a crash is closed first.

    Args:
        path: The log; made with mode 0600 when absent.
        clock: Gives UTC seconds.

    Raises:
        OSError: the log cannot be opened.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._guard = threading.Lock()
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._seq, self._torn = _end_of(path)
        self.last_t = clock()
        """When the last event was written, in UTC seconds."""

    def emit(self, kind: str, **payload: Any) -> Event:
        """Append one event and return it.

        Numbers that are not finite are written as "nan", "inf" and "-inf", paths as text.

        Raises:
            OSError: the event could not be written, e.g. as the disk is full; the log is then as it was.
            ValueError: the payload uses a reserved name.
        """
        if RESERVED & payload.keys():
            raise ValueError(f"an event's payload may not use {sorted(RESERVED & payload.keys())}")
        with self._guard:
            now = self._clock()
            event = {"v": VERSION, "seq": self._seq + 1, "t": round(now, 3), "kind": kind, **payload}
            self._append(encode_event(event))
            self._seq += 1
            self.last_t = now
        return event

    def _append(self, line: bytes) -> None:
        size = os.fstat(self._handle).st_size
        data = b"\n" + line if self._torn else line
        written = os.write(self._handle, data)
        if written < len(data):
            # A full disk takes what still fits: take the piece back, so that no reader meets half an event.
            try:
                os.truncate(self._path, size)
            except OSError as error:
                self._torn = True
                _log.warning("an event was cut short and could not be taken back: %s", error)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._torn = False

    def close(self) -> None:
        """Close the log; no event may follow."""
        os.close(self._handle)

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventReader:
    """Reads a log piece by piece, from its beginning and then what was appended.

    An unfinished last line is left for later; lines that are no event are skipped and counted in `skipped`.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self.offset = offset
        """How much was read, in bytes; always just after a line break."""
        self.skipped = 0
        """Lines that could not be read."""

    def new(self, most_bytes: int = -1) -> list[Event]:
        """Return the events that were appended since the last call; none while there is no log.

        Args:
            most_bytes: Read no further than this; the rest is left for the next call.

        Raises:
            OSError: the log exists but cannot be read.
        """
        try:
            with open(self._path, "rb") as file:
                file.seek(self.offset)
                data = file.read(most_bytes)
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self.offset += end
        events, skipped = _decode(data[:end])
        self.skipped += skipped
        return events


def log_size(path: Path) -> int:
    """Return a log's length in bytes; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def read_events(path: Path) -> list[Event]:
    """Return all complete events of a log; none when there is no log."""
    return EventReader(path).new()


def read_outline(path: Path, *kinds: str) -> list[Event]:
    """Return the events of some kinds, the one before each and the last, quickly: other lines are passed over unread.

    The one before tells how long a worker was at it that was gone when the next event was written.
    """
    wanted = re.compile(f'"kind":"(?:{"|".join(kinds)})"'.encode()).search
    kept = [b""]
    before = b""
    try:
        with open(path, "rb") as file:
            for line in file:
                if wanted(line):
                    kept += [line] if kept[-1] is before else [before, line]
                before = line
    except FileNotFoundError:
        return []
    found = b"".join(kept if kept[-1] is before else [*kept, before])
    return _decode(found[: found.rfind(b"\n") + 1])[0]


def skim_events(
    path: Path, enough: Callable[[Event], bool], head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES
) -> tuple[list[Event], list[Event]]:
    """Return the events at the beginning and at the end of a log; the middle of a long one is left out.

    Args:
        path: The log.
        enough: The end is made longer until it holds an event for which this is true.
        head_bytes: Length of the beginning.
        tail_bytes: Least length of the end.

    Returns:
        Both pieces; all events and nothing when none had to be left out.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            while size > head_bytes + tail_bytes:
                tail, _ = _decode(_piece(file, size - tail_bytes, size))
                if any(map(enough, tail)):
                    return _decode(_piece(file, 0, head_bytes))[0], tail
                tail_bytes *= 4
            return _decode(_piece(file, 0, size))[0], []
    except FileNotFoundError:
        return [], []


def _piece(file: Any, start: int, end: int) -> bytes:
    """Return the whole lines that begin and end within a range of bytes."""
    file.seek(max(0, start - 1))
    data: bytes = file.read(end - max(0, start - 1))
    begin = 0 if start == 0 else data.find(b"\n") + 1
    return data[begin : data.rfind(b"\n") + 1]


def _decode(data: bytes) -> tuple[list[Event], int]:
    lines = data.decode("utf-8", errors="replace").split("\n")[:-1]
    with collector_off():
        events = [event for event in map(_event, lines) if event is not None]
    return events, len(lines) - len(events)


def _event(line: str) -> Event | None:
    try:
        event, end = _read_json(line)
        if end == len(line) and isinstance(event["kind"], str) and isinstance(event["t"], (int, float)):
            return cast(Event, event)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return None


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Keep Python from searching for garbage among a hundred thousand new events: it halves the time to read them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def encode_event(event: Event) -> bytes:
    """Return an event as a line of the log."""
    try:
        text = json.dumps(event, allow_nan=False, separators=(",", ":"), default=_plain)
    except ValueError:
        text = json.dumps(_finite(event), allow_nan=False, separators=(",", ":"), default=_plain)
    return text.encode("ascii") + b"\n"


def _plain(value: Any) -> Any:
    """Write what JSON doesn't know: zero-dimensional arrays as numbers, sets as lists, the rest as text."""
    if callable(getattr(value, "item", None)):
        return _finite(value.item())
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _end_of(path: Path) -> tuple[int, bool]:
    """Return the last `seq` of a log and whether its last line is unfinished."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - 1))
        torn = file.read() not in (b"", b"\n")
    head, tail = skim_events(path, _is_numbered, 0)
    return next((event["seq"] for event in reversed(head + tail) if _is_numbered(event)), 0), torn


def _is_numbered(event: Event) -> bool:
    return isinstance(event.get("seq"), int)
