"""`hypernet check`, `crop` and `caption`: from source pictures to training pictures with captions."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trainer.errors import AppError
from trainer.text import printable

if TYPE_CHECKING:
    from trainer.project import Project

ProjectArgument = Annotated[str, typer.Argument(help="A project: its name or folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check(project: ProjectArgument, as_json: Json = False) -> None:
    """Look at every source picture and say which can be used, which not, and why."""
    from trainer.pictures.check import check_folder
    from trainer.project import open_project

    opened = open_project(project)
    data = opened.settings().data
    report = check_folder(opened.pictures, data.size, keep_aspect=data.keep_aspect, progress=_progress("Looking"))
    if as_json:
        looks = [{**asdict(each), "path": str(each.path)} for each in report.looks]
        _print_json({"pictures": looks, "warnings": report.warnings})
        return
    for each in report.looks:
        for phrase in (each.reason, *each.notes) if each.reason else each.notes:
            typer.echo(f"{_MARKS[each.status]} {printable(each.path.name, 80)}: {phrase}")
    counts = {status: len(report.with_status(status)) for status in _MARKS}
    typer.echo(
        f"{len(report.looks)} pictures: {counts['fine']} fine, {counts['warning']} usable with a remark, "
        f"{counts['left-out']} left out."
    )
    _print_warnings(report.warnings)
    typer.echo(f"Next: hypernet crop {printable(project)}")


def crop(
    project: ProjectArgument,
    size: Annotated[int | None, typer.Option(help="Side of the training pictures, a multiple of 64.")] = None,
    mode: Annotated[
        Literal["center", "focal", "face", "auto-size", "split"] | None,
        typer.Option(
            help="Where the frame is put: middle; focal point; around faces; the size that suits the shape; in pieces."
        ),
    ] = None,
    face_model: Annotated[str, typer.Option(help="YuNet's ONNX file, for faces; OpenCV's cascades without.")] = "",
    keep_aspect: Annotated[bool | None, typer.Option(help="Keep the pictures' shape, in multiples of 64.")] = None,
    flip: Annotated[bool | None, typer.Option(help="Add a mirrored copy of every picture.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as cores by default.")] = None,
    as_json: Json = False,
) -> None:
    """Cut the source pictures to training pictures; what was cut before and has not changed is kept."""
    from trainer.pictures.folder import crop_folder
    from trainer.pictures.options import CropOptions
    from trainer.project import open_project

    opened = _updated(
        open_project(project),
        crop={"mode": mode, "flip": flip},
        settings={"data": {"size": size, "keep_aspect": True if mode == "auto-size" else keep_aspect}},
    )
    data = opened.settings().data
    options = CropOptions(
        size=data.size,
        mode=opened.config.crop.mode,
        keep_aspect=data.keep_aspect,
        face_model=face_model,
        flip=opened.config.crop.flip,
        keep_alpha=data.alpha_as_weight,
    )
    report = crop_folder(opened.pictures, opened.processed, options, workers=workers, progress=_progress("Cropping"))
    if as_json:
        _print_json({"folder": str(opened.processed), "size": data.size, **asdict(report)})
        return
    for result in report.results:
        if result.reason:
            typer.echo(f"{_MARKS['left-out']} {printable(result.source, 80)}: {result.reason}; left aside")
        elif result.status == "done":
            for note in result.notes:
                typer.echo(f"{_MARKS['warning']} {printable(result.source, 80)}: {note}")
    counts = {status: len(report.with_status(status)) for status in ("done", "unchanged", "left-aside")}
    typer.echo(
        f"{len(report.results)} pictures: {counts['done']} cropped, {counts['unchanged']} unchanged, "
        f"{counts['left-aside']} left aside, in {report.seconds:.1f} s; now in {printable(opened.processed)}"
    )
    if report.set_aside:
        typer.echo(f"{len(report.set_aside)} files that are no longer wanted were moved to .set-aside there.")
    _print_warnings(report.warnings)
    typer.echo(f"Next: hypernet caption {printable(project)}")


def caption(
    project: ProjectArgument,
    with_: Annotated[
        Literal["filename", "text", "files"] | None,
        typer.Option(
            "--with",
            help="filename: words of the file's name; text: the same --text for all; "
            "files: only the captions that lie beside the sources.",
        ),
    ] = None,
    text: Annotated[str, typer.Option(help="The caption for --with text.")] = "",
    existing: Annotated[
        Literal["ignore", "keep", "prepend", "append"] | None,
        typer.Option(help="What becomes of captions already there: put before or after the new one, or …"),
    ] = None,
    extension: Annotated[str, typer.Option(help="Of the caption files beside the sources.")] = ".txt",
    as_json: Json = False,
) -> None:
    """Write a caption file beside each training picture."""
    from trainer.captions.folder import caption_folder
    from trainer.project import open_project

    if not extension.startswith(".") or len(Path(f"x{extension}").suffixes) != 1:
        raise AppError("Captions", f"--extension is {printable(extension)}.", "Write a dot and letters: .caption")
    opened = open_project(project)
    make = _caption_maker(with_ or opened.config.caption.source, text, opened)
    opened = _updated(opened, caption={"source": with_, "existing": existing})
    crops, source_of = _training_pictures(opened)
    report = caption_folder(
        crops, make, existing=opened.config.caption.existing, source_of=source_of, extension=extension
    )
    if as_json:
        _print_json({"folder": str(opened.processed), **asdict(report)})
        return
    for name, written in list(report.written.items())[:_EXAMPLES]:
        typer.echo(f"  {printable(name, 60)}: {printable(written, 100)}")
    typer.echo(
        f"{len(crops)} training pictures: {len(report.written)} captions written, {len(report.unchanged)} unchanged, "
        f"{len(report.without)} without a caption file (their file names are used)."
    )
    _print_warnings(report.warnings)
    typer.echo(f"Next: hypernet plan {printable(project)}")


_MARKS = {"fine": "ok  ", "warning": "note", "left-out": "LEFT"}
_EXAMPLES = 5


def _updated(project: "Project", **changes: dict[str, Any]) -> "Project":
    """Save the options that were given; those that are None stay as they are."""
    given = _without_none(changes)
    return project.update(**given) if given else project


def _without_none(tree: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _without_none(value) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}


def _training_pictures(project: "Project") -> tuple[list[Path], dict[str, Path]]:
    from trainer.pictures.look import picture_files
    from trainer.pictures.manifest import read_manifest

    crops = picture_files(project.processed) if project.processed.is_dir() else []
    if not crops:
        raise AppError(
            "No training pictures",
            f"{printable(project.processed)} holds none yet.",
            f"Run: hypernet crop {printable(project.name)}",
        )
    sources = read_manifest(project.processed).source_of()
    return crops, {name: project.pictures / source for name, source in sources.items()}


def _caption_maker(source: str, text: str, project: "Project") -> Callable[[Path], str]:
    from trainer.captions.filename import words_of

    data = project.settings().data
    if (source == "text") != bool(text.strip()):
        raise AppError("Captions", "--with text and --text go together.", 'Write: --with text --text "a caption"')
    if source == "text":
        return lambda crop: text
    if source == "files":
        return lambda crop: ""
    if source != "filename":
        raise AppError(
            "Unknown source of captions",
            f"caption.source is {printable(source, 40)}.",
            "Choose one: --with filename, --with text or --with files.",
        )
    return lambda crop: words_of(crop.stem, data.filename_regex, data.filename_join)


def _progress(verb: str) -> Callable[[int, int, object], None] | None:
    """Return a function that keeps one line up to date on a terminal; None where there is no terminal."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int, latest: object) -> None:
        end = "\n" if done == total else ""
        print(f"\r{verb} {done}/{total}", end=end, file=sys.stderr, flush=True)

    return show


def _print_warnings(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        typer.echo(f"Warning: {warning}", err=True)


def _print_json(tree: dict[str, Any]) -> None:
    typer.echo(json.dumps(tree, default=str))
