"""The job "studio": a loaded model that draws on command, for trying prompts and strengths.

Request: `run` (a run's folder) or nothing for the project's model, `model`, `device`, `idle_minutes`.
Command `draw` with `request`, a `DrawRequest` as JSON. Events: `picture` (id, path, seconds, parameters),
`not_drawn` (id, message). A request that a newer one overtakes is given up without a word.
"""

import json
import time
from pathlib import Path
from typing import Any

from trainer.draw_request import read_request
from trainer.drawing_setup import DrawingSetup, default_request, open_setup
from trainer.errors import AppError
from trainer.generate import Artist
from trainer.jobs.job import Done, Job
from trainer.png_parameters import save_png
from trainer.run.control import Command
from trainer.run.folder import RunFolder

POLL_S = 0.05
KEPT_PICTURES = 200


class Overtaken(Exception):
    """A newer request has come; what was being drawn is of no use any more."""


def run(job: Job) -> Done:
    """Draw until told to stop, or until nobody asked for a while."""
    artist = _loaded(job)
    idle_s = 60.0 * float(job.request.get("idle_minutes", 10))
    waiting: Command | None = None
    asked_s, drawn = time.monotonic(), 0
    while waiting or time.monotonic() - asked_s < idle_s:
        command, waiting = waiting or _newest(job), None
        if command is None:
            time.sleep(POLL_S)
            continue
        try:
            _draw(job, artist, command)
            drawn += 1
        except Overtaken as newer:
            waiting = newer.args[0]
        asked_s = time.monotonic()
    return Done({"counts": {"drawn": drawn}})


def _loaded(job: Job) -> Artist:
    job.phase("loading the base model", 0, 1)
    artist = Artist.load(_setup(job.request, job.folder.project_root), job.warn)
    job.phase("loading the base model", 1, 1)
    job.emit("ready", size=artist.setup.size_px)
    return artist


def _setup(request: Any, project_root: Path) -> DrawingSetup:
    run_folder = RunFolder(Path(request["run"])) if request.get("run") else None
    over = {"memory": {"device": request.get("device") or "auto"}}
    return open_setup(str(project_root), run_folder, request.get("model") or "", [], over)


def _newest(job: Job) -> Command | None:
    commands = [command for command in job.commands() if command.name == "draw"]
    return commands[-1] if commands else None


def _draw(job: Job, artist: Artist, command: Command) -> None:
    def look(done: int, total: int) -> None:
        newer = _newest(job)
        if newer:
            raise Overtaken(newer)

    started = time.monotonic()
    try:
        request = read_request({**default_request(artist.setup, True), **json.loads(command.fields["request"])})
        one = artist.draw(request, look)[0]
    except AppError as error:
        job.emit("not_drawn", id=command.id, message=str(error))
        return
    folder = job.folder.path / "pictures"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{command.id}.png"
    save_png(one.picture, path, one.parameters)
    for old in sorted(folder.glob("*.png"))[:-KEPT_PICTURES]:
        old.unlink()
    seconds = round(time.monotonic() - started, 3)
    job.emit("picture", id=command.id, path=path, seconds=seconds, parameters=one.parameters)
