"""`hypernet install`: a result into the programs that draw with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.errors import AppError
from trainer.text import printable

if TYPE_CHECKING:
    from trainer.programs import Program

Source = Annotated[str, typer.Argument(metavar="RUN|FILE", help="A run, or a hypernetwork's .pt file.")]
Step = Annotated[int | None, typer.Option("--step", help="Of a run: this checkpoint; else the best one.")]
To = Annotated[Path | None, typer.Option("--to", help="Folder of A1111 or ComfyUI; else the one found here.")]
Name = Annotated[str, typer.Option("--name", help="What the tag shall say.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace another file of this name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def install(
    source: Source,
    to: To = None,
    name: Name = "",
    step: Step = None,
    overwrite: Overwrite = False,
    keep_dropout: Annotated[
        bool, typer.Option("--keep-dropout", help="Keep dropout layers, to train on in A1111.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a hypernetwork where A1111 or ComfyUI finds it, and print its tag."""
    from trainer.install import install as put

    path, default_name = hypernetwork_of(source, step)
    done = put(path, _program(to), name or default_name, overwrite=overwrite, keep_dropout=keep_dropout)
    if as_json:
        from trainer.cli.output import print_json

        print_json({**vars(done), "source": path})
        return
    typer.echo(f"{'Already there' if done.was_there else 'Installed'}: {printable(done.path)}")
    typer.echo(f"From: {printable(path)}")
    typer.echo(f"In a prompt: {printable(done.tag)}")
    for note in done.notes:
        typer.echo(note)


def hypernetwork_of(source: str, step: int | None = None) -> tuple[Path, str]:
    """Return the file that a run or a path means, and what it should be called."""
    path = Path(source).expanduser()
    if path.is_file():
        return path, path.stem
    from trainer.config import read_config
    from trainer.install import source_of
    from trainer.project import projects_root
    from trainer.run.folder import resolve_run

    run = resolve_run(source, projects_root())
    return source_of(run, step), read_config(run.config_file).name


def _program(to: Path | None) -> "Program":
    from trainer.programs import find_programs, program_at

    if to is not None:
        return program_at(to)
    found = find_programs()
    if len(found) == 1:
        return found[0]
    if not found:
        raise AppError("No program found", "No A1111 or ComfyUI was found here.", "Name its folder with --to FOLDER.")
    places = ", ".join(printable(program.root) for program in found)
    raise AppError("Several programs", f"Found {places}.", "Name one with --to FOLDER.")
