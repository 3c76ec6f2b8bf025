"""Real runs on the demo model in which memory runs out, or the card fails, once in every phase: the end is the same."""

import json
import re
from typing import Any

import pytest
import torch
from PIL import Image

from tests.support.projects import events, losses, make_run, photo_project, run_to_end
from trainer.hypernetwork import load
from trainer.project import Project
from trainer.recovery.changes import effective_config, read_changes
from trainer.run.folder import RunFolder
from trainer.run.status import Status, glance

STEPS, BATCH = 6, 4
PINNED = {"memory": {"rung": "pinned"}}
"""No setting changes when memory runs out: the run ends, and is resumed."""
SHORT: dict[str, Any] = {
    "training": {"steps": STEPS, "batch_size": BATCH},
    "save": {"every": 3, "state_every_s": 1e6},
    "preview": {"every": 3, "width": 128, "height": 128, "prompt": "a photograph"},
    "validation": {"every": 3, "pictures": 1},
    "health": {"every": 0},
}
LOADING, RESUMING = "trainer.preparation:load_parts", "trainer.training_state:restore_optimizer"
LATENTS, PROMPTS = "trainer.memory.fallback:RoomyVae._run", "trainer.preparation:encode_prompts"
GRADIENT, CLIPPING = "trainer.training:accumulate_gradient", "trainer.training:clip_gradient"
UPDATE = "trainer.training:StepGuard.begin"
VALIDATION, PREVIEW = "trainer.watch:Watch.validate", "trainer.preview:sample_latents"
CHECKPOINT, STATE = "trainer.training:save_optimizer", "trainer.training_state:write_state"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("hurt"), 4)


@pytest.fixture(scope="module")
def undisturbed(project: Project) -> RunFolder:
    folder = make_run(project, SHORT, PINNED)
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    return folder


@pytest.fixture
def hurt(project: Project) -> RunFolder:
    """A run whose latents and prompts are not computed yet."""
    for kept in (project.root / "cache").glob("*.safetensors"):
        kept.unlink()
    return make_run(project, SHORT, PINNED)


def injure(folder: RunFolder, *injuries: list[list[Any]]) -> None:
    (folder.path / "injuries.json").write_text(json.dumps(injuries))


def final_weights(folder: RunFolder) -> bytes:
    return (folder.hypernetworks / f"photos-{STEPS}.pt").read_bytes()


def test_memory_that_runs_out_in_every_phase_changes_no_step_and_no_bit(
    undisturbed: RunFolder, hurt: RunFolder
) -> None:
    injure(
        hurt,
        [[LOADING, "memory", 1]],
        # In tiles, the second way, latents would differ: the third one is the CPU.
        [[place, "memory", 1] for place in (LATENTS, LATENTS, PROMPTS, VALIDATION, GRADIENT)],
        [[UPDATE, "memory", 2]],
        [[RESUMING, "memory", 1]],
        [[CHECKPOINT, "memory", 1]],
        [[PREVIEW, "memory", 1], [CLIPPING, "ram", 2]],
        [[STATE, "ram", 1]],
    )
    while run_to_end(hurt, "injured_worker") == 1:
        assert glance(hurt).status is Status.OUT_OF_MEMORY, hurt.worker_log.read_text()
    told = [event["message"] for event in events(hurt, "failed")]
    assert all("The rung is pinned" in message for message in told)
    assert [re.findall("during (.*?) after step ([0-9]+)", message)[0] for message in told] == [
        ("loading the base model", "0"),
        ("step", "0"),
        ("optimizer", "1"),
        ("resuming", "1"),
        ("saving", "3"),
        ("step", "4"),
        ("saving", "6"),
    ]
    assert glance(hurt).status is Status.FINISHED
    assert losses(hurt) == losses(undisturbed)
    assert final_weights(hurt) == final_weights(undisturbed)
    assert read_changes(hurt) == []
    warnings = events(hurt, "warning")
    assert [event["about"] for event in warnings if "about" in event] == ["validation", "preview"]
    for part in ("the VAE goes on on the CPU", "the text encoder goes on on the CPU"):
        assert any(part in event["message"] for event in warnings)


def test_down_the_ladder_the_effective_batch_and_within_rounding_the_end_stay_the_same(
    project: Project, undisturbed: RunFolder
) -> None:
    folder = make_run(project, SHORT)
    injure(folder, [[LOADING, "memory", 1]], [[PREVIEW, "memory", 1], [UPDATE, "memory", 5]], [[CLIPPING, "text", 1]])
    assert run_to_end(folder, "injured_worker") == 0, folder.worker_log.read_text()
    told = events(folder, "recovering")
    assert [(event["why"], event["step"]) for event in told] == [("memory", 0), ("memory", 4), ("memory", 4)]
    assert all(event["changes"] for event in told)
    config = effective_config(folder)
    assert 0 < config.memory.micro_batch < BATCH
    assert config.memory.gradient_checkpointing
    assert (config.memory.weights, config.training.batch_size) == ("full", BATCH)
    assert losses(folder).keys() == losses(undisturbed).keys()
    for step, loss in losses(undisturbed).items():
        assert losses(folder)[step] == pytest.approx(loss, rel=1e-3)
    theirs, ours = (load(each.hypernetworks / f"photos-{STEPS}.pt").state_dict() for each in (undisturbed, folder))
    for name, tensor in theirs.items():
        assert torch.allclose(ours[name], tensor, atol=1e-4), name
    assert not (folder.images / "photos-0.png").exists()
    assert Image.open(folder.images / "photos-3.png").size == (64, 64)
    assert Image.open(undisturbed.images / "photos-3.png").size == (128, 128)


def test_a_card_that_fails_in_a_step_and_in_saving_changes_no_step_and_no_bit(
    undisturbed: RunFolder, hurt: RunFolder
) -> None:
    injure(hurt, [[CLIPPING, "cuda", 3]], [[STATE, "cuda", 1]])
    assert run_to_end(hurt, "injured_worker") == 0, hurt.worker_log.read_text()
    assert [event["why"] for event in events(hurt, "recovering")] == ["cuda"] * 2
    assert losses(hurt) == losses(undisturbed)
    assert final_weights(hurt) == final_weights(undisturbed)
    assert read_changes(hurt) == []
