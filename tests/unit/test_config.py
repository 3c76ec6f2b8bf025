"""Settings: defined once, merged by precedence, mistakes named in one line."""

import tomllib
from typing import Any

import pytest

from trainer.config import (
    RunConfig,
    build_config,
    config_toml,
    load_preset,
    parse_assignments,
    preset_names,
    read_config,
)
from trainer.config.read import fields_of
from trainer.errors import AppError


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("training.stpes=5", ["training.stpes", "training.steps"]),
        ("stepz=5", ["stepz"]),
        ("training.steps=0", ["training.steps", "'0'", "1 to 10000000 steps"]),
        ("training.steps=many", ["training.steps", "'many'", "1 to 10000000 steps"]),
        ("data.size=500", ["data.size", "'500'", "64 to 2048 px, in steps of 64"]),
        ("network.layer_structure=2,1", ["network.layer_structure", "must begin and end with 1"]),
        ("network.activation=swsh", ["network.activation", "'swsh'", "Did you mean swish?"]),
        ("network.dropout_structure=0,1", ["network.dropout_structure"]),
        ("optimizer.learning_rate=fast", ["optimizer.learning_rate", "'fast'", "5e-5:100"]),
        ("optimizer.clip=hard", ["optimizer.clip", "'hard'", "'norm'"]),
        ("memory.device=gpu", ["memory.device", "'gpu'", "cuda:N"]),
        ("memory.weights=4bit", ["memory.weights", "full", "8bit"]),
        ("training.steps", ["has no value", "KEY=VALUE"]),
        ("name=a/b", ["name", "letters, digits"]),
    ],
)
def test_a_bad_setting_gives_one_line_that_names_field_value_and_bounds(assignment: str, parts: list[str]) -> None:
    with pytest.raises(AppError) as caught:
        build_config(parse_assignments([assignment]))
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_hostile_names_and_values_are_shown_escaped() -> None:
    with pytest.raises(AppError) as caught:
        build_config({"data": {"\x1b[31mred": 1}, "name": "a\nb"})
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_precedence_is_command_line_then_project_then_preset_then_default() -> None:
    preset, project, command = (
        {"training": {"steps": 1, "batch_size": 2}, "seed": 3},
        {"training": {"steps": 10}},
        parse_assignments(["training.steps=100"]),
    )
    config = build_config(preset, project, command)
    assert (config.training.steps, config.training.batch_size, config.seed) == (100, 2, 3)
    assert config.save.every == RunConfig().save.every


def test_toml_round_trip_keeps_every_value(tmp_path) -> None:  # type: ignore[no-untyped-def]
    config = build_config(
        load_preset("recommended").settings,
        {"name": "Gollum é 1", "network": {"widths": [768, 320], "dropout_structure": [0, 0.1, 0]}},
    )
    path = tmp_path / "run.toml"
    path.write_text(config_toml(config), encoding="utf-8")
    assert read_config(path) == config
    assert set(tomllib.loads(path.read_text(encoding="utf-8"))) == set(RunConfig.model_fields)


def test_the_tutorial_preset_has_the_tutorials_values_and_warns_of_its_rate() -> None:
    preset = load_preset("tutorial")
    config = build_config(preset.settings)
    assert float(config.optimizer.learning_rate) == 0.0005
    assert (config.training.steps, config.save.every, config.preview.every) == (2000, 100, 100)
    assert (config.data.template, config.data.size) == ("hypernetwork", 512)
    assert "ruins" in preset.trade_off
    assert any("0.0005" in warning for warning in config.warnings())


def test_a_rate_that_no_network_survives_is_warned_of_at_any_size() -> None:
    config = build_config({"optimizer": {"learning_rate": "1e-5:10, 400"}, "data": {"size": 64}})
    assert any("400 ruins any network" in warning for warning in config.warnings())


def test_the_a1111_preset_has_a1111s_values() -> None:
    config = build_config(load_preset("a1111").settings)
    assert float(config.optimizer.learning_rate) == 0.00001
    assert (config.training.steps, config.save.every, config.preview.every) == (100000, 500, 500)
    assert config.data.template == "style_filewords"
    assert (config.network.activation, config.network.initialization) == ("linear", "Normal")


def test_the_recommended_preset_has_no_known_bad_combination() -> None:
    assert build_config(load_preset("recommended").settings).warnings() == []


def test_every_setting_has_a_help_text_and_every_preset_is_valid() -> None:
    for name, field in fields_of(RunConfig):
        assert field.description or name == "schema_version", name
    for name in preset_names():
        assert load_preset(name).trade_off
        build_config(load_preset(name).settings)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"network": {"initialization": "KaimingNormal"}}, "step 0"),
        ({"network": {"layer_norm": True, "dropout_structure": [0, 0.1, 0]}}, "diverge"),
        ({"network": {"activation": "gelu"}}, "ComfyUI"),
        ({"save": {"optimizer_state": False}}, "cold"),
        ({"training": {"steps": 60}, "optimizer": {"warmup_steps": 100}}, "as long as the run"),
    ],
)
def test_known_bad_combinations_are_warned_of(settings: dict, word: str) -> None:  # type: ignore[type-arg]
    assert any(word in warning for warning in build_config(settings).warnings())


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        ({"precision": "tf32", "device": "cpu"}, "NVIDIA"),
        ({"precision": "fp16", "device": "cpu"}, "needs a GPU"),
        ({"offload": "all", "device": "mps"}, "frees nothing"),
        ({"optimizer_on_host": True, "device": "mps"}, "frees nothing"),
    ],
)
def test_what_a_device_cannot_do_is_refused_with_the_reason(memory: dict[str, Any], reason: str) -> None:
    with pytest.raises(AppError, match=reason):
        build_config({"memory": memory})
