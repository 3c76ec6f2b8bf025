"""A killed run goes on as if it had never stopped: same losses, same weights, bit for bit."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.support.projects import events, losses, make_run, photo_project, run_to_end, worker
from trainer.demo.assets import demo_model_dir
from trainer.project import Project
from trainer.run.folder import RunFolder
from trainer.run.status import Status, glance


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("survive"))


@pytest.fixture(scope="module")
def undisturbed(project: Project) -> RunFolder:
    folder = make_run(project)
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    return folder


def final_weights(folder: RunFolder) -> bytes:
    return (folder.hypernetworks / "photos-12.pt").read_bytes()


def wait_for_step(folder: RunFolder, step: int, timeout_s: float = 120) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if any(event["step"] >= step for event in events(folder, "step")):
            return
        time.sleep(0.02)
    raise AssertionError(folder.worker_log.read_text())


def test_a_run_leaves_all_the_files_that_users_know(undisturbed: RunFolder, project: Project) -> None:
    names = {path.relative_to(undisturbed.path).as_posix() for path in undisturbed.path.rglob("*") if path.is_file()}
    expected = {f"hypernetworks/photos-{step}.pt" for step in (4, 8, 12)}
    expected |= {f"hypernetworks/photos-{step}.pt.optim" for step in (4, 8, 12)}
    expected |= {f"images/photos-{step}.png" for step in (0, 6, 12)}
    expected |= {"run.toml", "events.jsonl", "hypernetwork_loss.csv", "worker.log"}
    assert expected <= names
    assert (project.root / "photos.pt").read_bytes() == final_weights(undisturbed)
    assert sorted(losses(undisturbed)) == list(range(1, 13))
    assert [event["step"] for event in events(undisturbed, "validated")] == [0, 6, 12]
    assert glance(undisturbed).status is Status.FINISHED


def test_sigkill_at_random_moments_changes_no_bit_of_the_result(undisturbed: RunFolder, project: Project) -> None:
    folder = make_run(project)
    rng = random.Random(7)
    for after_step in (2, 7):
        process = worker(folder)
        wait_for_step(folder, after_step)
        time.sleep(rng.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert glance(folder).status is Status.LOST
    assert run_to_end(folder) == 0
    assert losses(folder) == losses(undisturbed)
    assert final_weights(folder) == final_weights(undisturbed)
    assert folder.loss_csv.read_bytes() == undisturbed.loss_csv.read_bytes()
    assert (folder.images / "photos-12.png").read_bytes() == (undisturbed.images / "photos-12.png").read_bytes()


def test_sigterm_saves_and_ends_and_the_rest_is_the_same(undisturbed: RunFolder, project: Project) -> None:
    folder = make_run(project)
    process = worker(folder)
    wait_for_step(folder, 3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(240) == 0
    stopped = events(folder, "stopped")[-1]["step"]
    assert (folder.hypernetworks / f"photos-{stopped}.pt").is_file()
    assert run_to_end(folder) == 0
    assert events(folder, "started")[-1]["resumed_at_step"] == stopped
    assert final_weights(folder) == final_weights(undisturbed)


def test_previews_and_validation_disturb_no_bit_of_the_training(undisturbed: RunFolder, project: Project) -> None:
    folder = make_run(project, {"preview": {"every": 0}, "validation": {"every": 0}})
    assert run_to_end(folder) == 0
    assert events(folder, "preview") == events(folder, "validated") == []
    assert losses(folder) == losses(undisturbed)
    assert final_weights(folder) == final_weights(undisturbed)


def test_micro_batches_give_the_whole_batchs_gradient_up_to_rounding(undisturbed: RunFolder, project: Project) -> None:
    folder = make_run(project, {"memory": {"micro_batch": 1, "gradient_checkpointing": True}})
    assert run_to_end(folder) == 0
    for step, loss in losses(undisturbed).items():
        assert losses(folder)[step] == pytest.approx(loss, rel=1e-4)


def test_a_run_does_not_go_on_with_another_base_model(project: Project, tmp_path: Path) -> None:
    model = shutil.copytree(demo_model_dir(), tmp_path / "model")
    folder = make_run(project, {"model": {"path": str(model)}, "training": {"steps": 3}, "preview": {"every": 0}})
    assert run_to_end(folder) == 0
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2] + b"\0\1")
    assert run_to_end(folder) == 1
    assert "not the model that this run began with" in events(folder, "failed")[-1]["message"]
