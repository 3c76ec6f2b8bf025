"""A stop is told at once and obeyed within whatever goes on; what it left off is done when the run goes on."""

import json
from typing import Any

import pytest

from tests.support.projects import events, losses, make_run, photo_project, run_to_end
from trainer.project import Project
from trainer.run.events import read_events
from trainer.run.folder import RunFolder
from trainer.run.status import Status, glance

STEPS = 6
SHORT: dict[str, Any] = {
    "training": {"steps": STEPS},
    "save": {"every": 3, "state_every_s": 1e6, "best": False},
    "preview": {"every": 3, "sampler": "Euler", "prompt": "a photograph"},
    "validation": {"every": 3},
    "health": {"every": 0},
}
CACHING = "trainer.preparation:load_pixels"
VALIDATION, PREVIEW = "trainer.validation:Validator._loss", "diffusers:EulerDiscreteScheduler.step"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("stopping"), 4)


@pytest.fixture(scope="module")
def undisturbed(project: Project) -> RunFolder:
    folder = make_run(project, SHORT)
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    return folder


@pytest.fixture
def run(project: Project, undisturbed: RunFolder) -> RunFolder:
    """A run whose latents and prompts are not computed yet."""
    for kept in (project.root / "cache").glob("*.safetensors"):
        kept.unlink()
    return make_run(project, SHORT)


def sit(folder: RunFolder, *stops: list[Any]) -> list[tuple[str, int]]:
    """Have a worker carry on until it ends; return what it told of, each with its step."""
    (folder.path / "injuries.json").write_text(json.dumps([stops]))
    before = len(read_events(folder.events_file))
    assert run_to_end(folder, "injured_worker") == 0, folder.worker_log.read_text()
    told = read_events(folder.events_file)[before:]
    return [(event["kind"], event.get("step", -1)) for event in told if event["kind"] in _TOLD]


_TOLD = {"ack", "stopping", "validated", "saved", "preview", "stopped", "finished", "failed"}
_STOPPING = ("stopping", -1)


def test_a_stop_leaves_off_what_goes_on_and_the_next_worker_makes_up_for_it(
    run: RunFolder, undisturbed: RunFolder
) -> None:
    assert sit(run, [CACHING, "stop", 2]) == [("ack", -1), _STOPPING, ("stopped", 0)]
    assert len(list((run.project_root / "cache").glob("*.safetensors"))) == 2
    assert glance(run).status is Status.STOPPED
    assert sit(run, [VALIDATION, "signal", 3]) == [_STOPPING, ("saved", 0), ("stopped", 0)]

    left_off = [("ack", -1), _STOPPING, ("saved", 0), ("stopped", 0)]
    assert sit(run, [PREVIEW, "stop", 1]) == [("validated", 0), *left_off]
    assert list(run.images.iterdir()) == []

    left_off = [("ack", -1), _STOPPING, ("saved", 3), ("stopped", 3)]
    assert sit(run, [VALIDATION, "stop", 2]) == [("preview", 0), *left_off]
    after_step_3 = [("validated", 3), ("saved", 3), ("preview", 3)]
    assert sit(run) == [*after_step_3, ("validated", 6), ("saved", 6), ("preview", 6), ("finished", 6)]

    assert not any("about" in event for event in events(run, "warning"))
    assert losses(run) == losses(undisturbed)
    numbers = ("step", "held_out", "training", "mirrored", "best_step", "start")
    told = [
        [{name: event.get(name) for name in numbers} for event in events(r, "validated")] for r in (run, undisturbed)
    ]
    assert told[0] == told[1]
    for path in (f"hypernetworks/photos-{STEPS}.pt", *(f"images/photos-{step}.png" for step in (0, 3, 6))):
        assert (run.path / path).read_bytes() == (undisturbed.path / path).read_bytes(), path
