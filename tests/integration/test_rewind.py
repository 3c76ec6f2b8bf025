"""Going back: the new run goes on as the old one did, bit for bit, and the old one stays as it was."""

import json
from pathlib import Path

import pytest

from tests.support.commands import hypernet
from tests.support.projects import events, losses, make_run, photo_project, run_to_end
from trainer.errors import AppError
from trainer.hypernetwork import load
from trainer.project import Project
from trainer.recovery.changes import Change, add_change, effective_config
from trainer.rewind import prepare_rewind, rewound_state
from trainer.run.events import read_events
from trainer.run.folder import RunFolder
from trainer.run.state import replay

OVER = {
    "optimizer": {"learning_rate": "1e-3", "schedule": "cosine", "warmup_steps": 3},
    "network": {"activation": "relu"},
    "validation": {"every": 3},
    "preview": {"every": 6},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("rewind"))


@pytest.fixture(scope="module")
def run(project: Project) -> RunFolder:
    folder = make_run(project, OVER)
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    return folder


def contents(folder: RunFolder) -> dict[str, bytes]:
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def branch(run: RunFolder) -> RunFolder:
    before = contents(run)
    new = prepare_rewind(run, 4)
    assert run_to_end(new) == 0, new.worker_log.read_text()
    assert contents(run) == before, "the old run was touched"
    return new


def test_an_undisturbed_rewind_repeats_the_run_bit_for_bit(run: RunFolder, branch: RunFolder) -> None:
    assert branch.path != run.path
    assert losses(branch) == losses(run)
    (rewound,) = events(branch, "rewound")
    whole = replay(read_events(run.events_file)).elapsed_s
    assert 0 < rewound["elapsed_s"] < whole
    validated = [{e["step"]: (e["held_out"], e["training"]) for e in events(r, "validated")} for r in (run, branch)]
    assert validated[0] == validated[1]
    old, new = (load(r.hypernetworks / "photos-12.pt").state_dict() for r in (run, branch))
    assert all(bool((old[name] == new[name]).all()) for name in old)
    assert (run.images / "photos-12.png").read_bytes() == (branch.images / "photos-12.png").read_bytes()


def test_curves_join_and_only_the_missing_steps_are_made(branch: RunFolder) -> None:
    state = replay(read_events(branch.events_file))
    assert [point.step for point in state.points] == list(range(1, 13))
    assert [made.step for made in state.previews] == [0, 6, 12]
    all_events = read_events(branch.events_file)
    since = next(place for place, event in enumerate(all_events) if event["kind"] == "started")
    assert all_events[since]["resumed_at_step"] == 4
    assert [event["step"] for event in all_events[since:] if event["kind"] == "step"] == list(range(5, 13))
    rows = branch.loss_csv.read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(n) for n in range(1, 13)]


def test_a_lower_rate_and_more_steps_apply_from_there_on(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYPERNET_PROJECTS", str(run.project_root.parent))
    said = hypernet(
        capfd,
        "rewind",
        str(run.path),
        "--to",
        "8",
        "--learning-rate",
        "1e-5",
        "--steps",
        "14",
        "--set",
        "preview.every=0",
    )
    assert said.code == 0, said.said
    others = [path for path in run.path.parent.parent.glob("*/photos*") if path != run.path]
    new = max(others, key=lambda path: path.stat().st_mtime)
    made = events(RunFolder(new), "step")
    assert [event["step"] for event in made][-6:] == [9, 10, 11, 12, 13, 14]
    assert {event["learning_rate"] for event in made[-6:]} == {1e-5}
    assert "goes on from step 8" in said.out
    assert "step 4/" not in said.out
    assert "validation at step 6" not in said.out, "what the old run told is not told again"


def test_half_precision_goes_on_with_the_scale_of_its_gradients(run: RunFolder) -> None:
    """Half precision needs a GPU: here the checkpoint's event says what such a run would have said."""
    scaler = {
        "scale": 512.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 2000,
        "_growth_tracker": 7,
    }
    whole = run.events_file.read_text()
    assert events(run, "saved")[1]["scaler"] == {}
    told = [
        {**e, "scaler": scaler} if e["kind"] == "saved" and e["step"] == 8 else e for e in read_events(run.events_file)
    ]
    run.events_file.write_text("".join(json.dumps(event) + "\n" for event in told))
    try:
        new = prepare_rewind(run, 8)
    finally:
        run.events_file.write_text(whole)
    state, _ = rewound_state(new, load(run.hypernetworks / "photos-8.pt"))
    assert state is not None
    assert state.facts["scaler"] == scaler


def test_what_cannot_be_gone_back_to_is_said_with_what_can(run: RunFolder) -> None:
    with pytest.raises(AppError, match="no checkpoint of step 5") as none:
        prepare_rewind(run, 5)
    assert "4, 8, 12" in none.value.hint or "4" in none.value.hint
    with pytest.raises(AppError, match="Step 12 is the last one"):
        prepare_rewind(run, 12)


def test_what_recovery_had_changed_by_then_holds_in_the_new_run_too(run: RunFolder) -> None:
    add_change(run, Change(3, "nan", {"optimizer.rate_scale": 0.3, "memory.precision": "fp32"}))
    add_change(run, Change(4, "memory", {"memory.micro_batch": "1"}))
    add_change(run, Change(6, "memory", {"memory.gradient_checkpointing": "true"}))
    try:
        same = effective_config(prepare_rewind(run, 4))
        given = {"optimizer": {"learning_rate": "1e-4"}, "memory": {"micro_batch": 2}}
        other = effective_config(prepare_rewind(run, 4, given))
    finally:
        (run.path / "changes.json").unlink()
    assert (same.optimizer.rate_scale, same.memory.precision, same.memory.micro_batch) == (0.3, "fp32", 1)
    assert not same.memory.gradient_checkpointing
    assert (other.optimizer.rate_scale, other.memory.precision, other.memory.micro_batch) == (1.0, "fp32", 2)


def test_a_checkpoint_without_its_optimizer_starts_cold_and_says_so(run: RunFolder, tmp_path: Path) -> None:
    optimizer = run.hypernetworks / "photos-8.pt.optim"
    kept = optimizer.read_bytes()
    optimizer.unlink()
    try:
        new = prepare_rewind(run, 8, {"preview": {"every": 0}})
    finally:
        optimizer.write_bytes(kept)
    assert run_to_end(new) == 0, new.worker_log.read_text()
    assert any("starts cold" in event["message"] for event in events(new, "warning"))
