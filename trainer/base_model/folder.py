"""Parts of a diffusers folder, and VAEs of any layout, made from their configuration and weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.base_model import configs, names
from trainer.base_model.build import build_module
from trainer.base_model.folder_info import read_config, weights_file
from trainer.base_model.layouts import VAE, family_of, not_a_base_model
from trainer.base_model.names import Source, SourceOf
from trainer.base_model.read import read_contents, read_tensors
from trainer.errors import AppError
from trainer.text import printable

_OLD_ATTENTION = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
"""Names that VAE attention had in folders written before diffusers 0.12."""


def scheduler_config(folder: Path) -> dict[str, Any]:
    """Return the scheduler's configuration without what only its own class knows."""
    config = read_config(folder / "scheduler" / "scheduler_config.json")
    return {key: value for key, value in config.items() if not key.startswith("_")}


def load_unet(folder: Path, *, dtype: torch.dtype, device: torch.device | str) -> torch.nn.Module:
    """Load `unet/` of a diffusers folder.

    Raises:
        AppError: missing, damaged or incomplete.
    """
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config = read_config(folder / "unet" / "config.json")
    tensors = read_tensors(_weights(folder, "unet"))
    return build_module(
        lambda: UNet2DConditionModel.from_config(config), tensors, Source,
        dtype=dtype, device=device, what="UNet", path=folder,
    )  # fmt: skip


def load_text_encoder(folder: Path, *, dtype: torch.dtype, device: torch.device | str) -> torch.nn.Module:
    """Load `text_encoder/` of a diffusers folder, with or without `text_model.` before the names.

    Raises:
        AppError: missing, damaged or incomplete.
    """
    from transformers import CLIPTextConfig, CLIPTextModel

    config = read_config(folder / "text_encoder" / "config.json")
    tensors = read_tensors(_weights(folder, "text_encoder"))
    before = "text_model." if any(name.startswith("text_model.") for name in tensors) else ""
    return build_module(
        lambda: CLIPTextModel(CLIPTextConfig.from_dict(config)), tensors, names.clip_sources(before),
        dtype=dtype, device=device, what="text encoder", path=folder,
    )  # fmt: skip


def load_vae(path: Path, *, dtype: torch.dtype, device: torch.device | str) -> torch.nn.Module:
    """Load a VAE from a file in LDM or diffusers layout, a VAE folder, or a diffusers folder.

    Raises:
        AppError: it is no VAE, or damaged or incomplete.
    """
    if path.is_dir():
        where = path / "vae" if (path / "vae").is_dir() else path
        config = read_config(where / "config.json")
        tensors = read_tensors(_weights(where.parent, "vae", where.name))
        return _diffusers_vae(config, tensors, path, dtype=dtype, device=device)
    tensors = read_tensors(path)
    for prefix in (VAE, ""):
        if f"{prefix}encoder.down.0.block.0.conv1.weight" in tensors:
            return vae_of(tensors, prefix, path, dtype=dtype, device=device)
    if "encoder.down_blocks.0.resnets.0.conv1.weight" in tensors:
        beside = path.with_name("config.json")
        config = read_config(beside) if beside.is_file() else configs.shipped_config("sd1", "epsilon", "vae")
        return _diffusers_vae(config, tensors, path, dtype=dtype, device=device)
    found = not_a_base_model(path, family_of(read_contents(path)))
    message = found.message.replace("a Stable Diffusion checkpoint", "a VAE")
    raise AppError("Not a VAE", message, "Choose a VAE file, or leave the setting empty.")


def vae_of(
    tensors: Mapping[str, torch.Tensor], prefix: str, path: Path, *, dtype: torch.dtype, device: torch.device | str
) -> torch.nn.Module:
    """Make the VAE from tensors in LDM layout below `prefix`.

    Raises:
        AppError: incomplete.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    if f"{prefix}encoder.conv_in.weight" not in tensors:
        message = f"{printable(path)} lacks {prefix}encoder.conv_in.weight of the VAE."
        raise AppError("Incomplete model", message, "Download or copy the model again, or give a separate VAE.")
    config = configs.vae_config(tensors, prefix)
    return build_module(
        lambda: AutoencoderKL.from_config(config), tensors, names.vae_sources(config, prefix),
        dtype=dtype, device=device, what="VAE", path=path,
    )  # fmt: skip


def _diffusers_vae(
    config: dict[str, Any],
    tensors: Mapping[str, torch.Tensor],
    path: Path,
    *,
    dtype: torch.dtype,
    device: torch.device | str,
) -> torch.nn.Module:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return build_module(
        lambda: AutoencoderKL.from_config(config), tensors, _old_or_new(tensors),
        dtype=dtype, device=device, what="VAE", path=path,
    )  # fmt: skip


def _old_or_new(tensors: Mapping[str, torch.Tensor]) -> SourceOf:
    def source_of(name: str) -> Source:
        if name not in tensors and "mid_block.attentions." in name:
            for new, old in _OLD_ATTENTION.items():
                if new in name:
                    return Source(name.replace(new, old))
        return Source(name)

    return source_of


def _weights(folder: Path, kind: str, part: str | None = None) -> Path:
    path = weights_file(folder, kind, part)
    if path is None:
        message = f"{printable(folder / (part or kind))} holds no weights (.safetensors or .bin)."
        raise AppError("Incomplete model folder", message, "Copy or download the whole folder again.")
    return path
