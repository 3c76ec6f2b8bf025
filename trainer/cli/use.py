"""`hypernet generate`: pictures and grids of pictures with a hypernetwork."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainer.errors import AppError
from trainer.text import printable

if TYPE_CHECKING:
    # Loaded in the functions that need them: `hypernet --help` shall answer at once.
    from trainer.draw_request import DrawRequest
    from trainer.drawing_setup import DrawingSetup
    from trainer.run.folder import RunFolder

Prompt = Annotated[str | None, typer.Argument(help='What to draw, e.g. "a portrait <hypernet:gollum:0.8>".')]
Model = Annotated[str, typer.Option("--model", help="Base model; else the project's, else A1111's newest.")]
ProjectName = Annotated[str, typer.Option("--project", help="Take model, sampler and size from this project.")]
RunName = Annotated[str, typer.Option("--run", help="As --project, with this run's checkpoints.")]
Folders = Annotated[
    list[Path] | None, typer.Option("--hypernetwork-dir", help="Where .pt files are looked for; repeatable.")
]
Negative = Annotated[str | None, typer.Option("--negative", help="What not to draw.")]
SamplerName = Annotated[str | None, typer.Option("--sampler", help="A1111's name, e.g. Euler a.")]
Steps = Annotated[int | None, typer.Option("--steps", help="Sampling steps.")]
Cfg = Annotated[float | None, typer.Option("--cfg", help="How strictly the prompt is followed.")]
Seed = Annotated[int, typer.Option("--seed", help="-1 takes a random one.")]
Size = Annotated[str, typer.Option("--size", metavar="WxH", help="e.g. 512x768; else the model's own.")]
Batch = Annotated[int, typer.Option("--batch", help="How many; each has a seed of one more.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
Out = Annotated[Path | None, typer.Option("--out", help="A .png file, or a folder; else generated/ here.")]
GridKind = Annotated[
    str, typer.Option("--grid", metavar="step|strength|prompt", help="Draw checkpoints, seeds or prompts × strengths.")
]
Strengths = Annotated[str, typer.Option("--strengths", metavar="A,B,…", help="Columns of a grid.")]
Checkpoints = Annotated[str, typer.Option("--checkpoints", metavar="N,M,…", help="Rows of --grid step.")]
Also = Annotated[list[str] | None, typer.Option("--also", help="A further prompt of --grid prompt; repeatable.")]
Network = Annotated[str, typer.Option("--hypernetwork", help="The network that a grid varies: path or name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def generate(
    prompt: Prompt = None,
    model: Model = "",
    project: ProjectName = "",
    run: RunName = "",
    hypernetwork_dir: Folders = None,
    negative: Negative = None,
    sampler: SamplerName = None,
    steps: Steps = None,
    cfg: Cfg = None,
    seed: Seed = -1,
    size: Size = "",
    batch: Batch = 1,
    device: Device = "auto",
    out: Out = None,
    grid: GridKind = "",
    strengths: Strengths = "0,0.4,0.7,1",
    checkpoints: Checkpoints = "",
    also: Also = None,
    hypernetwork: Network = "",
    as_json: Json = False,
) -> None:
    """Draw pictures; their generation parameters are written into the PNGs as A1111 does."""
    given = {"negative_prompt": negative, "sampler": sampler, "steps": steps, "cfg_scale": cfg}
    if grid:
        from trainer.draw_request import size_fields

        draw = {name: value for name, value in given.items() if value is not None}
        fields = {
            "kind": grid,
            "project": project,
            "model": model,
            "hypernetwork": hypernetwork,
            "device": device,
            "run": str(_find(run).path) if run else "",
            "folders": [str(folder.absolute()) for folder in hypernetwork_dir or []],
            "strengths": _numbers(strengths, "--strengths"),
            "checkpoints": _numbers(checkpoints, "--checkpoints"),
            "prompts": [text for text in (prompt, *(also or [])) if text],
            "draw": {**draw, **size_fields(size), "seed": seed, "batch": batch},
        }
        _draw_grid(fields, out, as_json)
        return
    if prompt is None:
        raise typer.BadParameter("say what to draw; only a grid of a run can take the run's own prompt")
    setup = _setup(project, run, model, hypernetwork_dir or [], device)
    request = _request(setup, bool(project or run), prompt, {**given, "seed": seed, "batch": batch}, size)
    files = _draw(setup, request, _outputs(out, request.batch))
    if as_json:
        from trainer.cli.output import print_json

        print_json({"pictures": [{"path": str(path), "parameters": text} for path, text in files]})
        return
    for path, _ in files:
        typer.echo(printable(path))


def _numbers(text: str, option: str) -> list[str]:
    """Split numbers at commas; what is none of them is refused later, by name."""
    parts = [part.strip() for part in text.split(",")]
    if text and not all(parts):
        raise AppError("Bad list", f"{option} {printable(text, 80)} has an empty place.", "Write e.g. 0,0.5,1.")
    return [part for part in parts if part]


def _draw_grid(fields: dict[str, Any], out: Path | None, as_json: bool) -> None:
    from trainer.cli.output import print_json, progress_line
    from trainer.generate import Artist
    from trainer.grid_work import draw_grid
    from trainer.grids import grid_folder, grids_of, open_grid_setup, plan_grid, read_grid_request
    from trainer.run.folder import RunFolder

    request = read_grid_request(fields)
    setup = open_grid_setup(request)
    grid = plan_grid(request, setup)
    place = grids_of(RunFolder(Path(request.run))) if request.run else Path("generated")
    folder = out or grid_folder(place, grid)
    show = progress_line("Picture")
    artist = Artist.load(setup, lambda line: typer.echo(f"Note: {line}", err=True))
    sheet = draw_grid(grid, artist, folder, lambda done, total, cell, path: show(done, total, None) if show else None)
    print_json({"grid": sheet, "index": folder / "grid.json"}) if as_json else typer.echo(printable(sheet))


def _setup(project: str, run: str, model: str, folders: list[Path], device: str) -> "DrawingSetup":
    from trainer.drawing_setup import open_setup

    return open_setup(project, _find(run) if run else None, model, folders, {"memory": {"device": device}})


def _find(run: str) -> "RunFolder":
    from trainer.project import projects_root
    from trainer.run.folder import resolve_run

    return resolve_run(run, projects_root())


def _request(
    setup: "DrawingSetup", from_previews: bool, prompt: str, given: dict[str, Any], size: str
) -> "DrawRequest":
    from trainer.draw_request import read_request, size_fields
    from trainer.drawing_setup import default_request

    asked = {name: value for name, value in given.items() if value is not None}
    return read_request({**default_request(setup, from_previews), **asked, **size_fields(size), "prompt": prompt})


def _outputs(out: Path | None, count: int) -> Path:
    """Return the file or folder to write; its folder is made.

    Raises:
        AppError: one file is named for several pictures.
    """
    out = out or Path("generated")
    is_file = out.suffix.lower() == ".png"
    if is_file and count > 1:
        raise AppError("One file for several pictures", f"{printable(out)} is a file.", "Name a folder with --out.")
    (out.parent if is_file else out).mkdir(parents=True, exist_ok=True)
    return out


def _draw(setup: "DrawingSetup", request: "DrawRequest", out: Path) -> list[tuple[Path, str]]:
    from trainer.cli.output import progress_line
    from trainer.generate import Artist, picture_path
    from trainer.png_parameters import save_png

    artist = Artist.load(setup, lambda line: typer.echo(f"Note: {line}", err=True))
    show = progress_line("Step")
    drawn = artist.draw(request, lambda done, total: show(done, total, None) if show else None)
    files = []
    for one in drawn:
        path = out if out.suffix.lower() == ".png" else picture_path(out, one.seed)
        save_png(one.picture, path, one.parameters)
        files.append((path, one.parameters))
    return files
