"""How `hypernet plan` learns from what was measured on this machine: time and peak."""

import json
import socket
from typing import Any

import pytest

from tests.unit.memory.conftest import CARD, GIB, MakePlan
from trainer.config import config_toml
from trainer.project import Project


def write_run(project: Project, name: str, step_s: float, host: str = "", device: str = CARD, **over: Any) -> None:
    folder = project.output / "2026-11-23" / name
    folder.mkdir(parents=True)
    (folder / "run.toml").write_text(config_toml(project.settings(over)))
    events: list[dict[str, Any]] = [
        {"kind": "started", "host": host or socket.gethostname()},
        {"kind": "phase", "name": "training", "device": device},
        *({"kind": "step", "step": n, "seconds": step_s, "vram_bytes": 3 * GIB} for n in range(1, 9)),
        {"kind": "preview", "step": 8, "seconds": 4.0},
    ]
    lines = [json.dumps({"v": 1, "seq": n, "t": 1000.0 + n, **event}) for n, event in enumerate(events, start=1)]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")


def test_time_is_not_invented(plan_on: MakePlan, project: Project) -> None:
    write_run(project, "elsewhere", 0.4, host="another")
    write_run(project, "other-card", 0.4, device="NVIDIA A100")
    plan = plan_on()
    assert plan.own is not None
    assert plan.own.pace is None
    assert "unknown until the first steps" in plan.as_text()


def test_time_is_taken_from_a_run_with_the_same_work(plan_on: MakePlan, project: Project) -> None:
    write_run(project, "gollum", 0.5)
    plan = plan_on(validation={"every": 0})
    assert plan.own is not None
    pace = plan.own.pace
    assert pace is not None
    assert (pace.source, pace.step_s) == ("measured", 0.5)
    assert pace.total_s == pytest.approx(2000 * 0.5 + 21 * 4.0)  # the tutorial's steps and previews
    assert plan.measured_peak_bytes == 3 * GIB
    assert "measured in gollum/2026-11-23/gollum" in " ".join(plan.as_text().split())


def test_time_of_other_work_is_estimated_by_operations(plan_on: MakePlan, project: Project) -> None:
    write_run(project, "small", 0.2, data={"size": 256})
    plan = plan_on()
    assert plan.own is not None
    assert plan.own.pace is not None
    assert plan.own.pace.source == "estimated"
    # 2084 to 447 GFLOP a step at 512 and 256 px, counted for SD 1.5 with structure 1,2,1
    assert plan.own.pace.step_s == pytest.approx(0.2 * 2084 / 447, rel=0.02)
    checkpointing = next(each for each in plan.rungs if each.rung.name == "checkpointing")
    assert checkpointing.pace is not None
    assert 1.3 < checkpointing.pace.step_s / plan.own.pace.step_s < 1.5


def test_the_peak_is_refined_by_what_was_measured_here(plan_on: MakePlan, project: Project) -> None:
    before = plan_on()
    assert before.own is not None
    assert before.own.rung.parts.allocated != 3 * GIB
    write_run(project, "gollum", 0.5)  # its steps held 3 GiB
    after = plan_on()
    assert after.own is not None
    assert after.own.rung.parts.allocated == pytest.approx(3 * GIB, rel=0.001)
    checkpointing = [
        next(each for each in plan.rungs if each.rung.name == "checkpointing").rung.parts for plan in (before, after)
    ]
    assert checkpointing[0].unet == checkpointing[1].unet
    assert checkpointing[0].activations < checkpointing[1].activations < 1.5 * checkpointing[0].activations
    write_run(project, "elsewhere", 0.5, host="another", data={"size": 256})
    again = plan_on()
    assert again.own is not None
    assert again.own.rung.parts == after.own.rung.parts
