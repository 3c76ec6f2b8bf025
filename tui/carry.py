"""Taking a result to where it is used. What needs torch is done by `hypernet` itself; functions block."""

import contextlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from trainer.errors import AppError
from trainer.text import printable, without_options
from tui.paths import state_file

POLL_S = 0.1
_LAST_FOLDER = "install-folder"
Cancelled = Callable[[], bool]
"""Tells whether nobody waits any more."""


@dataclass(frozen=True)
class Installed:
    """What `hypernet install` did."""

    path: str
    tag: str
    was_there: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ExportOrder:
    """What `hypernet export` shall do."""

    checkpoint: Path
    kind: str
    model: str
    out: Path
    approximate: bool
    """Take the closest change of weights, where the network is none."""
    keep_bias: bool


def likely_folder() -> str:
    """Return the folder installed into last, else that of the drawing program that is found here; empty without one."""
    from trainer.programs import find_programs

    with contextlib.suppress(OSError, ValueError):
        last = state_file(_LAST_FOLDER).read_text(encoding="utf-8")
        if last and Path(last).is_dir():
            return last
    found = find_programs()
    return str(found[0].root) if found else ""


def install(
    checkpoint: Path, folder: str, name: str, cancelled: Cancelled = lambda: False, *, overwrite: bool = False
) -> Installed:
    """Install a checkpoint, and remember where.

    Raises:
        AppError: what the command said; `offers_overwrite` tells whether only a file of this name is in the way.
    """
    place = str(Path(folder.strip()).expanduser())
    more = ["--overwrite"] if overwrite else []
    told = _told(["install", str(checkpoint), "--to", place, "--name", name.strip(), *more, "--json"], cancelled)
    _remember(place)
    return Installed(
        printable(told["path"], 1000),
        printable(told["tag"], 300),
        bool(told["was_there"]),
        tuple(printable(note, 400) for note in told["notes"]),
    )


def offers_overwrite(error: AppError) -> bool:
    """Tell whether a refused installation would be done if it may replace a file."""
    return "--overwrite" in error.hint


def _remember(folder: str) -> None:
    from trainer.files import write_atomic

    file = state_file(_LAST_FOLDER)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(file, folder)
    except OSError as error:
        logging.getLogger(__name__).warning("%s could not be written: %s", file, error)


def export(order: ExportOrder, cancelled: Cancelled = lambda: False) -> list[str]:
    """Export a checkpoint; return what is to be said of it, line by line.

    Raises:
        AppError: what the command said, e.g. that something is in the way.
    """
    place = ["--to", order.kind, "--model", order.model, "--out", str(order.out)]
    more = [*(["--approximate"] if order.approximate else []), *([] if order.keep_bias else ["--drop-bias"])]
    told = _told(["export", str(order.checkpoint), *place, *more, "--json"], cancelled)
    lines = [str(told["path"]), ""]
    if told["approximation"]:
        off = told["approximation"]["prediction"]
        lines.append(f"The closest change: predictions are off by {off:.1%} of the network's effect.")
    what = "the closest change" if told["approximation"] else "the network"
    lines.append(f"Self-check: attention with the file differs from {what} by {told['error']:.2g} of the effect.")
    return [printable(line, 1000) for line in [*lines, *map(without_options, told["notes"])]]


def _told(arguments: Sequence[str], cancelled: Cancelled) -> dict[str, Any]:
    """Run `hypernet` and return the JSON that it printed."""
    command = [sys.executable, "-P", "-m", "trainer.cli.main", *arguments]
    with TemporaryFile() as out, TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        while process.poll() is None:
            if cancelled():
                process.terminate()
            time.sleep(POLL_S)
        said, complaint = (_text(file) for file in (out, err))
    if process.returncode != 0:
        raise _refusal(complaint)
    told: dict[str, Any] = json.loads(said)
    return told


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def _refusal(text: str) -> AppError:
    """Turn what a command printed back into the error that it was."""
    lines = [line for line in text.strip().split("\n") if line.strip()] or ["Failed: no reason was given."]
    first = next((place for place, line in enumerate(lines) if not line.startswith(" ")), 0)
    title, _, message = lines[first].partition(": ")
    return AppError(title, message or title, "\n".join(line.strip() for line in lines[first + 1 :]))
