"""Presets on the Settings step: which are offered, what choosing one keeps, and what a saved one holds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainer.config import RunConfig, build_config, load_preset, preset_names
from trainer.config.presets import PRESET_ORDER
from trainer.config.read import difference
from trainer.errors import AppError
from trainer.text import printable
from tui.widgets.fields import Choice

if TYPE_CHECKING:
    from trainer.project import Project

DEMO = "demo"
KEPT = (
    "name", "data.folder", "data.size", "network.start_from", "preview.prompt", "memory.device",
    "recovery.on_oom",
    "model.path", "model.vae", "model.prediction_type", "model.clip_skip",
)  # fmt: skip
"""What belongs to the subject, the model or the machine: another preset leaves it, and none holds it."""


def preset_choices(project: "Project") -> list[Choice]:
    """Return the presets to choose from, each with its trade-off; the demo's for the demo only."""
    names = [name for name in preset_names() if name != DEMO or project.config.preset == DEMO]
    return [choice for name in names if (choice := _choice(name)) is not None]


def _choice(name: str) -> Choice | None:
    try:
        preset = load_preset(name)
    except AppError as error:
        return Choice(name, printable(name, 20), f"It can't be read: {printable(error, 200)}")
    title = preset.title if name in PRESET_ORDER else f"yours: {name}"
    return Choice(name, printable(title, 24), printable(preset.trade_off, 240))


def started_from(project: "Project", preset: str, now: Mapping[str, str]) -> dict[str, str]:
    """Return all settings as texts after another preset was chosen.

    Args:
        project: Its name stays.
        preset: The preset chosen.
        now: All settings as they stand; what no preset decides is taken from here.

    Raises:
        AppError: the preset can't be used.
    """
    from tui.settings_form import texts_of

    texts = texts_of(base_of(project, preset))
    return {name: now[name] if name in KEPT and name in now else text for name, text in texts.items()}


def base_of(project: "Project", preset: str) -> RunConfig:
    """Return the settings that a project's own stand above.

    Raises:
        AppError: the preset can't be used.
    """
    return build_config(load_preset(preset).settings, {"name": project.name})


def preset_settings(config: RunConfig) -> dict[str, Any]:
    """Return what a preset made of these settings holds."""
    tree = difference(config, RunConfig())
    for name in KEPT:
        section, _, last = name.rpartition(".")
        node = tree.get(section, {}) if section else tree
        node.pop(last, None)
    return {key: value for key, value in tree.items() if value != {}}
