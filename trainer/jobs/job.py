"""What a job's function sees: what is asked for, and where it tells how far it is."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.project import Project, open_project
from trainer.run.control import Command, Commands
from trainer.run.events import Event, EventWriter
from trainer.run.folder import RunFolder
from trainer.run.signals import StopRequest

PHASE_S = 0.5
"""Shortest time between two `phase` events of one phase."""

COMMANDS_S = 0.2
"""Shortest time between two looks for commands."""


class JobStopped(Exception):
    """The user wants the job to stop; what was done stays done."""


@dataclass(frozen=True)
class Done:
    """What a job's function returns."""

    summary: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the `finished` event."""
    report: Any = None
    """What the command line prints, where it runs the job itself."""


class Job:
    """A job at work.

    Args:
        folder: Its folder.
        request: What is asked for.
        events: Its log.
        stop: Whether it should end; also set by the command `stop`.
        listen: Told every event.
    """

    def __init__(
        self,
        folder: RunFolder,
        request: Mapping[str, Any],
        events: EventWriter,
        stop: StopRequest,
        listen: Callable[[Event], None] | None = None,
    ) -> None:
        self.folder, self.request, self.stop = folder, request, stop
        self._events, self._listen = events, listen
        self._commands = Commands(folder, events)
        self._waiting: list[Command] = []
        self._looked_s = self._phase_s = float("-inf")
        self._phase_name = ""

    @cached_property
    def project(self) -> Project:
        """The project that the job belongs to."""
        return open_project(self.folder.project_root)

    def emit(self, kind: str, **payload: Any) -> None:
        """Write an event."""
        event = self._events.emit(kind, **payload)
        if self._listen is not None:
            self._listen(event)

    def phase(self, name: str, done: int, total: int, **more: Any) -> None:
        """Tell how far a part of the job is; as often as one likes.

        Raises:
            JobStopped: the user wants it.
        """
        now = time.monotonic()
        if name != self._phase_name or done >= total or now - self._phase_s >= PHASE_S:
            self.emit("phase", name=name, done=done, total=total, **more)
            self._phase_name, self._phase_s = name, now
        self.check()

    def item(self, name: str, status: str, detail: str = "", path: Path | None = None) -> None:
        """Tell what became of one picture.

        Args:
            name: The picture's file name.
            status: A word, e.g. "written", "unchanged", "failed".
            detail: The caption, the reason, or what to know.
            path: What was made.
        """
        self.emit("item", name=name, status=status, detail=detail, **({} if path is None else {"path": path}))

    def warn(self, message: str) -> None:
        """Tell what the user should know."""
        self.emit("warning", message=message)

    def check(self) -> None:
        """Look for commands and signals.

        Raises:
            JobStopped: the user wants it.
        """
        now = time.monotonic()
        if now - self._looked_s >= COMMANDS_S:
            self._looked_s = now
            for command in self._commands.take():
                if command.name == "stop":
                    self.stop.request()
                else:
                    self._waiting.append(command)
        if self.stop.requested:
            raise JobStopped

    def commands(self) -> list[Command]:
        """Return the commands that came since the last call, `stop` excepted.

        Raises:
            JobStopped: the user wants it.
        """
        self.check()
        taken, self._waiting = self._waiting, []
        return taken
