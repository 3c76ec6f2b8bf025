"""`hypernet captions`, and what `hypernet caption` prints."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trainer.cli.output import MARKS, print_json, print_warnings
from trainer.errors import AppError
from trainer.text import printable

if TYPE_CHECKING:
    from trainer.captions.folder import CaptionReport
    from trainer.captions.store import Stored
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


def captions(
    project: Annotated[str, typer.Argument(help="A project: its name or folder.")],
    find: Annotated[str, typer.Option(help="Text to replace by --by; with --regex a regular expression.")] = "",
    by: Annotated[str, typer.Option(help=r"What takes its place; with --regex \1 is its first group.")] = "",
    regex: Annotated[bool, typer.Option("--regex", help="Read --find as a regular expression.")] = False,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", help="Capital and small letters are the same.")] = False,
    prefix: Annotated[str, typer.Option(help='Put this before captions that lack it, e.g. "gollum, ".')] = "",
    suffix: Annotated[str, typer.Option(help="Put this behind captions that lack it.")] = "",
    remove_tag: Annotated[list[str] | None, typer.Option(help="Take out this tag; repeatable.")] = None,
    sort: Annotated[
        Literal["alphabet", "count"] | None,
        typer.Option(help="Sort tags by the alphabet, or the commonest first; repeated ones go."),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the changes; without, they are only shown.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last change of captions back.")] = False,
    tags: Annotated[bool, typer.Option("--tags", help="Count the tags instead of listing the captions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the training pictures' captions with their tokens, or edit them all at once."""
    from trainer.captions.edit import tag_counts
    from trainer.captions.store import read_stored
    from trainer.captions.tokens import TokenCounter
    from trainer.project import open_project

    if undo + tags + any((find, prefix, suffix, remove_tag, sort)) > 1:
        raise typer.BadParameter("--undo, --tags and changes of captions go one at a time")
    opened = open_project(project)
    if undo:
        _undo(opened, as_json)
        return
    model = opened.settings().model
    stored = read_stored(opened.processed, TokenCounter(model.path, emphasis=model.emphasis))
    texts = {name: each.text for name, each in stored.items() if each.is_there}
    if tags:
        _print_tags(tag_counts(texts), as_json)
        return
    after, what = _edited(texts, find, by, regex, ignore_case, prefix, suffix, remove_tag or [], sort)
    if not what:
        _print_stored(stored, as_json)
        return
    changes = {name: text for name, text in after.items() if text != texts[name]}
    _change(opened, stored, changes, what if write else "", as_json)


def _edited(
    texts: dict[str, str],
    find: str,
    by: str,
    regex: bool,
    ignore_case: bool,
    prefix: str,
    suffix: str,
    remove: list[str],
    sort: str | None,
) -> tuple[dict[str, str], str]:
    """Return the captions after the edits, in the order of the options, and what was done; "" for nothing."""
    from trainer.captions import edit

    done = []
    if find:
        texts = {**texts, **edit.replaced(texts, find, by, regex=regex, ignore_case=ignore_case)}
        done.append(f'replacing "{printable(find, 60)}" by "{printable(by, 60)}"')
    for tag in remove:
        texts = {**texts, **edit.without_tag(texts, tag)}
        done.append(f'removing the tag "{printable(tag, 60)}"')
    if sort:
        texts = {**texts, **edit.sorted_tags(texts, by_count=sort == "count")}
        done.append("sorting tags")
    if prefix:
        texts = {**texts, **edit.with_prefix(texts, prefix)}
        done.append(f'putting "{printable(prefix, 60)}" first')
    if suffix:
        texts = {**texts, **edit.with_suffix(texts, suffix)}
        done.append(f'putting "{printable(suffix, 60)}" last')
    return texts, ", ".join(done)


def _change(project: "Project", stored: "dict[str, Stored]", changes: dict[str, str], what: str, as_json: bool) -> None:
    """Show the changes, and write them where `what` names them."""
    from trainer.captions.store import write_changes

    written: tuple[Path, ...] = ()
    conflicts: tuple[Path, ...] = ()
    if what:
        pictures = {stored[name].picture: text for name, text in changes.items()}
        written, conflicts = write_changes(pictures, {each.picture: each.hash for each in stored.values()}, what)
    if as_json:
        both = {name: {"before": stored[name].text, "after": text} for name, text in changes.items()}
        names = [[path.name for path in paths] for paths in (written, conflicts)]
        print_json({"changes": both, "written": names[0], "changed_elsewhere": names[1]})
        return
    for name, text in changes.items():
        typer.echo(f"{printable(name, 60)}\n  - {printable(stored[name].text)}\n  + {printable(text)}")
    for path in conflicts:
        typer.echo(f"{MARKS['left-out']} {printable(path.name, 60)}: changed elsewhere meanwhile; left alone")
    if what:
        typer.echo(f"{len(written)} of {len(stored)} captions written; --undo takes that back.")
    else:
        typer.echo(f"{len(changes)} of {len(stored)} captions would change; --write writes them.")


def _print_stored(stored: "dict[str, Stored]", as_json: bool) -> None:
    if as_json:
        print_json({"captions": [{**vars(each), "long": each.is_long} for each in stored.values()]})
        return
    for name, each in stored.items():
        mark = MARKS["warning"] if each.is_long or not each.is_there else MARKS["fine"]
        text = printable(each.text) if each.is_there else "(no caption file; the words of its name are used)"
        typer.echo(f"{mark} {printable(name, 60)} ({each.tokens} of {each.room} tokens): {text}")
        for note in each.notes:
            typer.echo(f"     {printable(note)}")


def _print_tags(counts: list[tuple[str, int]], as_json: bool) -> None:
    if as_json:
        print_json({"tags": dict(counts)})
        return
    for tag, count in counts:
        typer.echo(f"{count:>6}  {printable(tag, 100)}")


def _undo(project: "Project", as_json: bool) -> None:
    from trainer.captions.undo import undo_last

    undone = undo_last(project.processed)
    if as_json:
        print_json(vars(undone))
        return
    typer.echo(f"Took back {printable(undone.what, 200)}: {len(undone.restored)} captions are as they were.")
    for name in undone.changed_since:
        typer.echo(f"{MARKS['left-out']} {printable(name, 60)}: changed since; left alone")
