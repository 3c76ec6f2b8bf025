"""What `hypernet caption` prints, and its `--set`."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Any

import typer

from trainer.cli.output import MARKS, print_json, print_warnings
from trainer.errors import AppError
from trainer.text import printable

if TYPE_CHECKING:
    from trainer.captions.folder import CaptionReport
    from trainer.project import Project

_EXAMPLES = 5


def caption_changes(project: "Project", assignments: Sequence[str]) -> dict[str, Any]:
    """Turn "blip.beams=3" into a tree of typed values.

    Raises:
        AppError: no equals sign, no such setting, or a value out of bounds.
    """
    from trainer.config.captioning import CaptionSettings
    from trainer.config.read import merge, validated

    raw: dict[str, Any] = {}
    paths = []
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        path = key.strip().removeprefix("caption.").split(".")
        if not equals:
            raise AppError("Bad setting", f"{printable(assignment)} has no value.", "Write KEY=VALUE: blip.beams=3.")
        raw = dict(merge(raw, _nested(path, value.strip())))
        paths.append(path)
    typed = validated(CaptionSettings, merge(project.config.caption.model_dump(), raw), "--set").model_dump(mode="json")
    changes: dict[str, Any] = {}
    for path in paths:
        changes = dict(merge(changes, _nested(path, reduce(getitem, path, typed))))
    return changes


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = {part: value}
    tree: dict[str, Any] = value
    return tree


def print_captioners(project: "Project | None", as_json: bool) -> None:
    """List the captioners and how they stand."""
    from trainer.captions.captioners import list_captioners

    infos = list_captioners(project.config.caption if project else None)
    if as_json:
        print_json({"captioners": [{**asdict(info), "ready": info.ready, "standing": info.standing} for info in infos]})
        return
    for info in infos:
        typer.echo(f"{info.name:<10} {info.title}: {info.writes}")
        typer.echo(f"{'':<10} {printable(info.here or info.needed.url or info.needed.model)}: {info.standing}")
    typer.echo("Without a model: filename, text, files; or write captions by hand beside the pictures.")


def print_written(project: "Project", report: "CaptionReport", as_json: bool) -> None:
    """Print what was written."""
    if as_json:
        print_json({"folder": str(project.processed), **asdict(report)})
        return
    for name, reason in report.failed.items():
        typer.echo(f"{MARKS['left-out']} {printable(name, 80)}: {printable(reason, 200)}; no caption was written")
    for name, written in list(report.written.items())[:_EXAMPLES]:
        typer.echo(f"  {printable(name, 60)}: {printable(written, 100)}")
    pictures = len(report.written) + len(report.unchanged) + len(report.without) + len(report.failed)
    typer.echo(
        f"{pictures} training pictures: {len(report.written)} captions written, {len(report.unchanged)} unchanged, "
        f"{len(report.without)} without a caption file (their file names are used)."
    )
    print_warnings(report.warnings)
    typer.echo(f"Next: hypernet plan {printable(project.name)}")
