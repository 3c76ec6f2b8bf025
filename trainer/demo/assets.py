"""Where the files of the shipped demo lie; imports neither torch nor numpy."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from trainer.errors import AppError


def demo_model_dir() -> Path:
    """The diffusers folder of the demo base model.

    Raises:
        AppError: the package was installed without its data files.
    """
    return _demo_path("model")


def demo_pictures_dir(kind: Literal["style", "character"]) -> Path:
    """The folder of demo source pictures, each with a caption file of the same name.

    Raises:
        AppError: the package was installed without its data files.
    """
    return _demo_path(f"pictures/{kind}")


def judge_file() -> Path:
    """The weights of the judge network, safetensors.

    Raises:
        AppError: the package was installed without its data files.
    """
    return _demo_path("judge.safetensors")


def _demo_path(name: str) -> Path:
    path = Path(str(files("presets"))) / "demo" / name
    if not path.exists():
        raise AppError(
            "Demo files missing",
            f"{path} does not exist.",
            "Install the package again, or run make demo-model.",
        )
    return path
