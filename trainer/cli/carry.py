"""`hypernet report`, `install` and `export`: what a run was, and its result into the programs that draw with it."""

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


def report(run: Annotated[str, typer.Argument(metavar="RUN", help="As for `status`.")], as_json: Json = False) -> None:
    """Write a run's report, one HTML file with everything in it; a run that ends writes it by itself."""
    from trainer.project import projects_root
    from trainer.report import write_report
    from trainer.run.folder import resolve_run

    path = write_report(resolve_run(run, projects_root()))
    if as_json:
        from trainer.cli.output import print_json

        print_json({"report": path})
        return
    typer.echo(printable(path))


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


def export(
    source: Source,
    to: Annotated[str, typer.Option("--to", metavar="KIND", help="lora, full-diff, diffusers or merged-checkpoint.")],
    model: Annotated[str, typer.Option("--model", help="The base model; else the run's, else A1111's newest.")] = "",
    out: Annotated[Path | None, typer.Option("--out", help="File or folder to write; else beside you.")] = None,
    strength: Annotated[float, typer.Option("--strength", help="Built into the weights.")] = 1.0,
    step: Step = None,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="Where it cannot be exact: the closest change, with its error.")
    ] = False,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", help="For --approximate: what you will draw; repeatable.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store a LoRA in half precision: half the size.")] = False,
    drop_bias: Annotated[
        bool, typer.Option("--drop-bias", help="Leave out what diffusers cannot read from a LoRA.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a hypernetwork as a change of the model's weights, for programs that know no hypernetworks."""
    from trainer.cli.output import print_json, progress_line
    from trainer.export.export import TARGETS
    from trainer.export.export import export as write

    target = next((known for known in TARGETS if known == to), None)
    if target is None:
        raise AppError("Unknown kind", f"--to {printable(to, 40)} is none.", f"Choose one of: {', '.join(TARGETS)}.")
    path, name = hypernetwork_of(source, step)
    end = "" if target == "diffusers" else ".safetensors"
    show = progress_line("Pass")
    done = write(
        path,
        target,
        model or model_of(source),
        out or Path(f"{name}-{target}{end}"),
        strength=strength,
        approximate=approximate,
        prompts=prompt or [],
        half=half,
        keep_bias=not drop_bias,
        overwrite=overwrite,
        progress=lambda done, total: show(done, total, None) if show else None,
    )
    if as_json:
        errors = {"widths": done.closest.errors, "prediction": done.closest.prediction_error} if done.closest else None
        print_json({"path": done.path, "error": done.error, "approximation": errors, "notes": done.notes})
        return
    typer.echo(f"Written: {printable(done.path)}")
    if done.closest:
        for place, error in done.closest.errors.items():
            typer.echo(f"Approximation, width {place}: off by {error:.1%} of what the network adds")
        typer.echo(f"Approximation, the UNet's predictions: off by {done.closest.prediction_error:.1%} of its effect")
    typer.echo(f"Self-check: attention with the change differs by {done.error:.2g} of the effect")
    for note in done.notes:
        typer.echo(note)


def convert(
    files: Annotated[list[Path], typer.Argument(help="Hypernetworks of any layout; several are averaged.")],
    out: Annotated[Path, typer.Option("--out", help="NAME.pt (A1111) or NAME.safetensors (this program's).")],
    average: Annotated[bool, typer.Option("--average", help="Average several files, such as checkpoints.")] = False,
    shares: Annotated[str, typer.Option("--shares", metavar="A,B,…", help="Weights of the average.")] = "",
    portable: Annotated[bool, typer.Option("--portable", help="Leave dropout out; pictures stay the same.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert hypernetwork files: older layouts to the present one, to and from safetensors, several to their mean."""
    from trainer.convert import convert as write

    if len(files) > 1 and not average:
        raise AppError("Several files", f"{len(files)} files become one only by averaging.", "Add --average.")
    try:
        numbers = [float(part) for part in shares.split(",") if part.strip()]
    except ValueError:
        raise AppError("Bad shares", f"{printable(shares, 60)} are not numbers.", "Write e.g. 1,2.") from None
    net = write(files, out, shares=numbers, portable=portable, overwrite=overwrite)
    if as_json:
        from trainer.cli.output import print_json

        print_json({"path": out, "name": net.name, "step": net.step, "widths": net.dims, "remarks": net.warnings})
        return
    for warning in net.warnings:
        typer.echo(f"Note: {warning}")
    typer.echo(f"Written: {printable(out)} (step {net.step:,}, widths {', '.join(map(str, net.dims))})")


def model_of(source: str) -> str:
    """Return the base model of a run; empty for a file."""
    if Path(source).expanduser().is_file():
        return ""
    from trainer.config import read_config
    from trainer.project import projects_root
    from trainer.run.folder import resolve_run

    return read_config(resolve_run(source, projects_root()).config_file).model.path


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
