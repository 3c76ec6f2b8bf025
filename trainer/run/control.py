"""Commands to a worker: a file each, renamed into `control/`, obeyed between steps, acknowledged by an event.

The supervisor takes `stop` itself, at once, whatever the worker is doing.
"""

import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.run.events import Emitter
from trainer.run.folder import RunFolder
from trainer.schedule import parse_learning_rate
from trainer.text import nearest, printable

_MOST_BYTES = 1 << 20
_log = logging.getLogger(__name__)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _rate(value: Any) -> str:
    parse_learning_rate(_text(value))
    return _text(value)


def _object(value: Any) -> str:
    if not isinstance(json.loads(_text(value)), dict):
        raise ValueError("must be a JSON object")
    return _text(value)


COMMANDS: Mapping[str, Mapping[str, Callable[[Any], str]]] = {
    "pause": {},
    "resume": {},
    "save": {},
    "preview": {},
    "stop": {},
    "answer": {"question": _text, "choice": _text},
    "set_learning_rate": {"value": _rate},
    "set_preview_prompt": {"value": _text},
    "draw": {"request": _object},
    "change_settings": {"value": _text},
}
"""The commands and what each must be told."""


@dataclass(frozen=True)
class Command:
    """What a user wants of the worker."""

    id: str
    name: str
    fields: Mapping[str, str]


def send(folder: RunFolder, command: str, **fields: str) -> str:
    """Hand a command to a run's worker.

    Args:
        folder: The run.
        command: A name from `COMMANDS`.
        fields: What the command must be told, e.g. `value="5e-6"`.

    Returns:
        The command's id, which its `ack` event repeats.

    Raises:
        AppError: a field cannot be used, or the folder cannot be written.
        ValueError: no such command.
    """
    try:
        checked = _checked(command, fields)
    except ValueError as error:
        if command not in COMMANDS:
            raise
        raise AppError("Unusable value", f"{error}.", "") from None
    # Ids sort by time, so that commands are obeyed in the order they were given.
    command_id = f"{time.time_ns():020d}-{secrets.token_hex(3)}"
    text = json.dumps({"command": command, **checked}) + "\n"
    try:
        folder.control.mkdir(mode=0o700, exist_ok=True)
        write_atomic(folder.control / f"{command_id}.json", text)
    except OSError as error:
        raise AppError(
            "Command not delivered",
            f"{printable(folder.control)}: {error.strerror}.",
            "The run itself is unharmed; SIGTERM to its worker makes it save and stop.",
        ) from None
    return command_id


def _checked(command: str, fields: Mapping[str, Any]) -> dict[str, str]:
    if command not in COMMANDS:
        raise ValueError(f"there is no command {printable(command, 60)!r}.{nearest(command, COMMANDS)}")
    wanted = COMMANDS[command]
    if fields.keys() != wanted.keys():
        raise ValueError(f"{command} takes {', '.join(wanted) or 'no fields'}, not {', '.join(fields) or 'none'}")
    checked = {}
    for name, check in wanted.items():
        try:
            checked[name] = check(fields[name])
        except ValueError as error:
            raise ValueError(f"{command}: {name} {error}") from None
    return checked


class Commands:
    """The worker's end: commands in the order they were given, each once."""

    def __init__(self, folder: RunFolder, writer: Emitter) -> None:
        self._folder = folder
        self._writer = writer

    def take(self, only: Collection[str] = COMMANDS) -> list[Command]:
        """Return the commands that arrived, acknowledge them and remove their files.

        A file that is no command is renamed to end in `.bad` and told as a warning.

        Args:
            only: Names of the commands to take; others stay for whoever comes later.
        """
        found = (self._take(path, only) for path in _waiting(self._folder))
        return [command for command in found if command is not None]

    def _take(self, path: Path, only: Collection[str]) -> Command | None:
        try:
            command = _read(path)
            if command.name not in only:
                return None
            # Worker and supervisor both look here: a command is whose who removes its file.
            path.unlink()
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            self._put_aside(path, error)
            return None
        # A full disk must not keep a worker from obeying, least of all "stop".
        self._tell("ack", id=command.id, command=command.name, **command.fields)
        return command

    def _put_aside(self, path: Path, error: Exception) -> None:
        # A file in place of a command can be anything; it is renamed so that it is judged once.
        try:
            path.rename(path.with_suffix(".bad"))
        except OSError as problem:
            _log.warning("%s cannot be put aside: %s", path, problem)
            return
        reason = f"{printable(path.name, 80)} is no command: {printable(error, 200)}"
        self._tell("warning", message=f"{reason}; it was put aside as .bad")

    def _tell(self, kind: str, **fields: str) -> None:
        try:
            self._writer.emit(kind, **fields)
        except OSError as error:
            _log.warning("%s %s could not be written down: %s", kind, fields, error)


def _waiting(folder: RunFolder) -> list[Path]:
    try:
        names = sorted(name for name in os.listdir(folder.control) if name.endswith(".json") and name[0] != ".")
    except FileNotFoundError:
        return []
    return [folder.control / name for name in names]


def _read(path: Path) -> Command:
    facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("not a regular file")
    if facts.st_size > _MOST_BYTES:
        raise ValueError("too long")
    try:
        tree = json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("command"), str):
        raise ValueError("not an object with a command")
    name = tree.pop("command")
    return Command(path.stem, name, _checked(name, tree))


def discard(folder: RunFolder) -> None:
    """Remove commands that a worker which is gone never took: they were not meant for the next one."""
    for path in _waiting(folder):
        path.unlink(missing_ok=True)
