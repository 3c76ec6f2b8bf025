"""Jobs other than training as processes: followed, stopped, gone on with, refused while one is at work."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.commands import hypernet
from trainer.errors import AppError
from trainer.project import Project, create_project
from trainer.run.control import send
from trainer.run.events import read_events
from trainer.run.facts import Situation
from trainer.run.folder import RunFolder
from trainer.run.jobs import KEPT, live_job, make_job, newest_job, start_job
from trainer.run.lock import owner
from trainer.run.state import RunState, replay
from trainer.run.status import Status, read_status

LIMIT_S = 180.0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of a dozen pictures, two of which cannot be used."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    numbers = np.random.default_rng(0)
    for index in range(12):
        pixels = numbers.integers(0, 255, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((90, 90)).save(folder / f"picture-{index}.png")
    (folder / "broken.png").write_bytes((folder / "picture-0.png").read_bytes()[:300])
    (folder / "none.jpg").write_text("no picture")
    made = create_project("heap", folder, "", root=tmp_path / "projects")
    return made.update(settings={"data": {"size": 64}})


def until(true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def state_of(folder: RunFolder) -> RunState:
    return replay(read_events(folder.events_file))


def at_end(folder: RunFolder) -> RunState:
    until(lambda: not read_status(folder).is_live)
    return state_of(folder)


def test_a_crop_job_tells_every_picture_and_a_caption_job_follows(project: Project) -> None:
    job = start_job(project.root, "crop", {"workers": 1})
    assert job.project_root == project.root
    state = at_end(job)
    assert state.situation is Situation.FINISHED, job.worker_log.read_text()
    assert len(state.items) == 14
    assert {item.name: item.status for item in state.items}["broken.png"] == "left-aside"
    made = [Path(item.path) for item in state.items if item.path]
    assert len(made) == 12
    assert all(path.is_file() for path in made)
    assert (state.phase.done, state.phase.total) == (14, 14) if state.phase else False
    assert read_events(job.events_file)[-1]["counts"] == {"done": 12, "unchanged": 0, "left-aside": 2}

    state = at_end(start_job(project.root, "caption", {}))
    assert state.situation is Situation.FINISHED
    assert {item.detail for item in state.items} == {f"picture-{index}" for index in range(12)}
    assert len(list(project.processed.glob("*.txt"))) == 12


def test_a_second_job_is_refused_while_one_is_at_work(project: Project) -> None:
    job = start_job(project.root, "check", {"workers": 1})
    with pytest.raises(AppError, match=r"hypernet stop .*jobs/check/0001"):
        start_job(project.root, "check", {})
    at_end(job)
    assert live_job(project.root, "check") is None
    second = start_job(project.root, "check", {"workers": 1})
    assert second.name == "0002"
    assert at_end(second).situation is Situation.FINISHED
    # A crop and captions write the same folder.
    make_job(project.root, "crop", {})
    with pytest.raises(AppError, match="A crop job"):
        start_job(project.root, "caption", {})


@pytest.mark.parametrize("how", ["command", "signal"])
def test_a_stopped_job_keeps_what_is_done_and_the_next_does_the_rest(project: Project, how: str) -> None:
    # Pictures that take a while each, so that the stop comes in between.
    for path in project.pictures.glob("picture-*.png"):
        Image.open(path).resize((1500, 1500)).save(path, compress_level=0)
    job = start_job(project.root, "crop", {"workers": 1})
    until(lambda: len(state_of(job).items) >= 2)
    if how == "command":
        send(job, "stop")
    else:
        holder = owner(job)
        assert holder is not None
        os.kill(holder.pid, signal.SIGTERM)
    state = at_end(job)
    assert state.situation is Situation.STOPPED
    done = sum(item.status == "done" for item in state.items)
    assert 0 < done < 12
    again = at_end(start_job(project.root, "crop", {"workers": 1}))
    statuses = [item.status for item in again.items]
    assert statuses.count("unchanged") >= done - 1
    assert statuses.count("unchanged") + statuses.count("done") == 12


def test_what_goes_wrong_is_told_with_what_to_do(project: Project) -> None:
    state = at_end(start_job(project.root, "caption", {}))
    assert state.failure is not None
    assert state.failure.error == "No training pictures"
    assert "hypernet crop" in state.failure.hint
    assert newest_job(project.root, "caption") is not None
    unknown = at_end(start_job(project.root, "nonsense", {}))
    assert unknown.failure is not None
    assert "no job nonsense" in unknown.failure.message


def test_old_jobs_are_removed_and_a_command_makes_a_job_too(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(KEPT + 2):
        assert hypernet(capfd, "check", str(project.root), "--workers", "1").code == 0
    kept = sorted(path.name for path in (project.root / "jobs" / "check").iterdir())
    assert kept == [f"{number:04d}" for number in range(3, KEPT + 3)]
    newest = newest_job(project.root, "check")
    assert newest is not None
    assert read_status(newest) is Status.FINISHED
    assert json.loads((newest.path / "job.json").read_text()) == {"workers": 1}


def test_ctrl_c_stops_a_command_and_its_job(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.jobs import crop

    original = crop.crop_folder

    def interrupted(*args: object, **kwargs: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(crop, "crop_folder", interrupted)
    assert hypernet(capfd, "crop", str(project.root), "--workers", "1").code == 130
    job = newest_job(project.root, "crop")
    assert job is not None
    assert read_status(job) is Status.STOPPED
