"""What can go wrong in a run ends in one message, exit code 1, and files from which it can go on."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import hypernet
from tests.support.disks import remount, small_disk
from tests.support.projects import events, failure, make_run, photo_project, run_to_end, wait_for_event, worker
from trainer.hypernetwork import Hypernetwork, load, save
from trainer.project import Project
from trainer.run.lock import is_held
from trainer.run.status import Status, glance


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("faults"))


def test_a_missing_gpu_fails_with_what_to_do_on_the_command_line(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    outcome = hypernet(capfd, "train", str(project.root), "--set", "memory.device=cuda")
    assert outcome.code == 1
    assert "no CUDA card" in outcome.said
    assert "memory.device=auto" in outcome.said
    assert "Traceback" not in outcome.said


def test_a_hypernetwork_of_other_dimensions_is_refused_with_both_widths(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    save(Hypernetwork.create([768], seed=0), other)
    folder = make_run(project, {"network": {"start_from": str(other)}})
    assert run_to_end(folder) == 1
    for part in ("768", "96, 32, 64, 128", "other.pt"):
        assert part in failure(folder)
    assert not list(folder.hypernetworks.iterdir())


def test_an_infinite_loss_is_not_applied_and_names_the_pictures(project: Project) -> None:
    lowest = {"learning_rate": "1e32", "rate_scale": 0.02}
    folder = make_run(project, {"optimizer": lowest, "validation": {"every": 0}, "preview": {"every": 0}})
    assert run_to_end(folder) == 1
    told = failure(folder)
    assert "diverged" in told
    assert ".png" in told
    last = sorted(folder.state.glob("state-*.safetensors"))[-1]
    from safetensors.torch import load_file

    assert all(bool(tensor.isfinite().all()) for tensor in load_file(last).values())


def test_a_second_worker_on_a_run_leaves_the_first_alone(project: Project) -> None:
    folder = make_run(project)
    first = worker(folder)
    try:
        while not is_held(folder):
            assert first.poll() is None, folder.worker_log.read_text()
        second = subprocess.run([*first.args[:3], str(folder.path)], capture_output=True, text=True, timeout=60)
        assert second.returncode == 1
        assert f"pid {first.pid}" in second.stderr
        assert "Traceback" not in second.stderr
        assert glance(folder).status.is_live
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()


def test_a_full_disk_is_told_and_with_room_the_run_goes_on_to_its_end(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with small_disk(tmp_path / "disk", "30m") as disk:
        project = photo_project(disk)
        (disk / "filler").write_bytes(bytes(30 << 20 >> 1))
        folder = make_run(project, {"save": {"every": 1, "state_every_s": 0.0}, "preview": {"every": 0}})
        process = worker(folder)
        # It waits for room for ever, and shall not outlive a test that fails.
        request.addfinalizer(process.kill)
        question = wait_for_event(folder, "question")
        assert question["about"] == "disk"
        assert str(disk) in question["text"]
        assert question["details"]["needed_bytes"] > question["details"]["free_bytes"]
        assert (question["choices"], question["default"]) == (["wait", "stop"], "wait")
        assert glance(folder).status is Status.NEEDS_YOU
        for checkpoint in folder.hypernetworks.glob("*.pt"):
            load(checkpoint)
        assert not list(disk.rglob("*.tmp"))
        assert process.poll() is None
        remount(disk, "size=200m")
        assert process.wait(240) == 0
        assert [(event["choice"], event["by"]) for event in events(folder, "answered")] == [("wait", "policy")]
        assert [event["step"] for event in events(folder, "finished")] == [12]
