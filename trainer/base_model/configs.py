"""Complete diffusers configurations of single-file models: shipped ones, fitted to the file's widths."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from trainer.base_model.layouts import CLIP_TEXT, OPEN_CLIP_TEXT, UNET

if TYPE_CHECKING:
    import torch

HEAD_WIDTH = 64
"""Width of an attention head in CLIP, OpenCLIP and the SD 2.x UNet."""


def shipped_config(family: str, prediction_type: str, part: str) -> dict[str, Any]:
    """Read a shipped configuration.

    Args:
        family: sd1 or sd2.
        prediction_type: epsilon or v_prediction; SD 2.x has a set for each.
        part: unet, vae, text_encoder or scheduler.
    """
    folder = "sd1" if family == "sd1" else "sd2-v" if prediction_type == "v_prediction" else "sd2-base"
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    file = resources.files("presets") / "base_models" / folder / part / name
    config: dict[str, Any] = json.loads(file.read_text("utf-8"))
    if part == "scheduler":
        config["prediction_type"] = prediction_type
    return config


def unet_config(family: str, prediction_type: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Return the UNet's configuration; widths come from the tensors, so that narrower variants load as well."""
    config = shipped_config(family, prediction_type, "unet")
    width = tensors[f"{UNET}input_blocks.0.0.weight"].shape[0]
    config["block_out_channels"] = widths = [width, 2 * width, 4 * width, 4 * width]
    config["cross_attention_dim"] = tensors[f"{UNET}middle_block.1.transformer_blocks.0.attn2.to_k.weight"].shape[1]
    if family == "sd2":
        config["attention_head_dim"] = [max(1, channels // HEAD_WIDTH) for channels in widths]
    return config


def vae_config(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, Any]:
    """Return the configuration of a VAE in LDM layout below `prefix`; SD 1.x and 2.x share it."""
    config = shipped_config("sd1", "epsilon", "vae")
    width = tensors[f"{prefix}encoder.conv_in.weight"].shape[0]
    config["block_out_channels"] = [width, 2 * width, 4 * width, 4 * width]
    return config


def text_config(family: str, tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, Any]:
    """Return the text encoder's configuration.

    SD 2.x conditions on the last layer but one of OpenCLIP (ldm/modules/encoders/modules.py, "penultimate"),
    so its last layer is left out here and the final layer norm follows the one before.
    """
    config = shipped_config(family, "epsilon", "text_encoder")
    if family == "sd1":
        embedding, up = "embeddings.token_embedding.weight", "encoder.layers.0.mlp.fc1.weight"
        layers = _count(tensors, prefix + "encoder.layers.")
    else:
        embedding, up = "token_embedding.weight", "transformer.resblocks.0.mlp.c_fc.weight"
        # Its last layer is never used; a file made from a diffusers folder lacks it already.
        layers = min(_count(tensors, prefix + "transformer.resblocks."), config["num_hidden_layers"])
    config["vocab_size"], config["hidden_size"] = tensors[prefix + embedding].shape
    config["intermediate_size"] = tensors[prefix + up].shape[0]
    config["num_hidden_layers"] = layers
    config["num_attention_heads"] = max(1, config["hidden_size"] // HEAD_WIDTH)
    config["projection_dim"] = config["hidden_size"]
    return config


def text_prefix(family: str, names: Collection[str]) -> str:
    """Return what stands before the text encoder's names; some early SD 1.x merges left out `text_model.`."""
    if family == "sd2":
        return OPEN_CLIP_TEXT
    plain = f"{CLIP_TEXT}embeddings.token_embedding.weight"
    return CLIP_TEXT if plain in names else f"{CLIP_TEXT}text_model."


def _count(names: Collection[str], prefix: str) -> int:
    return len({found[1] for name in names if (found := re.match(re.escape(prefix) + r"(\d+)\.", name))})
