"""Taking a result to where it is used. What needs torch is done by `hypernet` itself; functions block."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import AppError
from trainer.text import printable

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Installed:
    """What `hypernet install` did."""

    path: str
    tag: str
    was_there: bool
    notes: tuple[str, ...]


def likely_folder() -> str:
    """Return the folder of the drawing program that is found here; empty without one."""
    from trainer.programs import find_programs

    found = find_programs()
    return str(found[0].root) if found else ""


def install(checkpoint: Path, folder: str, name: str) -> Installed:
    """Install a checkpoint.

    Raises:
        AppError: what the command said.
    """
    told = _told(["install", str(checkpoint), "--to", str(Path(folder).expanduser()), "--name", name.strip(), "--json"])
    return Installed(
        printable(told["path"], 1000),
        printable(told["tag"], 300),
        bool(told["was_there"]),
        tuple(printable(note, 400) for note in told["notes"]),
    )


def _told(arguments: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "trainer.cli.main", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise AppError("No answer", f"`hypernet {arguments[0]}` took too long.", "Try it in a shell.") from None
    if done.returncode != 0:
        raise _refusal(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _refusal(text: str) -> AppError:
    """Turn what a command printed back into the error that it was."""
    lines = [line for line in text.strip().split("\n") if line.strip()] or ["Failed: no reason was given."]
    first = next((place for place, line in enumerate(lines) if not line.startswith(" ")), 0)
    title, _, message = lines[first].partition(": ")
    return AppError(title, message or title, "\n".join(line.strip() for line in lines[first + 1 :]))
