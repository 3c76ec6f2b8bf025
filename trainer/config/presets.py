"""Named sets of settings that ship with the program, or that the user saved."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from trainer.config.read import read_toml
from trainer.errors import AppError
from trainer.text import nearest, printable

PRESET_ORDER = ("recommended", "tutorial", "a1111", "demo")


@dataclass(frozen=True)
class Preset:
    """Settings under a name, with their trade-off in words."""

    name: str
    title: str
    trade_off: str
    settings: dict[str, Any]


def preset_names() -> list[str]:
    """Return the names of all presets, the shipped ones first."""
    own = sorted(path.stem for path in user_preset_folder().glob("*.toml"))
    return [*PRESET_ORDER, *(name for name in own if name not in PRESET_ORDER)]


def load_preset(name: str) -> Preset:
    """Return a shipped preset or one of the user's.

    Raises:
        AppError: there is no such preset, or its file is damaged.
    """
    if name in PRESET_ORDER:
        tree = tomllib.loads(files("presets").joinpath("training", f"{name}.toml").read_text(encoding="utf-8"))
    else:
        path = user_preset_folder() / f"{name}.toml"
        if name not in preset_names():
            known = preset_names()
            raise AppError(
                "Unknown preset",
                f"There is no preset {printable(name)}; there are {', '.join(known)}.",
                nearest(name, known).strip(),
            )
        tree = read_toml(path)
    return Preset(name, str(tree.get("title", name)), str(tree.get("trade_off", "")), dict(tree.get("settings", {})))


def user_preset_folder() -> Path:
    """Return where the user's own presets lie."""
    from platformdirs import user_config_path

    return user_config_path("hypernet-wizard") / "presets"
