"""Named sets of settings that ship with the program, or that the user saved."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import tomlkit

from trainer.config.read import build_config, read_toml
from trainer.errors import AppError
from trainer.files import write_atomic
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


def save_preset(name: str, trade_off: str, settings: Mapping[str, Any]) -> Path:
    """Save settings as a preset of the user's and return its file; an earlier one of that name is replaced.

    Args:
        name: Becomes the file's name, and what `--preset` takes.
        trade_off: What it buys and costs, in words.
        settings: A tree of settings; checked.

    Raises:
        AppError: the name is unusable or belongs to the program, a setting is wrong, or the file can't be written.
    """
    build_config(settings)
    path = user_preset_folder() / f"{preset_name(name)}.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        tree = {"title": name, "trade_off": trade_off, "settings": dict(settings)}
        write_atomic(path, tomlkit.dumps(tree))
    except OSError as error:
        raise AppError(
            "Cannot save the preset", f"{printable(path)}: {error.strerror}.", "Make room, or mend its rights."
        ) from None
    return path


def preset_name(name: str) -> str:
    """Return a name for a preset of the user's, as it may be used.

    Raises:
        AppError: it isn't one.
    """
    name = name.strip()
    if not name or any(not (c.isalnum() or c in "._- ") for c in name) or name.startswith(".") or len(name) > 60:
        raise AppError(
            "Unusable name",
            f"“{printable(name, 60)}” can't name a preset.",
            "Type letters, digits, dot, underscore, hyphen and space, up to 60, e.g. portraits.",
        )
    if name in PRESET_ORDER:
        raise AppError("Name taken", f"{name} comes with the program.", "Type another name, e.g. portraits.")
    return name


def user_preset_folder() -> Path:
    """Return where the user's own presets lie."""
    from platformdirs import user_config_path

    return user_config_path("hypernet-wizard") / "presets"
