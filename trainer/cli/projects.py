"""`hypernet new`, `projects`, `presets`, `settings`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from trainer.text import printable, size_text

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def new(
    name: Annotated[str, typer.Argument(help="The subject; names the folder and the hypernetwork.")],
    pictures: Annotated[Path, typer.Option(help="Folder of the source pictures; it is never changed.")],
    model: Annotated[str, typer.Option(help="Base model: a file, a diffusers folder, or a Hub id.")] = "",
    preset: Annotated[str, typer.Option(help="Settings to start from; see `hypernet presets`.")] = "recommended",
) -> None:
    """Make a project: one subject's folder below ./hypernetworks (or $HYPERNET_PROJECTS)."""
    from trainer.base_model.choose import choose_model
    from trainer.config import load_preset
    from trainer.pictures.look import picture_files
    from trainer.project import create_project

    info = choose_model(model, _download_progress(), typer.echo)
    project = create_project(name, pictures, str(info.path), preset)
    typer.echo(f"Made {printable(project.root)}.")
    typer.echo(f"Base model: {info.label}, {size_text(info.size_bytes)}, {printable(info.path)}")
    typer.echo(f"Preset: {load_preset(preset).title}. {load_preset(preset).trade_off}")
    size = project.settings().data.size
    if size != info.native_size_px:
        typer.echo(f"Note: this model was made for {info.native_size_px} px; the preset says {size} px.")
    count = len(picture_files(project.pictures))
    typer.echo(f"Pictures: {count} in {printable(project.pictures)}")
    typer.echo(f"Next: hypernet crop {printable(name)}")


def _download_progress() -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{size_text(done)} of {size_text(total)}  ", end="", file=sys.stderr, flush=True)

    return show


def projects(as_json: Json = False) -> None:
    """List the projects."""
    from trainer.project import find_projects, projects_root

    found = find_projects()
    if as_json:
        rows = [{"name": p.name, "root": str(p.root), "pictures": str(p.pictures)} for p in found]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for project in found:
        typer.echo(f"{printable(project.name):24} {printable(project.root)}")
    if not found:
        typer.echo(f"No projects below {printable(projects_root())}. Make one: hypernet new NAME --pictures DIR")


def presets(as_json: Json = False) -> None:
    """List the presets with what each one buys and costs."""
    from trainer.config import load_preset, preset_names

    found = [load_preset(name) for name in preset_names()]
    if as_json:
        typer.echo(json.dumps([vars(preset) for preset in found], ensure_ascii=False))
        return
    for preset in found:
        typer.echo(f"{preset.name}: {preset.title}\n  {preset.trade_off}")


def settings(
    project: Annotated[str, typer.Argument(help="A project; without one the defaults are shown.")] = "",
    as_json: Json = False,
) -> None:
    """List every setting with its value, bounds and meaning; change one with `train --set KEY=VALUE`."""
    from trainer.config import RunConfig
    from trainer.config.read import bounds_text, fields_of
    from trainer.project import open_project

    config = open_project(project).settings() if project else RunConfig()
    tree = config.model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(tree, ensure_ascii=False))
        return
    for name, field in fields_of(RunConfig):
        value = tree
        for part in name.split("."):
            value = value[part]
        bounds = bounds_text(field)
        typer.echo(
            f"{name} = {printable(json.dumps(value, ensure_ascii=False))}" + (f"   ({bounds})" if bounds else "")
        )
        if field.description:
            typer.echo(f"    {field.description}")
