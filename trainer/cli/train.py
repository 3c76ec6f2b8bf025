"""`hypernet train`, `plan` and `demo`."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from trainer.text import duration_text, printable, size_text

Project = Annotated[str, typer.Argument(help="A project's name or folder.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting for this run; repeatable.")
]
VramLimit = Annotated[
    str, typer.Option("--vram-limit", metavar="SIZE", help="Most memory the run may take, e.g. 4GiB.")
]
OnOom = Annotated[
    str,
    typer.Option(
        "--on-oom", metavar="auto|ask|stop", help="When memory runs out, or after another fault: go on, ask, or stop."
    ),
]
PresetName = Annotated[str, typer.Option("--preset", help="Settings to start from; see `hypernet presets`.")]


def train(
    project: Project,
    preset: PresetName = "",
    set_: Set = None,
    vram_limit: VramLimit = "",
    on_oom: OnOom = "",
    detach: Annotated[bool, typer.Option("--detach", help="Return as soon as the run has started.")] = False,
    stop_when: Annotated[
        str, typer.Option(metavar="overtrained|collapsed", help="End the run when the verdict says so.")
    ] = "",
) -> None:
    """Train, as a process of its own that outlives this terminal."""
    from trainer.cli.runs import follow_run
    from trainer.config import parse_assignments
    from trainer.project import open_project
    from trainer.run.launch import logout_warning
    from trainer.start import start_run

    opened = open_project(project)
    config = opened.settings(parse_assignments([*(set_ or []), *_stop_when(stop_when)]), preset=preset)
    for warning in [*config.warnings(), *filter(None, [logout_warning()])]:
        typer.echo(f"Note: {warning}")
    folder = start_run(opened, config, typer.echo)
    typer.echo(f"Started {printable(folder.path)}")
    if detach:
        typer.echo(f"Follow it: hypernet attach {printable(folder.path)}")
        return
    raise typer.Exit(follow_run(folder))


def _stop_when(text: str) -> list[str]:
    return [f"validation.stop_when={text}"] if text else []


def plan(
    project: Project,
    preset: PresetName = "",
    set_: Set = None,
    vram_limit: VramLimit = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict memory, time and disk of a run, without starting it."""
    from trainer.config import parse_assignments
    from trainer.memory import make_plan
    from trainer.project import open_project

    opened = open_project(project)
    config = opened.settings(parse_assignments(set_ or []), _limits(vram_limit), preset=preset)
    made = make_plan(opened, config)
    typer.echo(json.dumps(made.as_dict(), ensure_ascii=False) if as_json else made.as_text())


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Print lines instead of opening the wizard, as without a terminal.")
    ] = False,
    vram_limit: VramLimit = "",
    on_oom: OnOom = "",
) -> None:
    """Do the whole job on the embedded demo model: crop, caption, train, preview, save."""
    from trainer.cli.runs import follow_run
    from trainer.demo.job import prepare_demo
    from trainer.start import start_run

    del headless  # it has kept the wizard closed: this function draws no screen
    started = time.monotonic()
    project = prepare_demo(typer.echo)
    folder = start_run(project, project.settings(_limits(vram_limit, on_oom)))
    typer.echo(f"Training in {printable(folder.path)}; it goes on if this terminal closes.")
    code = follow_run(folder)
    if code == 0:
        _say_results(project.root, project.name, folder.path)
        typer.echo(f"Elapsed {duration_text(time.monotonic() - started)}.")
    raise typer.Exit(code)


def _limits(vram_limit: str = "", on_oom: str = "") -> dict[str, dict[str, str]]:
    """Return the options that stand for a setting as settings."""
    memory = {"memory": {"vram_limit": vram_limit}} if vram_limit else {}
    return memory | ({"recovery": {"on_oom": on_oom}} if on_oom else {})


def _say_results(root: Path, name: str, run: Path) -> None:
    final = root / f"{name}.pt"
    typer.echo("")
    typer.echo(f"Hypernetwork   {printable(final)}  ({size_text(final.stat().st_size)})")
    typer.echo(f"Previews       {printable(run / 'images')}")
    typer.echo(f"Checkpoints    {printable(run / 'hypernetworks')}")
    typer.echo(f"Losses         {printable(run / 'hypernetwork_loss.csv')}")
    typer.echo(f"Report         {printable(run / 'report.html')}")
    typer.echo("")
    typer.echo("Look at the previews from the first to the last: the style grows while the prompt stays.")
    typer.echo("With a Stable Diffusion model the result goes into A1111's models/hypernetworks/ or ComfyUI's")
    typer.echo(f"models/hypernetworks/; in A1111 a prompt then switches it on with <hypernet:{printable(name)}:1>.")
    typer.echo("Your own: hypernet new NAME --pictures DIR --model FILE, then crop, caption, train.")
