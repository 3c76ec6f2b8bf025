"""`hypernet rewind`: go on from an earlier checkpoint, in a new run."""

from typing import Annotated

import typer

from trainer.cli.train import Set
from trainer.text import printable


def rewind(
    run: Annotated[str, typer.Argument(metavar="RUN", help="NAME, DATE/NAME, PROJECT/DATE/NAME or the run's folder.")],
    to: Annotated[str, typer.Option("--to", metavar="STEP|best", help="A step of which there is a checkpoint.")],
    learning_rate: Annotated[str, typer.Option(help="Another rate, or steps such as 5e-5:100, 5e-6.")] = "",
    steps: Annotated[int, typer.Option(help="Steps in total, those up to the checkpoint included.", min=0)] = 0,
    set_: Set = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return as soon as the run has started.")] = False,
) -> None:
    """Go back to a checkpoint and on from there, in a new run; the old one stays as it was."""
    from trainer.cli.runs import follow_run
    from trainer.config import parse_assignments
    from trainer.config.read import merge
    from trainer.project import projects_root
    from trainer.rewind import rewind as rewind_run
    from trainer.rewind import rewound_step
    from trainer.run.folder import resolve_run

    if to != "best" and not to.isdecimal():
        raise typer.BadParameter("give a step such as 400, or best", param_hint="--to")
    over = parse_assignments(set_ or [])
    if learning_rate:
        over = merge(over, {"optimizer": {"learning_rate": learning_rate}})
    if steps:
        over = merge(over, {"training": {"steps": steps}})
    folder = resolve_run(run, projects_root())
    new = rewind_run(folder, "best" if to == "best" else int(to), over)
    typer.echo(f"{printable(folder.title)} goes on from step {rewound_step(new):,} in {printable(new.path)}")
    if detach:
        typer.echo(f"Follow it: hypernet attach {new.argument}")
        return
    raise typer.Exit(follow_run(new))
