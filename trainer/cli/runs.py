"""`hypernet runs | attach | status | pause | resume | stop | save | preview | answer | set`: runs from any shell."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainer.errors import AppError
from trainer.text import printable

if TYPE_CHECKING:
    # Loaded in the functions that need them: `hypernet --help` shall answer at once.
    from trainer.run.events import EventReader
    from trainer.run.folder import RunFolder
    from trainer.run.status import Glance

Run = Annotated[str, typer.Argument(metavar="RUN", help="NAME, DATE/NAME, PROJECT/DATE/NAME or the run's folder.")]
SomeRun = Annotated[
    str, typer.Argument(metavar="[RUN]", help="As above; left out: the one that is live, else the newest.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

ACKNOWLEDGE_S = 5.0
"""How long a command waits for the worker's answer; a worker obeys between steps."""

PAST_LINES = 20
"""How much of the past `attach` tells unasked."""

_POLL_S = 0.1


def runs(
    everything: Annotated[bool, typer.Option("--all", help="All runs, not only the newest twenty.")] = False,
    as_json: Json = False,
) -> None:
    """List runs, the newest first."""
    found = _all_runs()
    looks = [_glance(run) for run in (found if everything or as_json else found[:20])]
    if as_json:
        from trainer.run.report import summary

        _print_json([summary(look) for look in looks])
        return
    from trainer.run.report import table_lines

    if not looks:
        typer.echo("No runs yet. `hypernet demo` makes one in minutes; `hypernet train PROJECT` makes your own.")
    for line in table_lines(looks):
        typer.echo(line)
    if len(looks) < len(found):
        typer.echo(f"and {len(found) - len(looks)} older ones: --all")


def status(run: Run, as_json: Json = False) -> None:
    """Say how a run stands."""
    from trainer.run.report import details, status_lines

    folder = _find(run)
    look = _glance(folder)
    if as_json:
        _print_json(details(look))
    else:
        _print_lines(status_lines(look))


def attach(
    run: SomeRun = "",
    everything: Annotated[bool, typer.Option("--all", help="Begin with the whole past.")] = False,
) -> None:
    """Follow a run as plain lines until it ends. Ctrl-C leaves; the run goes on."""
    from trainer.run.report import status_lines

    folder = _find(run) if run else _likeliest()
    typer.echo(f"{printable(folder.title)}; Ctrl-C leaves, the run goes on.")
    code = _follow(folder, everything)
    end = _glance(folder)
    if not end.status.is_live:
        _print_lines(status_lines(end))
    raise typer.Exit(code)


def follow_run(folder: "RunFolder") -> int:
    """Follow a run whose worker this process has just started, until it ends or Ctrl-C leaves it.

    Returns:
        The exit code: 0 when it ended well or goes on without us, 1 when it failed.

    Raises:
        AppError: the worker ended before it began.
    """
    from trainer.run.launch import wait_for_start

    try:
        wait_for_start(folder)
    except KeyboardInterrupt:
        _say_goodbye(folder)
        return 0
    return _follow(folder, own_only=True)


def _follow(folder: "RunFolder", everything: bool = True, own_only: bool = False) -> int:
    """Print a run's past, or the last of it, and then what comes; return the exit code."""
    from trainer.run.follow import Follower, ends_well

    follower = Follower(folder, from_start=everything, own_only=own_only)
    try:
        past = follower.new_lines()
        if not everything and len(past) > PAST_LINES:
            typer.echo("(earlier lines: --all)")
            past = past[-PAST_LINES:]
        _print_lines(past)
        for line in follower.lines():
            typer.echo(line)
    except KeyboardInterrupt:
        _say_goodbye(folder)
        return 0
    return 0 if ends_well(follower.status()) else 1


def _say_goodbye(folder: "RunFolder") -> None:
    verdict = _glance(folder).status
    goes_on = "The run goes on" if verdict.is_live else f"The run is {verdict}"
    typer.echo(f"\n{goes_on}; `hypernet attach {folder.argument}` comes back to it.")


def pause(run: Run) -> None:
    """Pause training after the current step, keeping everything loaded."""
    _order(_find(run), "pause")


def resume(
    run: Run,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Go on with another memory setting; repeatable."),
    ] = None,
) -> None:
    """Go on: wake a paused run, or start a new worker for one that stopped, failed or was killed."""
    from trainer.run.status import Status

    folder = _find(run)
    verdict = _glance(folder).status
    if verdict is Status.FINISHED:
        raise AppError(
            "Run is finished",
            f"{printable(folder.title)} made all its steps.",
            "To train on, start a run with more steps and network.start_from set to its result.",
        )
    if verdict.can_resume:
        _restart(folder, set_ or [])
        return
    if set_:
        _order(folder, "change_settings", value=_checked_changes(set_))
    if not set_ or verdict is Status.PAUSED:
        _order(folder, "resume")


def answer(
    run: Run,
    choice: Annotated[str, typer.Argument(help="One of the question's choices; left out, the question is shown.")] = "",
) -> None:
    """Answer what a run asks, e.g. which rung to take after memory ran out."""
    from trainer.run.report import question_lines

    folder = _find(run)
    question = _glance(folder).state.question
    if question is None:
        raise AppError("No question", f"{printable(folder.title)} asks nothing.", "")
    if not choice:
        _print_lines(question_lines(question))
    elif choice not in question.choices:
        choices = ", ".join(printable(each, 60) for each in question.choices)
        raise AppError("No such choice", f"{printable(choice)} is none of {choices}.", "")
    else:
        _order(folder, "answer", question=question.id, choice=choice)


def stop(
    run: Run,
    now: Annotated[
        bool, typer.Option("--now", help="Kill the worker without saving the steps since the last state.")
    ] = False,
) -> None:
    """Save and stop a run; `resume` goes on from there."""
    folder = _find(run)
    if not now:
        _order(folder, "stop")
        return
    from trainer.run.lock import kill_worker

    killed = kill_worker(folder)
    typer.echo(f"Killed worker {killed.pid}. `hypernet resume {folder.argument}` goes on from its last state.")


def save(run: Run) -> None:
    """Save a checkpoint now."""
    _order(_find(run), "save")


def preview(run: Run) -> None:
    """Draw a preview now."""
    _order(_find(run), "preview")


def set_(
    run: Run,
    learning_rate: Annotated[str, typer.Option(help="A rate, or steps such as 5e-5:100, 5e-6.")] = "",
    preview_prompt: Annotated[str, typer.Option(help="Prompt of the previews to come.")] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A memory setting: saves, and goes on with it; repeatable."),
    ] = None,
) -> None:
    """Change the learning rate, the preview prompt or memory settings of a live run."""
    if not learning_rate and not preview_prompt and not set_:
        raise typer.BadParameter("give --learning-rate, --preview-prompt or --set")
    folder = _find(run)
    if set_:
        _order(folder, "change_settings", value=_checked_changes(set_))
    if learning_rate:
        _order(folder, "set_learning_rate", value=learning_rate)
    if preview_prompt:
        _order(folder, "set_preview_prompt", value=preview_prompt)


def _glance(folder: "RunFolder") -> "Glance":
    from trainer.run.status import glance

    return glance(folder)


def _find(text: str) -> "RunFolder":
    from trainer.project import projects_root
    from trainer.run.folder import resolve_run

    return resolve_run(text, projects_root())


def _all_runs() -> "list[RunFolder]":
    from trainer.project import projects_root
    from trainer.run.folder import find_runs

    root = projects_root()
    projects = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    found = [run for project in projects for run in find_runs(project)]
    return sorted(found, key=lambda run: (run.day, run.path.stat().st_mtime), reverse=True)


def _likeliest() -> "RunFolder":
    found = _all_runs()
    if not found:
        raise AppError("No runs", "There is no run to attach to.", "`hypernet train PROJECT` starts one.")
    from trainer.run.lock import is_held

    return next((run for run in found if is_held(run)), found[0])


def _order(folder: "RunFolder", command: str, **fields: str) -> None:
    """Send a command to a live worker and report its answer."""
    from trainer.run.control import send
    from trainer.run.events import EventReader, log_size
    from trainer.run.status import Status

    look = _glance(folder)
    if not look.status.is_live:
        raise AppError(
            "Run is not live",
            f"{printable(folder.title)} is {look.status}: nobody is there to obey.",
            "" if look.status is Status.FINISHED else f"`hypernet resume {folder.argument}` starts it again.",
        )
    reader = EventReader(folder.events_file, log_size(folder.events_file))
    command_id = send(folder, command, **fields)
    if _answered(reader, command_id):
        typer.echo(f"{printable(folder.title)}: {command.replace('_', ' ')}, acknowledged.")
    else:
        typer.echo(f"{printable(folder.title)}: {command.replace('_', ' ')} is delivered; {_when(look)}")


def _answered(reader: "EventReader", command_id: str) -> bool:
    end = time.monotonic() + ACKNOWLEDGE_S
    while time.monotonic() < end:
        if any(event["kind"] == "ack" and event.get("id") == command_id for event in reader.new()):
            return True
        time.sleep(_POLL_S)
    return False


def _when(look: "Glance") -> str:
    from trainer.run.status import Status

    if look.status is Status.STALLED:
        return "the worker shows no sign of life (`hypernet stop --now` kills it)."
    if look.status is Status.STARTING:
        return "the worker obeys once it has loaded."
    return "the worker obeys after what it is doing now."


def _checked_changes(assignments: list[str]) -> str:
    """Return settings that may change within a run as one text.

    Raises:
        AppError: one may not.
    """
    from trainer.recovery.changes import parse_changes

    return "\n".join(f"{name}={value}" for name, value in parse_changes(assignments).items())


def _restart(folder: "RunFolder", assignments: list[str]) -> None:
    from trainer.run.describe import describe
    from trainer.run.launch import logout_warning, start_worker, wait_for_start

    warning = logout_warning()
    if warning:
        typer.echo(f"Warning: {warning}", err=True)
    if assignments:
        from trainer.recovery.changes import change_by_user

        change_by_user(folder, assignments)
    start_worker(folder)
    event = wait_for_start(folder)
    typer.echo(f"{printable(folder.title)}: {describe(event)}")
    if event["kind"] == "failed":
        raise typer.Exit(1)


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, default=str, allow_nan=True))
