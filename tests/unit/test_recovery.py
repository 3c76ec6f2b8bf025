"""Faults are judged by pure functions: what to do, when to give up, and what to tell."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from trainer.config import RunConfig
from trainer.errors import AppError
from trainer.faults import FaultKind
from trainer.recovery.changes import Change, add_change, effective_config, parse_changes
from trainer.recovery.decide import Circumstances, Decision, decide, lost, told
from trainer.recovery.fault import Fault
from trainer.recovery.kernel import oom_kills
from trainer.recovery.losses import LossWatch
from trainer.recovery.options import Option, rungs_below
from trainer.recovery.pipe import EventPipe, EventSource
from trainer.recovery.states import WayBack, last_state_step, mark_good, roll_back, way_back
from trainer.recovery.watchdog import Watchdog
from trainer.run.folder import RunFolder

SMALLER = Option("256-px", "Pictures of 256 px", "coarser pictures", {"data.size": "256"}, fits=True)
TIGHT = Option("micro-batch", "Fewer at once", changes={"memory.micro_batch": "1"}, fits=False)
ROOMY = Option("checkpointing", "Twice", changes={"memory.gradient_checkpointing": "true"}, fits=True)


def fault(kind: FaultKind, step: int = 5, during: str = "step", message: str = "It broke.", **details: Any) -> Fault:
    return Fault(kind, step, during, "Title", message, "Hint", details)


def settings(**sections: Any) -> RunConfig:
    return RunConfig.model_validate(sections)


def judge(newest: Fault, *before: Fault, below: tuple[Option, ...] = (), half: bool = False, gpu: bool = True,
          config: RunConfig | None = None, **more: Any) -> Decision:  # fmt: skip
    return decide(newest, before, Circumstances(config or RunConfig(), below, gpu, half, **more))


def default(decision: Decision) -> str:
    assert decision.default is not None
    return decision.default.id


def test_out_of_memory_takes_the_first_rung_that_fits_else_the_first_of_all() -> None:
    assert default(judge(fault(FaultKind.MEMORY), below=(TIGHT, ROOMY))) == "checkpointing"
    assert default(judge(fault(FaultKind.MEMORY), below=(TIGHT,))) == "micro-batch"


def test_pictures_shrink_only_where_the_user_allows_it() -> None:
    refused = judge(fault(FaultKind.MEMORY), below=(SMALLER,))
    assert refused.default is None
    assert refused.end is not None
    assert "data.size=256" in refused.end.hint
    assert [option.id for option in refused.choices] == ["256-px", "stop"]
    allowed = settings(memory={"smaller_pictures": True})
    assert default(judge(fault(FaultKind.MEMORY), below=(SMALLER,), config=allowed)) == "256-px"


def test_the_end_of_the_ladder_is_told_with_its_arithmetic() -> None:
    newest = fault(FaultKind.MEMORY, live_bytes=3 << 20, asked_bytes=2 << 20, limit_bytes=4 << 20)
    end = judge(newest, needed_bytes=6 << 20).end
    assert end is not None
    for part in ("needs about 6.0 MiB", "3.0 MiB in use", "2.0 MiB more asked for", "limit is 4.0 MiB"):
        assert part in end.message
    assert "memory.vram_limit" in end.hint


def test_a_pinned_rung_stays() -> None:
    pinned = judge(fault(FaultKind.MEMORY), below=(ROOMY,), config=settings(memory={"rung": "pinned"}))
    assert pinned.default is None
    assert pinned.end is not None
    assert "pinned" in pinned.end.message


def test_a_gpu_fault_restarts_then_raises_precision_then_ends_with_the_advice_for_it() -> None:
    newest = fault(FaultKind.CUDA, message="CUDA error: uncorrectable ECC error encountered")
    assert default(judge(newest, half=True)) == "again"
    assert default(judge(newest, newest, half=True)) == "fp32"
    end = judge(newest, newest, newest, half=False).end
    assert end is not None
    assert "ECC" in end.hint
    assert default(judge(newest, fault(FaultKind.CUDA, step=2), fault(FaultKind.CUDA, step=3))) == "again"


def test_a_gpu_fault_in_a_preview_costs_the_previews_and_not_the_run() -> None:
    newest = fault(FaultKind.CUDA, during="preview")
    assert judge(newest, newest).default.changes == {"preview.every": 0}  # type: ignore[union-attr]


def test_divergence_raises_precision_then_lowers_the_rate_then_ends() -> None:
    assert default(judge(fault(FaultKind.NAN), half=True)) == "fp32"
    lower = judge(fault(FaultKind.NAN)).default
    assert lower is not None
    assert lower.changes == {"optimizer.rate_scale": pytest.approx(0.3)}
    end = judge(fault(FaultKind.NAN), config=settings(optimizer={"rate_scale": 0.02})).end
    assert end is not None
    assert "Lower rates did not help" in end.message


def test_a_worker_killed_for_memory_takes_less_of_it_and_gives_up_without_progress() -> None:
    newest = fault(FaultKind.KILLED)
    assert default(judge(newest, below=(ROOMY,), gpu=False)) == "again"
    assert default(judge(newest, below=(ROOMY,), gpu=False, kernel_killed=True)) == "checkpointing"
    assert default(judge(newest, below=(ROOMY,), gpu=True, kernel_killed=True)) == "again"
    assert judge(newest, newest, newest, gpu=False).end is not None
    assert judge(newest, fault(FaultKind.KILLED, 1), fault(FaultKind.KILLED, 2), gpu=False).end is None


def test_a_hang_starts_again_twice_and_a_full_disk_is_waited_for() -> None:
    hang, disk = fault(FaultKind.HANG), fault(FaultKind.DISK)
    assert default(judge(hang, hang)) == "again"
    assert judge(hang, hang, hang).end is not None
    assert default(judge(disk, *[disk] * 9)) == "wait"


def test_what_happened_names_figures_and_holders_harmlessly() -> None:
    holders = [{"pid": 7, "name": "game\x1b[2J", "bytes": 5 << 30}]
    text = told(fault(FaultKind.MEMORY, free_bytes=1 << 30, total_bytes=8 << 30, holders=holders))
    assert "1.0 GiB of 8.0 GiB were free" in text
    assert "5.0 GiB" in text
    assert text.isprintable()
    assert "step 5 is saved" in lost(fault(FaultKind.MEMORY), WayBack(5))
    assert "2 steps are computed again from step 3" in lost(fault(FaultKind.KILLED), WayBack(3))
    assert "no step was made" in lost(fault(FaultKind.KILLED, 0), WayBack())


def test_a_model_out_of_the_table_still_has_a_ladder() -> None:
    config = settings(training={"batch_size": 5})
    options = rungs_below(None, config)
    assert [dict(option.changes) for option in options] == [
        {"memory.micro_batch": "3"},
        {"memory.gradient_checkpointing": "true"},
    ]
    assert rungs_below(None, settings(memory={"gradient_checkpointing": True})) == []


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "p/output", "p", date(2026, 11, 23))
    folder.config_file.write_text('name = "p"\n[training]\nbatch_size = 4\n')
    return folder


def test_changes_hold_from_then_on_and_the_run_file_stays_as_it_was(run: RunFolder) -> None:
    before = run.config_file.read_bytes()
    add_change(run, Change(3, "memory", {"memory.micro_batch": "2"}))
    add_change(run, Change(7, "nan", {"optimizer.rate_scale": 0.3, "memory.micro_batch": 1}))
    config = effective_config(run)
    assert (config.memory.micro_batch, config.optimizer.rate_scale, config.training.batch_size) == (1, 0.3, 4)
    assert run.config_file.read_bytes() == before
    assert [change["step"] for change in json.loads((run.path / "changes.json").read_text())] == [3, 7]
    (run.path / "changes.json").write_text("[{")
    with pytest.raises(AppError, match=r"changes\.json"):
        effective_config(run)


def test_what_is_learned_does_not_change_within_a_run() -> None:
    assert parse_changes(["memory.micro_batch=2", "data.size=256"]) == {"memory.micro_batch": "2", "data.size": "256"}
    for refused in ("training.batch_size=2", "seed=1", "network.layer_structure=1,1"):
        with pytest.raises(AppError, match="new run"):
            parse_changes([refused])
    with pytest.raises(AppError, match="micro_batch"):
        parse_changes(["memory.micro_bach=2"])


def test_rolling_back_makes_the_state_that_was_sound_the_newest(run: RunFolder) -> None:
    def write(step: int) -> Path:
        path = run.state / f"state-{step:08d}.safetensors"
        path.write_text(str(step))
        return path

    write(10)
    roll_back(run)
    assert last_state_step(run) == 10
    mark_good(write(20))
    mark_good(write(30))
    write(40), write(50)
    (run.state / "state-00000030.safetensors").unlink()
    roll_back(run)
    assert last_state_step(run) == 30
    assert (run.state / "state-00000030.safetensors").read_text() == "30"
    assert not (run.state / "good-state-00000020.safetensors").exists()


def test_the_way_back_after_divergence_is_told_before_it_is_gone(run: RunFolder) -> None:
    def write(step: int, *changes: tuple[int, str, str]) -> Path:
        path = run.state / f"state-{step:08d}.safetensors"
        facts = {"step": step, "changes": changes, "learning_rate": 50.0 if changes else 1e-3}
        save_file({"weights": np.zeros(2)}, path, {"facts": json.dumps(facts)})
        return path

    mark_good(write(20))
    write(30), write(40, (35, "learning_rate", "50"))
    config = settings(optimizer={"rate_scale": 0.5})
    assert way_back(run, config, diverged=False) == WayBack(40, 25.0)
    back = way_back(run, config, diverged=True)
    newest = fault(FaultKind.NAN, 43, learning_rate=25.0)
    told = lost(newest, back)
    assert "23 steps are computed again from step 20" in told
    assert "What was changed since then is undone: learning rate 25." in told
    titles = ["The learning rate as it was: 0.0005", "0.15 times the learning rate: 0.00015"]
    assert [option.title for option in judge(newest, back=back, config=config).options] == titles
    assert default(judge(newest, newest, back=back, config=config)) == "lower-rate"
    lowered = fault(FaultKind.NAN, 43, learning_rate=1e-5)
    assert default(judge(lowered, back=back, config=config)) == "lower-rate"
    roll_back(run)
    assert way_back(run, config, diverged=True) == WayBack(20, 5e-4)


def test_a_loss_that_explodes_is_known_by_its_own_history_and_a_hard_step_is_not_one() -> None:
    watch = LossWatch()
    for number in range(60):
        assert not watch.explodes(0.9 if number % 7 == 0 else 0.05)
        watch.add(0.9 if number % 7 == 0 else 0.05)
    assert not watch.explodes(2.0)
    assert watch.explodes(float("nan"))
    assert watch.explodes(1e4)
    for _ in range(9):
        watch.add(5.0)
    assert watch.explodes(5.0)
    assert not watch.calm


def test_a_silence_is_told_once_and_is_a_hang_when_it_lasts() -> None:
    now = [0.0]
    dog = Watchdog(10, clock=lambda: now[0])
    for _ in range(5):
        now[0] += 1
        dog.hear(1.0)
    assert dog.limit_s == 60
    now[0] += 59
    assert not dog.suspects()
    now[0] += 2
    assert dog.suspects()
    assert not dog.suspects()
    assert not dog.hangs
    now[0] += 60
    assert dog.hangs
    dog.hear()
    assert not dog.hangs


def test_the_kernels_counters_are_read_in_both_versions(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/user/job\n")
    (tmp_path / "user/job").mkdir(parents=True)
    assert oom_kills(tmp_path, own) is None
    (tmp_path / "user/job/memory.events").write_text("low 0\noom 4\noom_kill 3\noom_group_kill 0\n")
    assert oom_kills(tmp_path, own) == 3
    own.write_text("9:cpu:/x\n4:memory:/job\n")
    (tmp_path / "memory/job").mkdir(parents=True)
    (tmp_path / "memory/job/memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert oom_kills(tmp_path, own) == 1


def test_events_pass_the_pipe_whole_and_a_cut_one_is_dropped() -> None:
    reading, writing = os.pipe()
    pipe, source = EventPipe(writing), EventSource(reading)
    pipe.emit("step", step=1, loss=float("nan"), path=Path("a b"))
    os.write(writing, b'{"kind": "st')
    assert source.new() == [{"kind": "step", "step": 1, "loss": "nan", "path": "a b"}]
    os.close(writing)
    assert source.new() == []
    assert not source.open
    source.close()
    assert Fault.of(fault(FaultKind.DISK, path="x").as_payload()) == fault(FaultKind.DISK, path="x")
