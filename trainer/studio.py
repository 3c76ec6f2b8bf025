"""Try prompts and strengths: talks to a process that holds the model, so that every try only draws. Without torch."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.draw_request import read_request
from trainer.run.control import send
from trainer.run.events import Event
from trainer.run.folder import RunFolder
from trainer.run.jobs import live_job, start_job
from trainer.run.jobs import read_request as read_job

KIND = "studio"
LEAVE_S = 20.0
"""How long a studio with another model may take to leave."""


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    id: str
    path: Path | None = None
    """The picture; None where it could not be drawn."""
    seconds: float = 0.0
    parameters: str = ""
    message: str = ""
    """Why there is none."""


def open_studio(
    project_root: Path, run: RunFolder | None = None, model: str = "", device: str = "auto", idle_minutes: float = 10
) -> RunFolder:
    """Return the studio of a project: the one that is open with this model, else a new one.

    One that is open with another model is told to leave first, which may take some seconds.

    Args:
        project_root: The project's folder.
        run: Its model, its sampler settings and its checkpoints; the project's without one.
        model: Another base model.
        device: auto, cpu, cuda, cuda:1 or mps.
        idle_minutes: It ends by itself after as long without a request.

    Raises:
        AppError: the process can't be started.
    """
    request = {
        "run": str(run.path) if run else "",
        "model": model,
        "device": device,
        "idle_minutes": idle_minutes,
    }
    live = live_job(project_root, KIND)
    if live is not None:
        if read_job(live) == request:
            return live
        close_studio(live)
        end = time.monotonic() + LEAVE_S
        while live_job(project_root, KIND) is not None and time.monotonic() < end:
            time.sleep(0.1)
    return start_job(project_root, KIND, request)


def ask(studio: RunFolder, **fields: Any) -> str:
    """Ask for a picture; a request that is not drawn yet is given up for this one.

    Args:
        studio: From `open_studio`.
        fields: Those of `DrawRequest`, e.g. `prompt="a portrait", hypernetworks=str(path), strength=0.8, seed=7`.
            Tags in the prompt count too; what is left out is as in the run's previews. Give a seed, or every
            picture has another one.

    Returns:
        The id that the answer carries.

    Raises:
        AppError: a field cannot be used, or the command cannot be delivered.
    """
    request = read_request({**fields, "batch": 1})
    return send(studio, "draw", request=request.model_dump_json(exclude_unset=True))


def answer_of(event: Event) -> Answer | None:
    """Return what an event of a studio says of a request; None for all other events."""
    if event["kind"] == "picture" and "id" in event:
        path, text = Path(str(event.get("path"))), str(event.get("parameters") or "")
        return Answer(str(event["id"]), path, float(event.get("seconds") or 0), text)
    if event["kind"] == "not_drawn" and "id" in event:
        return Answer(str(event["id"]), message=str(event.get("message") or ""))
    return None


def close_studio(studio: RunFolder) -> None:
    """Let the process leave, which frees the model's memory."""
    send(studio, "stop")
