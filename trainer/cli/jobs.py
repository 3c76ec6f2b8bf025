"""Jobs carried out by a command: in its own process, seen by the wizard as any other job."""

from typing import TYPE_CHECKING, Any

from trainer.cli.output import progress_line

if TYPE_CHECKING:
    from trainer.project import Project
    from trainer.run.events import Event


def run_job(project: "Project", kind: str, verb: str, **request: Any) -> Any:
    """Do a job with a line of progress, and return its report; Ctrl-C stops it after the picture at hand.

    Args:
        project: Whose job it is.
        kind: "caption", "crop" or "check".
        verb: What the line of progress begins with.
        request: What is asked for; None asks for nothing.

    Raises:
        AppError: it failed, or such a job is under way.
    """
    from trainer.jobs.worker import run_here

    show = progress_line(verb)

    def listen(event: "Event") -> None:
        if show is not None and event["kind"] == "phase" and event["total"]:
            show(event["done"], event["total"], None)

    return run_here(project.root, kind, {name: value for name, value in request.items() if value is not None}, listen)
