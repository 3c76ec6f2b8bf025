"""Where each tensor of a diffusers module stands in a single-file (LDM) checkpoint.

Built from the two programs' module trees: Stability-AI/stablediffusion
(ldm/modules/diffusionmodules/openaimodel.py and model.py), open_clip's TextTransformer, and diffusers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Source:
    """One tensor of a checkpoint, or a third of one."""

    name: str
    third: int | None = None
    """Which third of the rows: OpenCLIP keeps q, k and v in one matrix."""


SourceOf = Callable[[str], Source]

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET_FIXED = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP_FIXED = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
_OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def unet_sources(config: Mapping[str, Any], prefix: str) -> SourceOf:
    """Return the name rule of a UNet with this diffusers configuration, below `prefix`."""
    per_block = int(config["layers_per_block"]) + 1
    attended = ["CrossAttn" in kind for kind in config["up_block_types"]]

    def source_of(name: str) -> Source:
        parts = name.split(".")
        if parts[0] == "down_blocks":
            block, kind, index, rest = int(parts[1]), parts[2], int(parts[3]), parts[4:]
            if kind == "downsamplers":
                place = f"input_blocks.{(block + 1) * per_block}.0.op"
                return Source(f"{prefix}{place}.{rest[-1]}")
            return Source(f"{prefix}input_blocks.{1 + block * per_block + index}.{_inner(kind, rest)}")
        if parts[0] == "up_blocks":
            block, kind, index, rest = int(parts[1]), parts[2], int(parts[3]), parts[4:]
            if kind == "upsamplers":
                place = f"output_blocks.{(block + 1) * per_block - 1}.{2 if attended[block] else 1}.conv"
                return Source(f"{prefix}{place}.{rest[-1]}")
            return Source(f"{prefix}output_blocks.{block * per_block + index}.{_inner(kind, rest)}")
        if parts[0] == "mid_block":
            position = 1 if parts[1] == "attentions" else 2 * int(parts[2])
            inner = _inner(parts[1], parts[3:]).partition(".")[2]
            return Source(f"{prefix}middle_block.{position}.{inner}")
        stem, _, leaf = name.rpartition(".")
        return Source(f"{prefix}{_UNET_FIXED[stem]}.{leaf}")

    return source_of


def _inner(kind: str, rest: list[str]) -> str:
    """Name within a block: resnets are part 0 with names of their own, attentions part 1 with the same names."""
    if kind == "attentions":
        return ".".join(["1", *rest])
    return ".".join(["0", _RESNET[rest[0]], *rest[1:]])


def vae_sources(config: Mapping[str, Any], prefix: str) -> SourceOf:
    """Return the name rule of a VAE with this diffusers configuration, below `prefix`."""
    levels = len(config["block_out_channels"])

    def source_of(name: str) -> Source:
        name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", name)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)", lambda found: _vae_up(found, levels), name)
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
        attention = re.match(r"(.*)mid_block\.attentions\.0\.(.+)\.(weight|bias)$", name)
        if attention:
            before, layer, leaf = attention.groups()
            name = f"{before}mid.attn_1.{_VAE_ATTENTION[layer]}.{leaf}"
        name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        return Source(prefix + name)

    return source_of


def _vae_up(found: re.Match[str], levels: int) -> str:
    level = levels - 1 - int(found[1])
    return f"up.{level}.block.{found[3]}" if found[2] == "resnets" else f"up.{level}.upsample"


def clip_sources(prefix: str) -> SourceOf:
    """Return the name rule of SD 1.x's text encoder, below `prefix`."""
    return lambda name: Source(prefix + name.removeprefix("text_model."))


def open_clip_sources(prefix: str) -> SourceOf:
    """Return the name rule of SD 2.x's text encoder (open_clip), below `prefix`."""

    def source_of(name: str) -> Source:
        name = name.removeprefix("text_model.")
        if name in _OPEN_CLIP_FIXED:
            return Source(prefix + _OPEN_CLIP_FIXED[name])
        found = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
        assert found, name
        layer, inner, leaf = found.groups()
        block = f"{prefix}transformer.resblocks.{layer}"
        projection = re.fullmatch(r"self_attn\.([qkv])_proj", inner)
        if projection:
            return Source(f"{block}.attn.in_proj_{leaf}", "qkv".index(projection[1]))
        return Source(f"{block}.{_OPEN_CLIP_LAYER[inner]}.{leaf}")

    return source_of
