"""What the data commands print."""

import json
import sys
from collections.abc import Callable
from typing import Any

import typer

MARKS = {"fine": "ok  ", "warning": "note", "left-out": "LEFT"}
"""The sign before a picture's line, by verdict."""


def progress_line(verb: str) -> Callable[[int, int, object], None] | None:
    """Return a function that keeps one line up to date on a terminal; None where there is no terminal."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int, latest: object) -> None:
        end = "\n" if done == total else ""
        print(f"\r{verb} {done}/{total}", end=end, file=sys.stderr, flush=True)

    return show


def print_histogram(title: str, counts: dict[str, int]) -> None:
    """Print the counts that are not 0, as bars of at most 40 signs."""
    typer.echo(f"{title}:")
    most = max(counts.values(), default=0)
    for label, count in counts.items():
        if count:
            typer.echo(f"  {label:>14} {'#' * max(1, 40 * count // most)} {count}")


def print_warnings(warnings: tuple[str, ...]) -> None:
    """Print warnings to stderr, each a line."""
    for warning in warnings:
        typer.echo(f"Warning: {warning}", err=True)


def print_json(tree: dict[str, Any]) -> None:
    """Print one JSON object; paths become strings, and odd file names stay ASCII."""
    typer.echo(json.dumps(tree, default=str))
