"""What a diffusers folder holds, from its JSON configurations; needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.base_model.layouts import unsupported_channels, unsupported_family
from trainer.base_model.read import file_format, read_header
from trainer.errors import AppError
from trainer.text import printable

WEIGHT_NAMES = {
    "unet": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors",
             "diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.bin"),
    "vae": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors",
            "diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.bin"),
    "text_encoder": ("model.safetensors", "model.fp16.safetensors",
                     "pytorch_model.bin", "pytorch_model.fp16.bin"),
}  # fmt: skip
"""Files that a part's weights may have, the preferred first."""


@dataclass
class FolderInfo:
    """The parts of `ModelInfo` that a folder tells."""

    family: str = "custom"
    size_bytes: int = 0
    context_dim: int = 0
    attention_widths: tuple[int, ...] = ()
    in_channels: int = 0
    dtype: str = ""
    has_vae: bool = False
    has_text_encoder: bool = False
    prediction_type: str = "epsilon"
    native_size_px: int = 512
    problems: list[AppError] = field(default_factory=list)


def read_config(path: Path) -> dict[str, Any]:
    """Read one JSON configuration.

    Raises:
        AppError: missing, unreadable or no JSON object.
    """
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{printable(path)} is missing or damaged ({printable(error, 80)})."
        raise AppError("Incomplete model folder", message, "Copy or download the whole folder again.") from error
    if not isinstance(config, dict):
        raise AppError("Incomplete model folder", f"{printable(path)} is not a JSON object.", "Download it again.")
    return config


def weights_file(folder: Path, kind: str, part: str | None = None) -> Path | None:
    """Return the file with the weights of a `unet`, `vae` or `text_encoder`, or None.

    Args:
        folder: Where the part's folder lies.
        kind: What it is.
        part: The name of its folder, if that is not `kind`.
    """
    candidates = (folder / (part or kind) / name for name in WEIGHT_NAMES[kind])
    return next((path for path in candidates if path.is_file()), None)


def read_folder(folder: Path) -> FolderInfo:
    """Read a diffusers folder's configurations.

    Raises:
        AppError: the folder is none, or a configuration is missing.
    """
    if not (folder / "model_index.json").is_file():
        message = f"{printable(folder)} holds no model_index.json, so it is no diffusers model."
        raise AppError("Not a model folder", message, "Name a model file, or the folder that has model_index.json.")
    index, unet = read_config(folder / "model_index.json"), read_config(folder / "unet" / "config.json")
    info = FolderInfo()
    try:
        _read_unet(info, unet)
        _read_scheduler(info, folder)
        _read_vae(info, folder, unet)
    except (TypeError, ValueError, KeyError) as error:
        message = f"A configuration in {printable(folder)} cannot be understood ({printable(error, 80)})."
        raise AppError("Damaged model folder", message, "Copy or download the whole folder again.") from error
    info.has_text_encoder = weights_file(folder, "text_encoder") is not None
    info.size_bytes = _weights_bytes(folder)
    info.dtype = _dtype(folder)
    info.problems = _problems(folder, index, unet, info)
    return info


def _read_unet(info: FolderInfo, unet: dict[str, Any]) -> None:
    widths, downs = unet["block_out_channels"], unet["down_block_types"]
    attended = {width for width, kind in zip(widths, downs, strict=True) if "CrossAttn" in kind}
    if "CrossAttn" in (unet.get("mid_block_type") or "UNetMidBlock2DCrossAttn"):
        attended.add(widths[-1])
    for width, kind in zip(reversed(widths), unet["up_block_types"], strict=True):
        if "CrossAttn" in kind:
            attended.add(width)
    info.attention_widths = tuple(sorted(attended))
    info.context_dim, info.in_channels = int(unet["cross_attention_dim"]), int(unet["in_channels"])
    if tuple(widths) == (320, 640, 1280, 1280):
        info.family = {768: "sd1", 1024: "sd2"}.get(info.context_dim, "custom")


def _read_scheduler(info: FolderInfo, folder: Path) -> None:
    config = read_config(folder / "scheduler" / "scheduler_config.json")
    info.prediction_type = str(config.get("prediction_type", "epsilon"))


def _read_vae(info: FolderInfo, folder: Path, unet: dict[str, Any]) -> None:
    info.has_vae = weights_file(folder, "vae") is not None
    if info.has_vae:
        levels = len(read_config(folder / "vae" / "config.json")["block_out_channels"])
        info.native_size_px = int(unet.get("sample_size") or 64) * 2 ** (levels - 1)


def _weights_bytes(folder: Path) -> int:
    found = (weights_file(folder, part) for part in WEIGHT_NAMES)
    return sum(path.stat().st_size for path in found if path is not None)


def _dtype(folder: Path) -> str:
    path = weights_file(folder, "unet")
    if path is None or file_format(path) != "safetensors":
        return ""
    return next(iter(read_header(path).tensors.values())).dtype


def _problems(folder: Path, index: dict[str, Any], unet: dict[str, Any], info: FolderInfo) -> list[AppError]:
    if "XL" in str(index.get("_class_name")) or unet.get("addition_embed_type") == "text_time":
        info.family = "sdxl"
        return [unsupported_family(folder, "sdxl")]
    if info.in_channels != 4:
        return [unsupported_channels(folder, info.in_channels)]
    encoder = index.get("text_encoder")
    kind = encoder[1] if isinstance(encoder, list) and len(encoder) == 2 else None
    if kind != "CLIPTextModel":
        message = f"The text encoder of {printable(folder)} is {printable(kind)}, not CLIPTextModel."
        return [AppError("Unsupported text encoder", message, "Choose a Stable Diffusion 1.x or 2.x model.")]
    for part in ("unet", "text_encoder"):
        if weights_file(folder, part) is None:
            message = f"{printable(folder / part)} holds none of {', '.join(WEIGHT_NAMES[part][:2])}."
            return [AppError("Incomplete model folder", message, "Copy or download the whole folder again.")]
    return []
