"""Downloading a base model in another process, which ends when it is cancelled."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from trainer.errors import AppError
from trainer.text import printable

_SLICE_S = 0.2


class Cancelled(Exception):
    """The user didn't want the download any more."""


def fetch_model(name: str, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> Path:
    """Download a model from the Hub and return its folder or file. Blocks; belongs into a thread.

    Args:
        name: OWNER/NAME, or OWNER/NAME/FILE.
        progress: Told the bytes that have arrived, and the bytes in all.
        cancelled: Asked several times a second; files that are complete are kept.

    Raises:
        AppError: it can't be had; says why and what to do.
        Cancelled: `cancelled` said so.
    """
    last = ""
    command = [sys.executable, "-P", "-m", "trainer.base_model.fetch", name]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            for line in _lines(process, cancelled):
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    told = json.loads(line)
                    if "done" in told:
                        progress(int(told["done"]), int(told["total"]))
                last = line
        finally:
            process.terminate()
    return _result(name, last)


def _lines(process: "subprocess.Popen[bytes]", cancelled: Callable[[], bool]) -> Iterator[str]:
    assert process.stdout is not None
    handle, rest = process.stdout.fileno(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while True:
            if cancelled():
                raise Cancelled
            if not selector.select(_SLICE_S):
                continue
            piece = os.read(handle, 1 << 16)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode("utf-8", errors="replace") for line in lines)


def _result(name: str, line: str) -> Path:
    try:
        told = json.loads(line)
    except ValueError:
        told = {}
    if "path" in told:
        return Path(told["path"])
    if "title" in told:
        raise AppError(told["title"], told["message"], told["hint"])
    raise AppError(
        "Download broken off", f"{printable(name)}: the download ended without a word.", "Try again; nothing is lost."
    )
