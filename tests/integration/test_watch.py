"""Looking at a run must not change it; and what is seen is told."""

import math
from pathlib import Path

import pytest

from tests.support.projects import events, losses, make_run, photo_project, run_to_end
from trainer.hypernetwork import load
from trainer.project import Project
from trainer.run.events import read_events
from trainer.run.folder import RunFolder
from trainer.run.state import replay

DROPPING = {
    "network": {"activation": "relu", "dropout_structure": [0, 0.2, 0]},
    "optimizer": {"learning_rate": "1e-3"},
    "training": {"steps": 8},
    "validation": {"held_out_share": 0.0},
}
LOOKED_AT = {
    "validation": {"every": 2},
    "preview": {"every": 4},
    "health": {"variety_every": 2, "variety_seeds": 2, "variety_steps": 2},
}
LEFT_ALONE = {"validation": {"every": 0}, "preview": {"every": 0}, "save": {"best": False}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("watch"), count=6)


@pytest.fixture(scope="module")
def looked_at(project: Project) -> RunFolder:
    folder = make_run(project, DROPPING, LOOKED_AT)
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    return folder


def test_training_is_bit_identical_with_and_without_being_looked_at(project: Project, looked_at: RunFolder) -> None:
    alone = make_run(project, DROPPING, LEFT_ALONE)
    assert run_to_end(alone) == 0, alone.worker_log.read_text()
    assert losses(alone) == losses(looked_at)
    one, other = (load(r.hypernetworks / "photos-8.pt").state_dict() for r in (alone, looked_at))
    assert all(bool((one[name] == other[name]).all()) for name in one)
    assert not events(alone, "health") + events(alone, "validated")


def test_time_to_go_counts_from_the_first_step_on_what_looking_will_take(looked_at: RunFolder) -> None:
    told = read_events(looked_at.events_file)
    first = next(place for place, event in enumerate(told) if event["kind"] == "step")
    state = replay(told[: first + 1])
    beside_s, until = state.beside
    preview_s = state.previews[0].seconds
    assert preview_s is not None
    assert until == 4
    assert beside_s > preview_s / 4, "a validation for every other step comes on top"
    assert state.eta_s == pytest.approx(7 * (state.step_s + beside_s))


def test_health_is_told_with_each_validation(looked_at: RunFolder) -> None:
    healths = {health.step: health for health in replay(read_events(looked_at.events_file)).healths}
    assert set(healths) == {0, 2, 4, 6, 8}
    for health in healths.values():
        assert set(health.strength) == {"96", "32", "64", "128"}
        assert health.drift is not None
        assert health.drift > 0
    assert healths[8].strongest > healths[0].strongest, "the network grows as it trains"
    assert healths[8].drift > healths[0].drift
    assert healths[0].grad_norm is None
    assert math.isfinite(healths[8].grad_norm)
    assert [step for step, health in healths.items() if health.variety is not None] == [0, 4, 8]
    shown = [health for health in healths.values() if health.prompt]
    assert [health.step for health in shown] == [0, 4, 8]
    for health in shown:
        assert 0 < health.contrast < 1
        assert -1 <= health.similarity <= 1
        assert health.nearest.endswith(".png")


def test_too_few_pictures_are_measured_mirrored_instead(looked_at: RunFolder) -> None:
    for event in events(looked_at, "validated"):
        assert event["held_out"] is None
        assert event["mirrored"] > 0
    assert events(looked_at, "validated")[-1]["mirrored"] != events(looked_at, "validated")[-1]["training"]


def test_the_best_step_has_a_checkpoint_and_what_it_replaced_is_gone(project: Project) -> None:
    learning = {"optimizer": {"learning_rate": "8e-3"}, "validation": {"every": 1}, "save": {"every": 6}}
    folder = make_run(project, DROPPING, learning, {"preview": {"every": 0}})
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    finished = events(folder, "finished")[-1]
    there = {int(path.stem.rpartition("-")[2]) for path in folder.hypernetworks.glob("*.pt")}
    bests = [event["step"] for event in events(folder, "validated") if event["best"]]
    assert len(bests) > 1
    assert finished["best_step"] == bests[-1]
    assert there == {6, 8, bests[-1]}, "checkpoints that were there for being the best alone gave way"
    assert Path(finished["best_checkpoint"]).is_file()
    told = replay(read_events(folder.events_file))
    assert {made.step for made in told.saved} == there


def test_a_collapse_ends_the_run_only_where_that_was_asked_for(project: Project) -> None:
    wrecking = {"optimizer": {"learning_rate": "3"}, "validation": {"every": 1}, "preview": {"every": 0}}
    folder = make_run(project, DROPPING, wrecking, {"validation": {"stop_when": "overtrained"}})
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    stopped = events(folder, "stopped")
    assert stopped, "overtrained stops for a collapse too"
    assert stopped[-1]["step"] < 8
    said = events(folder, "verdict")
    assert [event["standing"] for event in said] == ["collapsed"]
    assert said[0]["best_step"] is None
    assert folder.hypernetworks.joinpath(f"photos-{stopped[-1]['step']}.pt").exists()
