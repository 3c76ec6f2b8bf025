"""Questions to the user, and what is waited for meanwhile: an answer, the time, free memory or disk."""

import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from trainer.faults import FaultKind
from trainer.recovery.circumstances import free_vram
from trainer.recovery.decide import Circumstances, Decision
from trainer.recovery.disk_log import PatientWriter
from trainer.recovery.fault import Fault
from trainer.recovery.options import STOP, WAIT_DISK, WAIT_MEMORY, Option
from trainer.run.control import Commands
from trainer.run.folder import RunFolder
from trainer.run.signals import StopRequest

POLL_S = 0.2
LEAST_ROOM_BYTES = 16 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What was chosen, and by whom."""

    option: Option
    by: str
    """user, policy or time-out."""


class Desk:
    """Asks, and waits for the answer.

    Args:
        folder: The run.
        events: Its log.
        stop: A signal to stop answers any question.
    """

    def __init__(self, folder: RunFolder, events: PatientWriter, stop: StopRequest) -> None:
        self._folder = folder
        self._events = events
        self._stop = stop
        self._commands = Commands(folder, events)

    def ask(
        self, fault: Fault, decision: Decision, text: str, lost: str, answer_s: float, now: Circumstances
    ) -> Answer:
        """Ask and return the answer; with `answer_s` 0 wait as long as it takes."""
        default = decision.default or STOP
        question = secrets.token_hex(4)
        self._events.emit(
            "question",
            id=question,
            about=str(fault.kind),
            step=fault.step,
            text=text,
            lost=lost,
            choices=[option.id for option in decision.choices],
            default=default.id,
            deadline_t=round(time.time() + answer_s, 3) if answer_s else None,
            options=[option.as_dict() for option in decision.choices],
            details=dict(fault.details),
        )
        deadline = time.monotonic() + answer_s if answer_s else None
        room = self._room_condition(fault) if fault.kind is FaultKind.DISK else None
        answer = self._wait(question, decision, default, deadline, room)
        if answer.option == WAIT_MEMORY:
            answer = self._wait(question, decision, WAIT_MEMORY, None, self._memory_condition(fault, now))
        self._events.emit("answered", id=question, choice=answer.option.id, by=answer.by)
        return answer

    def _wait(
        self,
        question: str,
        decision: Decision,
        default: Option,
        deadline: float | None,
        condition: Callable[[], bool] | None,
    ) -> Answer:
        """Wait for an answer, the deadline, or a condition that answers with the default."""
        while not self._stop.requested:
            for command in self._commands.take(("answer", "stop", "resume", "pause")):
                if command.name == "stop":
                    return Answer(STOP, "user")
                chosen = command.fields.get("choice", default.id if command.name == "resume" else "")
                option = next((each for each in decision.choices if each.id == chosen), None)
                if command.name == "answer" and command.fields["question"] not in (question, ""):
                    option = None
                # "Wait" is what goes on already where a condition is waited for.
                if option is not None and not (condition and option in (WAIT_DISK, WAIT_MEMORY)):
                    return Answer(option, "user")
            if condition is not None and condition():
                return Answer(default, "policy")
            if deadline is not None and time.monotonic() >= deadline:
                return Answer(default, "time-out")
            self._events.retry()
            self._stop.wait(POLL_S)
        return Answer(STOP, "user")

    def _room_condition(self, fault: Fault) -> Callable[[], bool]:
        needed = max(LEAST_ROOM_BYTES, int(fault.details.get("needed_bytes") or 0))
        place = str(fault.details.get("folder") or self._folder.path)

        def has_room() -> bool:
            try:
                figures = os.statvfs(place)
            except OSError as error:
                _log.warning("free space of %s is unknown: %s", place, error)
                return False
            return figures.f_bavail * figures.f_frsize >= needed

        return has_room

    def _memory_condition(self, fault: Fault, now: Circumstances) -> Callable[[], bool]:
        needed = now.needed_bytes or int(fault.details.get("asked_bytes") or 0) * 2

        def has_memory() -> bool:
            free = free_vram(now.config)
            return free is not None and free >= needed

        return has_memory
