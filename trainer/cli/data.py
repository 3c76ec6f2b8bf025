"""`hypernet check`, `crop` and `caption`: from source pictures to training pictures with captions."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

import typer

from trainer.cli.output import MARKS, print_histogram, print_json, print_warnings
from trainer.errors import AppError
from trainer.text import nearest, printable

if TYPE_CHECKING:
    from trainer.pictures.choices import Choices
    from trainer.project import Project

ProjectArgument = Annotated[str, typer.Argument(help="A project: its name or folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LeaveOut = Annotated[list[str] | None, typer.Option(help="File name of a source to leave out; repeatable.")]
TakeBack = Annotated[list[str] | None, typer.Option(help="File name of a left-out source to use again; repeatable.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; as many as cores by default.")]


def check(
    project: ProjectArgument,
    size: Annotated[int | None, typer.Option(help="Judge by this size instead of the project's.")] = None,
    leave_out: LeaveOut = None,
    take_back: TakeBack = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Look at every source picture and its caption; say what can be used, what not, and why."""
    from trainer.cli.jobs import run_job
    from trainer.project import open_project

    opened = open_project(project)
    _updated_choices(opened, leave_out or [], take_back or [], [])
    checked = run_job(opened, "check", "Looking", size=size, workers=workers)
    report, captions = checked.pictures, checked.captions
    if as_json:
        looks = [{**asdict(each), "path": str(each.path)} for each in report.looks]
        whole = {key: value for key, value in vars(report).items() if key != "looks"}
        print_json({"pictures": looks, **whole, "captions": asdict(captions)})
        return
    for each in report.looks:
        for phrase in (each.reason, *each.notes) if each.reason else each.notes:
            typer.echo(f"{MARKS[each.status]} {printable(each.path.name, 80)}: {phrase}")
    counts = {status: len(report.with_status(status)) for status in MARKS}
    typer.echo(
        f"{len(report.looks)} pictures: {counts['fine']} fine, {counts['warning']} usable with a remark, "
        f"{counts['left-out']} left out."
    )
    print_histogram("Shorter side in pixels", report.short_sides)
    print_histogram("Shape", report.shapes)
    for sentence in (*report.suggestions, *captions.remarks):
        typer.echo(f"- {sentence}")
    print_warnings(report.warnings)
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
    face_model: Annotated[
        str | None, typer.Option(help="YuNet's ONNX file, for faces; OpenCV's cascades without.")
    ] = None,
    keep_aspect: Annotated[bool | None, typer.Option(help="Keep the pictures' shape, in multiples of 64.")] = None,
    flip: Annotated[bool | None, typer.Option(help="Add a mirrored copy of every picture.")] = None,
    frame: Annotated[
        list[str] | None,
        typer.Option(
            help="One picture's frame: NAME=LEFT,TOP,SIDE in source pixels, NAME=MODE for a mode of its own, "
            "or NAME= to take either back; repeatable."
        ),
    ] = None,
    leave_out: LeaveOut = None,
    take_back: TakeBack = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Cut the source pictures to training pictures; what was cut before and has not changed is kept."""
    from trainer.cli.jobs import run_job
    from trainer.project import open_project

    opened = _updated(
        open_project(project),
        crop={"mode": mode, "flip": flip, "face_model": face_model},
        settings={"data": {"size": size, "keep_aspect": True if mode == "auto-size" else keep_aspect}},
    )
    _updated_choices(opened, leave_out or [], take_back or [], frame or [])
    report, data = run_job(opened, "crop", "Cropping", workers=workers), opened.settings().data
    if as_json:
        print_json({"folder": str(opened.processed), "size": data.size, **asdict(report)})
        return
    for result in report.results:
        if result.reason:
            typer.echo(f"{MARKS['left-out']} {printable(result.source, 80)}: {result.reason}; left aside")
        elif result.status == "done":
            for note in result.notes:
                typer.echo(f"{MARKS['warning']} {printable(result.source, 80)}: {note}")
    counts = {status: len(report.with_status(status)) for status in ("done", "unchanged", "left-aside")}
    typer.echo(
        f"{len(report.results)} pictures: {counts['done']} cropped, {counts['unchanged']} unchanged, "
        f"{counts['left-aside']} left aside, in {report.seconds:.1f} s; now in {printable(opened.processed)}"
    )
    if report.set_aside:
        typer.echo(f"{len(report.set_aside)} files that are no longer wanted were moved to .set-aside there.")
    print_warnings(report.warnings)
    typer.echo(f"Next: hypernet caption {printable(project)}")


def caption(
    project: Annotated[str, typer.Argument(metavar="[PROJECT]", help="A project: its name or folder.")] = "",
    with_: Annotated[
        str | None,
        typer.Option(
            "--with",
            help="blip, blip2, florence2: sentences; deepbooru, wd: tags; filename: words of the file's name; "
            "text: the same --text for all; files: only the captions beside the sources. Several are joined in this "
            "order: deepbooru,blip",
        ),
    ] = None,
    text: Annotated[str | None, typer.Option(help="The caption for --with text.")] = None,
    existing: Annotated[
        Literal["ignore", "keep", "prepend", "append"] | None,
        typer.Option(
            help="What becomes of captions already there. ignore: only the new one is written; keep: the old one "
            "stays; prepend: old, then new; append: new, then old."
        ),
    ] = None,
    extension: Annotated[str | None, typer.Option(help="Of the caption files beside the sources.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures at once; halved when memory runs out.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of a captioner, e.g. blip.beams=3 or wd.model=FOLDER; repeatable."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Write those too that were written with the same settings before.")
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List the captioners, what each needs and whether it is here; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a caption file beside each training picture."""
    from trainer.cli.captions import caption_changes, print_captioners, print_written
    from trainer.cli.jobs import run_job
    from trainer.project import open_project

    if list_:
        print_captioners(open_project(project) if project else None, as_json)
        return
    if not project:
        raise typer.BadParameter("name a project")
    opened = open_project(project)
    sources = (with_ or opened.config.caption.source).split(",")
    fits = bool((opened.config.caption.text if text is None else text).strip()) if "text" in sources else text is None
    if not fits:
        raise AppError("Captions", "There is no text to write.", 'Give it (--with text --text "a caption").')
    given: dict[str, Any] = {"source": with_, "text": text, "existing": existing, "extension": extension}
    given |= {"batch_size": batch, "device": device, **caption_changes(opened, set_ or [])}
    opened = _updated(opened, caption=given)
    print_written(opened, run_job(opened, "caption", "Captioning", again=again or None), as_json)


def _updated(project: "Project", **changes: dict[str, Any]) -> "Project":
    """Save the options that were given; those that are None stay as they are."""
    given = _without_none(changes)
    return project.update(**given) if given else project


def _updated_choices(project: "Project", leave_out: list[str], take_back: list[str], frames: list[str]) -> "Choices":
    """Save what was decided about single pictures; the names must be pictures of the project."""
    from trainer.pictures.choices import parse_frame, read_choices, write_choices
    from trainer.pictures.options import Mode

    choices = before = read_choices(project.root)
    for name in leave_out:
        choices = choices.with_left_out(_known(project, name))
    for name in take_back:
        choices = choices.with_left_out(name, False)
    for text in frames:
        name, equals, numbers = text.rpartition("=")
        if not equals:
            raise AppError("Not a frame", f"--frame {printable(text, 60)} has no =.", "Write NAME=LEFT,TOP,SIDE")
        if numbers in get_args(Mode):
            choices = choices.with_mode(_known(project, name), cast(Mode, numbers))
        else:
            choices = choices.with_frame(_known(project, name), parse_frame(numbers) if numbers else None)
    if choices != before:
        write_choices(project.root, choices)
    return choices


def _known(project: "Project", name: str) -> str:
    from trainer.pictures.look import picture_files

    names = [path.name for path in picture_files(project.pictures)]
    if name not in names:
        where = printable(project.pictures)
        raise AppError("No such picture", f"{where} holds no {printable(name, 60)}.", nearest(name, names).strip())
    return name


def _without_none(tree: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _without_none(value) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}
