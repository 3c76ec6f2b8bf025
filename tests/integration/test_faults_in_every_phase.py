"""Real runs on the demo model in which memory runs out, or the card fails, once in every phase: the end is the same."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.projects import events, losses, make_run, photo_project, run_to_end, worker
from trainer.project import Project
from trainer.recovery.changes import effective_config, read_changes
from trainer.run.folder import RunFolder
from trainer.run.status import Status, glance

SUPPORT = Path(__file__).resolve().parents[1] / "support"
STEPS, BATCH = 6, 8
LOWEST = {"memory": {"micro_batch": 1, "gradient_checkpointing": True}}
"""The lowest rung of a model that the table of sizes doesn't hold: nothing changes after a fault."""
SHORT: dict[str, Any] = {
    "training": {"steps": STEPS, "batch_size": BATCH},
    "save": {"every": 3, "state_every_s": 1e6},
    "preview": {"every": 3, "width": 128, "height": 128},
    "validation": {"every": 3, "pictures": 1},
    "health": {"every": 0},
}
LOADING, UPDATE = "trainer.preparation:load_parts", "trainer.training:StepGuard.begin"
SOME_STEP = "trainer.step:Denoiser.loss_B"
CHECKPOINT, STATE = "trainer.training:save_optimizer", "trainer.training:write_state"
RESUMING = "trainer.training:restore_optimizer"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("hurt"), 4)


@pytest.fixture(scope="module")
def undisturbed(project: Project) -> RunFolder:
    folder = make_run(project, SHORT, LOWEST)
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    return folder


@pytest.fixture
def hurt(project: Project) -> RunFolder:
    """A run whose latents and prompts are not computed yet."""
    for kept in (project.root / "cache").glob("*.safetensors"):
        kept.unlink()
    return make_run(project, SHORT, LOWEST)


def injure(folder: RunFolder, *injuries: list[list[Any]]) -> None:
    (folder.path / "injuries.json").write_text(json.dumps(injuries))


def sit(folder: RunFolder) -> int:
    """Have a supervisor carry out the run with workers that are hurt; return its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    process = worker(folder, "fake_supervisor", ["injured_worker"], env=environment)
    try:
        return process.wait(400)
    finally:
        process.kill()
        process.wait()


def final_weights(folder: RunFolder) -> bytes:
    return (folder.hypernetworks / f"photos-{STEPS}.pt").read_bytes()


def test_memory_that_runs_out_in_every_phase_changes_no_step_and_no_bit(
    undisturbed: RunFolder, hurt: RunFolder
) -> None:
    phases = {
        "loading the base model": [LOADING, "memory", 1],
        "step": [SOME_STEP, "text", 1],
        "optimizer": [UPDATE, "memory", 2],
        "saving": [STATE, "ram", 1],
        "resuming": [RESUMING, "memory", 1],
    }
    latents, text = "trainer.memory.fallback:RoomyVae._run", "trainer.preparation:encode_prompts"
    mended = [[latents, "memory", 1], [text, "text", 1]]
    injure(
        hurt,
        [phases["loading the base model"]],
        [*mended, ["trainer.watch:Watch.validate", "memory", 1], [SOME_STEP, "text", 5]],
        [[UPDATE, "memory", 2]],
        [phases["resuming"]],
        [["trainer.preview:sample_latents", "memory", 1], [CHECKPOINT, "memory", 1]],
        [[STATE, "ram", 1]],
        [[SOME_STEP, "ram", 1 + BATCH]],
    )
    told = []
    while sit(hurt) == 1:
        failed = events(hurt, "failed")
        assert len(failed) == len(told) + 1, hurt.worker_log.read_text()
        told.append(failed[-1])
        assert "Nothing is left on the ladder" in told[-1]["message"]
        assert glance(hurt).status is Status.OUT_OF_MEMORY
    print([each["message"] for each in told])
    assert glance(hurt).status is Status.FINISHED
    assert losses(hurt) == losses(undisturbed)
    assert final_weights(hurt) == final_weights(undisturbed)
    assert read_changes(hurt) == []
    assert [event["about"] for event in events(hurt, "warning") if "about" in event] == ["validation", "preview"]


def test_down_the_ladder_the_effective_batch_and_within_rounding_the_end_stay_the_same(
    project: Project, undisturbed: RunFolder
) -> None:
    folder = make_run(project, SHORT)
    injure(
        folder,
        [[LOADING, "memory", 1]],
        [[SOME_STEP, "text", 12]],
        [[UPDATE, "memory", 2]],
        [[STATE, "ram", 1]],
    )
    assert sit(folder) == 0, folder.worker_log.read_text()
    told = events(folder, "recovering")
    assert [event["why"] for event in told] == ["memory"] * 4
    assert [list(event["changes"].items()) for event in told] == [
        [("memory.micro_batch", "4")],
        [("memory.micro_batch", "2")],
        [("memory.micro_batch", "1")],
        [("memory.gradient_checkpointing", "true")],
    ]
    assert effective_config(folder).training.batch_size == BATCH
    assert losses(folder).keys() == losses(undisturbed).keys()
    for step, loss in losses(undisturbed).items():
        assert losses(folder)[step] == pytest.approx(loss, rel=1e-3)


def test_a_card_that_fails_in_phases_changes_no_step_and_no_bit(undisturbed: RunFolder, hurt: RunFolder) -> None:
    injure(
        hurt,
        [["trainer.preparation:Contexts.load", "cuda", 1]],
        [[SOME_STEP, "cuda", 3 * BATCH]],
        [["trainer.preview:sample_latents", "cuda", 2]],
        [[STATE, "cuda", 1]],
    )
    assert sit(hurt) == 0, hurt.worker_log.read_text()
    assert [event["why"] for event in events(hurt, "recovering")] == ["cuda"] * 4
    assert losses(hurt) == losses(undisturbed)
    assert final_weights(hurt) == final_weights(undisturbed)
    assert read_changes(hurt) == []
    assert glance(hurt).status is Status.FINISHED


def test_the_preview_after_one_that_failed_is_smaller(undisturbed: RunFolder) -> None:
    assert Image.open(undisturbed.images / "photos-3.png").size == (128, 128)
