"""`hypernet models`, `inspect` and `doctor`: what is there, and what a file is."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainer.errors import AppError
from trainer.text import printable, size_text

if TYPE_CHECKING:
    from trainer.base_model.find import FoundModel

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def models(
    folder: Annotated[
        Path | None, typer.Argument(help="An A1111 folder; without one the usual places are searched.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the base models found in A1111's folders and in the Hub's cache, the newest first."""
    found = _found_models(folder)
    if as_json:
        typer.echo(json.dumps([vars(model) for model in found], default=str, ensure_ascii=False))
        return
    for model in found:
        typer.echo(f"{size_text(model.size_bytes):>9}  {printable(model.path)}")
    if not found:
        typer.echo("No base models found. Give one by path: hypernet new NAME --pictures DIR --model FILE")


def inspect(
    file: Annotated[Path, typer.Argument(help="A .pt, .ckpt or .safetensors file, a diffusers folder, or a PNG.")],
    as_json: Json = False,
) -> None:
    """Say what a file is, reading it safely: nothing in it is ever run."""
    if not file.exists():
        raise AppError("No such file", f"{printable(file)} does not exist.", "Check the path.")
    facts = _png_facts(file) if file.suffix.lower() == ".png" else _model_facts(file)
    if as_json:
        typer.echo(json.dumps(facts, default=str, ensure_ascii=False))
        return
    for name, value in facts.items():
        if value not in (None, "", [], ()):
            for line in str(value).splitlines():
                typer.echo(f"{name:<16} {printable(line, 2000)}")


def _png_facts(file: Path) -> dict[str, Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            return {
                "kind": "picture",
                "size": f"{picture.width}x{picture.height}",
                "parameters": picture.info.get("parameters"),
            }
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        raise AppError("Not a picture", f"{printable(file)} cannot be read as PNG.", "Check the file.") from None


def _model_facts(file: Path) -> dict[str, Any]:
    if file.suffix.lower() == ".pt" or _is_our_safetensors(file):
        return _hypernetwork_facts(file)
    from trainer.base_model.hashes import short_hash
    from trainer.base_model.recognise import inspect_model

    info = inspect_model(file)
    return {
        "kind": info.label,
        "size": size_text(info.size_bytes),
        "hash": short_hash(file),
        "widths": ", ".join(map(str, info.dims)) if info.context_dim else "",
        "numbers": info.dtype,
        "prediction": info.prediction_type if info.context_dim else "",
        "native size": f"{info.native_size_px} px" if info.context_dim else "",
        "problems": [str(problem) for problem in info.problems],
    }


def _is_our_safetensors(file: Path) -> bool:
    from trainer.base_model.read import file_format, read_header

    return file.is_file() and file_format(file) == "safetensors" and "hypernetwork" in read_header(file).metadata


def _hypernetwork_facts(file: Path) -> dict[str, Any]:
    from trainer.hypernetwork import load

    net = load(file)
    return {
        "kind": "hypernetwork",
        "name": net.name,
        "steps": net.step,
        "widths": ", ".join(map(str, net.dims)),
        **dict(vars(net.structure).items()),
        "parameters": f"{sum(p.numel() for p in net.parameters()):,}",
        "made for": " ".join(filter(None, [net.sd_checkpoint_name, net.sd_checkpoint])),
        "info": net.optional_info,
        "remarks": net.warnings,
    }


def doctor(as_json: Json = False) -> None:
    """Look at this machine: GPU, driver, torch, memory, disk, terminal, logout, models, extras; say what to do."""
    from trainer.devices import gauges_text, read_gauges
    from trainer.doctor.look import (
        look_at_captioners,
        look_at_machine,
        look_at_terminal,
        look_at_torch,
        versions,
        whole_environment,
    )
    from trainer.project import projects_root
    from trainer.run.launch import logout_warning

    found = [*look_at_machine(), look_at_captioners(), look_at_torch(), *look_at_terminal(whole_environment())]
    gauges = read_gauges(disk=_existing(projects_root()))
    if as_json:
        facts = {
            "findings": found,
            "gauges": gauges,
            "versions": versions(),
            "logout": logout_warning(),
            "models": [model.path for model in _found_models(None)],
            "projects": projects_root(),
        }
        typer.echo(json.dumps(facts, default=lambda value: getattr(value, "__dict__", str(value)), ensure_ascii=False))
    else:
        for finding in found:
            typer.echo(f"{finding.standing:<4}  {finding.topic:<9} {finding.text}")
            if finding.advice:
                typer.echo(f"{'':<16}{finding.advice}")
        typer.echo("Readings  " + "\n          ".join(gauges_text(gauges)))
        typer.echo("Versions  " + ", ".join(f"{name} {version}" for name, version in versions().items()))


def _found_models(folder: Path | None) -> "list[FoundModel]":
    from trainer.base_model.find import MODELS_BELOW_A1111, find_a1111_folders, find_models

    places = [folder] if folder else find_a1111_folders()
    return find_models(folders=[place / MODELS_BELOW_A1111 for place in places])


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
