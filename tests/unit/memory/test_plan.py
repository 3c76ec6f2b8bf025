"""What `hypernet plan` predicts: memory by part, the rung to use, time and disk."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.memory.conftest import GIB, MakePlan
from trainer.config import RunConfig
from trainer.devices import Gauges, Gpu
from trainer.errors import AppError
from trainer.memory import apply_rung, choose_rung, make_plan, rungs_below
from trainer.memory import target as target_module
from trainer.memory.recognise import architecture_of
from trainer.memory.ways import own_way
from trainer.project import Project


def test_torch_stays_out() -> None:
    code = "import sys, trainer.memory; print([m for m in ('torch', 'numpy', 'diffusers', 'PIL') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("family", "size", "precision", "checkpointing", "batch", "expected_gib"),
    [
        ("sd1", 256, "fp32", False, 1, 3.82),
        ("sd1", 256, "fp32", False, 8, 6.40),
        ("sd1", 256, "fp32", True, 4, 3.80),
        ("sd1", 512, "fp32", False, 1, 4.90),
        ("sd1", 512, "fp32", False, 4, 9.25),
        ("sd1", 512, "fp32", True, 1, 3.79),
        ("sd1", 512, "fp32", True, 8, 6.21),
        ("sd1", 512, "fp16", False, 1, 2.83),
        ("sd1", 512, "fp16", True, 1, 2.06),
        ("sd2", 512, "fp32", False, 2, 6.41),
        ("sd2", 768, "fp32", False, 1, 6.77),
        ("sd2", 768, "fp32", True, 2, 5.06),
    ],
)
def test_peaks_agree_with_those_counted_one_by_one(
    plan_on: MakePlan, family: str, size: int, precision: str, checkpointing: bool, batch: int, expected_gib: float
) -> None:
    """The expected figures were counted for these very settings; the table holds others, between which it reckons."""
    plan = plan_on(
        family=family,
        data={"size": size},
        training={"batch_size": batch},
        memory={"precision": precision, "gradient_checkpointing": checkpointing},
    )
    assert plan.own is not None
    assert plan.own.rung.parts.allocated / GIB == pytest.approx(expected_gib, rel=0.03)


def test_small_cards_are_predicted_to_train(plan_on: MakePlan) -> None:
    full = plan_on(free_gib=3.8).recommended
    assert full is not None
    assert full.rung.name == "full"
    assert full.rung.parts.allocated < 3.5 * GIB
    checkpointing = plan_on(free_gib=3.0).recommended
    assert checkpointing is not None
    assert checkpointing.rung.name == "checkpointing"
    assert checkpointing.rung.parts.allocated < 2.5 * GIB


def test_parts_of_the_network_are_exact(plan_on: MakePlan) -> None:
    plan = plan_on(training={"batch_size": 4}, memory={"micro_batch": 2})
    widths = (768, 320, 640, 1280)
    parameters = sum(2 * (2 * 2 * width * width + 2 * width + width) for width in widths)
    assert plan.parameters == parameters
    assert plan.own is not None
    parts = plan.own.rung.parts
    assert (parts.network, parts.optimizer, parts.gradients) == (4 * parameters, 8 * parameters, 4 * parameters)
    assert plan.own.rung.accumulation == 2
    one_go = plan_on().own
    assert one_go is not None
    assert one_go.rung.parts.gradients == 0


def test_a_wider_network_takes_more_and_fewer_widths_take_less(plan_on: MakePlan) -> None:
    def activations(**network: Any) -> int:
        own = plan_on(network=network).own
        assert own is not None
        return own.rung.parts.activations

    plain = activations()
    assert activations(layer_structure=(1, 2, 4, 2, 1), activation="swish") > plain
    assert activations(activation="swish") > activations(activation="relu")
    assert activations(layer_norm=True) > plain
    assert activations(widths=(768,)) < plain


def test_what_is_set_is_used_where_it_fits(plan_on: MakePlan) -> None:
    plan = plan_on(free_gib=11)
    assert plan.recommended is plan.own
    assert plan.own is not None
    assert plan.own.rung.name == "full"
    assert plan.own.settings == ()
    assert "it fits and will be used" in plan.as_text()


def test_the_first_rung_that_fits_is_recommended_with_its_settings(plan_on: MakePlan) -> None:
    batch = {"training": {"batch_size": 8}}
    names = [each.rung.name for each in plan_on(free_gib=80, **batch).rungs]
    assert names == ["full", "micro-batch", "checkpointing", "medvram", "lowvram", "384 px", "256 px"]

    roomy = plan_on(free_gib=6.5, **batch)
    assert roomy.own is not None
    assert roomy.own.fits is False
    assert roomy.recommended is not None
    assert roomy.recommended.settings == ("memory.micro_batch=4",)
    assert "--set memory.micro_batch=4" in roomy.as_text()

    tight = plan_on(free_gib=3.0, **batch).recommended
    assert tight is not None
    assert tight.settings == ("memory.micro_batch=2", "memory.gradient_checkpointing=true")


def test_smaller_pictures_are_the_last_resort_and_said_to_cost_detail(plan_on: MakePlan) -> None:
    least = next(each for each in plan_on().rungs if each.rung.name == "lowvram").rung.parts.total
    plan = plan_on(free_gib=least / GIB - 0.01)
    assert plan.recommended is not None
    assert plan.recommended.rung.way.size_px < 512
    assert any(setting.startswith("data.size=") for setting in plan.recommended.settings)
    assert "Smaller pictures cost detail" in plan.as_text()


def test_every_rung_takes_less_than_the_one_above(plan_on: MakePlan) -> None:
    for family in ("sd1", "sd2"):
        plan = plan_on(free_gib=0.5, family=family, training={"batch_size": 4})
        peaks = [each.rung.parts.allocated for each in plan.rungs if not each.rung.smaller]
        assert peaks == sorted(peaks, reverse=True)
        assert len(set(peaks)) == 5
        factors = [each.rung.time_factor for each in plan.rungs if not each.rung.smaller]
        assert factors[0] == 1.0
        assert all(factor >= 1.0 for factor in factors)


def test_a_run_takes_the_least_costly_rung_that_fits(plan_on: MakePlan) -> None:
    seen = []
    for free in (8.0, 3.0, 1.9, 1.5):
        plan = plan_on(free_gib=free)
        rung, why = choose_rung(plan)
        assert rung is not None
        seen.append(rung.rung.name)
        config = apply_rung(plan.config, rung)
        assert own_way(config) == rung.rung.way
        assert config.training == plan.config.training
        assert "fits" in why
    assert seen == ["full", "checkpointing", "medvram", "lowvram"]


def test_a_run_keeps_what_is_set_where_it_must(plan_on: MakePlan) -> None:
    pinned = plan_on(free_gib=3.0, memory={"rung": "pinned"})
    assert choose_rung(pinned)[0] is pinned.own
    assert "pinned" in choose_rung(pinned)[1]
    assert "pinned" in pinned.as_dict()["why"]
    hopeless = plan_on(free_gib=0.5)
    assert choose_rung(hopeless)[0] is hopeless.own
    unknown = plan_on(free_gib=None, memory={"device": "cuda"})
    assert choose_rung(unknown)[0] is unknown.own


def test_pictures_get_smaller_only_when_allowed(plan_on: MakePlan) -> None:
    least = next(each for each in plan_on().rungs if each.rung.name == "lowvram").rung.parts.total / GIB
    tight = plan_on(free_gib=least - 0.01)
    assert choose_rung(tight)[0] is tight.own
    assert all(each.rung.way.size_px == 512 for each in rungs_below(tight))
    assert any(each.rung.smaller for each in rungs_below(tight, smaller_pictures=True))
    allowed = choose_rung(plan_on(free_gib=least - 0.01, memory={"smaller_pictures": True}))[0]
    assert allowed is not None
    assert allowed.rung.name in ("384 px", "256 px")
    assert allowed.rung.price == "coarser pictures"


def test_below_every_rung_lie_cheaper_ones_until_the_last(plan_on: MakePlan) -> None:
    """Recovery goes down by them: each takes less than what ran out, with the same effective batch."""
    config, names = None, []
    for _ in range(12):
        plan = plan_on(free_gib=None, training={"batch_size": 4}, memory={} if config is None else dict(config.memory))
        own = plan.own
        assert own is not None
        below = rungs_below(plan)
        if not below:
            break
        assert all(each.rung.parts.allocated < own.rung.parts.allocated for each in below)
        assert all(each.rung.way.micro_batch <= own.rung.way.micro_batch for each in below)
        config = apply_rung(plan.config, below[0])
        assert config.training.batch_size == 4
        names.append(below[0].rung.name)
    assert names == [
        "micro-batch",
        "micro-batch",
        "checkpointing",
        "medvram",
    ]  # without a card all is in the same memory


def test_a_limit_makes_any_device_a_small_card(plan_on: MakePlan, project: Project) -> None:
    plan_on(free_gib=None)
    plan = make_plan(project, project.settings({}), limit_bytes=GIB)
    assert plan.target.free_bytes == GIB
    own = plan.own
    assert own is not None
    assert own.rung.parts.context == own.rung.parts.workspace == 0  # the limit counts tensors
    assert [each.rung.name for each in plan.rungs][:4] == ["full", "checkpointing", "medvram", "lowvram"]
    chosen = choose_rung(plan)[0]
    assert chosen is not None
    assert chosen.rung.parts.total <= GIB
    assert "On the CPU: limit 1.0 GiB (RAM 16.0 GiB)" in plan.as_text()


def test_what_is_faster_and_fits_is_offered(plan_on: MakePlan) -> None:
    text = plan_on(memory={"gradient_checkpointing": True}).as_text()
    assert "full fits as well and takes less time; add:\n  --set memory.gradient_checkpointing=false" in text


def test_nothing_fits(plan_on: MakePlan) -> None:
    plan = plan_on(free_gib=0.5)
    assert plan.recommended is None
    assert "neither it nor anything below it fits" in plan.as_text()


def test_a_preview_that_does_not_fit_is_said(plan_on: MakePlan) -> None:
    plan = plan_on(free_gib=3.9, preview={"width": 1024, "height": 1024})
    assert plan.preview_fits is False
    assert "previews will be skipped" in " ".join(plan.as_text().split())
    assert "preview" not in plan_on(free_gib=3.9, preview={"every": 0}).as_text()


def test_without_a_card_ram_is_compared(plan_on: MakePlan) -> None:
    plan = plan_on(free_gib=None)
    assert plan.target.kind == "cpu"
    assert plan.target.precision == "fp32"
    assert plan.target.free_bytes == 14 * GIB
    assert "RAM in GiB" in plan.as_text()


def test_an_unreadable_card_leaves_it_open(plan_on: MakePlan) -> None:
    plan = plan_on(free_gib=None, memory={"device": "cuda:1"})
    assert plan.own is not None
    assert plan.own.fits is None
    assert "unknown" in plan.as_text()


def test_cards_are_numbered_as_torch_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_module, "_torch_has_cuda", lambda: True)
    cards = tuple(Gpu(n, f"card {n}", vram_free_bytes=free * GIB) for n, free in enumerate((9, 2, 4)))

    def chosen(device: str) -> str:
        settings = RunConfig.model_validate({"memory": {"device": device}}).memory
        return target_module.choose_target(settings, Gauges(cards)).name

    assert (chosen("auto"), chosen("cuda:1")) == ("card 0", "card 1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert (chosen("auto"), chosen("cuda:1"), chosen("cuda")) == ("card 2", "card 2", "card 1")


def test_disk_is_counted(plan_on: MakePlan) -> None:
    plan = plan_on()
    disk = plan.disk
    assert disk is not None
    assert disk.num_checkpoints == 20  # 2,000 steps, every 100
    weights = 4 * plan.parameters
    assert disk.checkpoints == pytest.approx(21 * weights, rel=0.001)
    assert disk.optimizer_files == pytest.approx(20 * 2 * weights, rel=0.001)
    assert disk.resume_states == pytest.approx(9 * weights, rel=0.001)
    assert disk.cache == 20 * (2 * 4 * 64 * 64 * 4 + 77 * 768 * 4)
    lean = plan_on(save={"every": 0, "optimizer_state": False}, preview={"every": 0}).disk
    assert lean is not None
    assert (lean.num_checkpoints, lean.optimizer_files, lean.previews) == (1, 0, 0)


def test_steps_end_where_the_rates_end(plan_on: MakePlan) -> None:
    plan = plan_on(optimizer={"learning_rate": "1e-5:300"})
    assert plan.as_dict()["steps"] == 300
    assert plan.disk is not None
    assert plan.disk.num_checkpoints == 3


def test_text_is_calm_and_narrow(plan_on: MakePlan, project: Project) -> None:
    for free in (80, 6, 3.0, 2.72, 2.6, 1.0, None):
        text = plan_on(free_gib=free, data={"size": 768}, training={"batch_size": 256}).as_text()
        assert max(map(len, text.splitlines())) <= 80, text
        assert "learning_rate" in text  # the tutorial's rate is warned of


def test_json_holds_all_of_it(plan_on: MakePlan) -> None:
    tree = json.loads(json.dumps(plan_on(free_gib=3.0).as_dict()))
    assert tree["model"]["family"] == "sd1"
    assert [rung["name"] for rung in tree["rungs"]] == [
        "full",
        "checkpointing",
        "medvram",
        "lowvram",
        "384 px",
        "256 px",
    ]
    own = tree["rungs"][0]
    assert own["as_set"] is True
    assert own["peak_bytes"] == sum(own["parts"].values())
    assert tree["recommended"]["settings"]
    assert tree["disk"]["total"] > 0
    assert tree["warnings"]


def test_a_model_is_recognised_without_reading_its_pickle(tmp_path: Path) -> None:
    for prefix, family in ((b"cond_stage_model.model.", "sd2"), (b"cond_stage_model.transformer.", "sd1")):
        path = tmp_path / f"{family}.ckpt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02}X" + prefix + b"x.weight")
        found = architecture_of(path)
        assert found is not None
        assert found.name == family


def test_no_model_and_no_such_model_are_said(project: Project) -> None:
    with pytest.raises(AppError, match="no base model"):
        make_plan(project, project.settings({"model": {"path": ""}}))
    with pytest.raises(AppError, match="missing"):
        make_plan(project, project.settings({"model": {"path": "missing.safetensors"}}))


def test_widths_that_the_model_lacks_are_told_beforehand(plan_on: MakePlan, project: Project) -> None:
    plan_on(free_gib=None)
    warnings = make_plan(project, project.settings({"network": {"widths": [320, 7]}})).warnings
    assert any(told.startswith("network.widths holds 7, which this model doesn't have") for told in warnings)
    assert not any("widths" in told for told in make_plan(project, project.settings({})).warnings)
