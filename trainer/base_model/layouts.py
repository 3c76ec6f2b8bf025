"""Names and shapes by which single-file models are told apart.

Prefixes are those of the LDM code (Stability-AI/stablediffusion, configs/stable-diffusion) and of the
files that circulate beside it: LoRA (kohya-ss/sd-scripts), embeddings and hypernetworks (A1111).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from trainer.base_model.read import FileContents
from trainer.errors import AppError
from trainer.text import printable

UNET = "model.diffusion_model."
EMA = "model_ema."
VAE = "first_stage_model."
CLIP_TEXT = "cond_stage_model.transformer."
OPEN_CLIP_TEXT = "cond_stage_model.model."
TEXT_PREFIXES = (CLIP_TEXT, OPEN_CLIP_TEXT)
INPAINTING_CHANNELS = 9

FAMILY_NAMES = {
    "sd1": "Stable Diffusion 1.x",
    "sd2": "Stable Diffusion 2.x",
    "sdxl": "Stable Diffusion XL",
    "sd3": "Stable Diffusion 3",
    "flux": "Flux",
    "custom": "a diffusers model of its own size",
    "lora": "a LoRA",
    "vae": "a VAE",
    "embedding": "a textual-inversion embedding",
    "hypernetwork": "a hypernetwork",
    "controlnet": "a ControlNet",
    "diffusers-part": "one part of a diffusers model",
    "optimizer": "an optimizer state",
    "other": "an unknown kind of file",
}

_ADVICE = "Choose a Stable Diffusion 1.x or 2.x checkpoint (.safetensors or .ckpt) or a diffusers folder."
_USE_IT_AS = {
    "lora": "A LoRA is an addition to a base model. ",
    "vae": "Give it as the separate VAE, beside a base model. ",
    "hypernetwork": "A hypernetwork is what gets trained; to go on from it, give it as the starting point. ",
    "diffusers-part": "Give the whole folder that holds model_index.json. ",
}


@dataclass(frozen=True)
class UnetShapes:
    """What the shapes of a UNet in LDM layout say."""

    in_channels: int
    context_dim: int
    attention_widths: tuple[int, ...]
    dtype: str
    complete: bool
    """Whether first and last layer and a cross-attention are present."""


def family_of(contents: FileContents) -> str:
    """Return the family (a key of `FAMILY_NAMES`) that the names of a file's tensors tell."""
    names = contents.tensors
    if not any(name.startswith(UNET) for name in names):
        return _other_family(contents)
    if _any_prefix(names, f"{UNET}label_emb.", "conditioner.embedders."):
        return "sdxl"
    if _any_prefix(names, f"{UNET}joint_blocks."):
        return "sd3"
    if _any_prefix(names, f"{UNET}double_blocks."):
        return "flux"
    if _any_prefix(names, CLIP_TEXT):
        return "sd1"
    if _any_prefix(names, OPEN_CLIP_TEXT):
        return "sd2"
    return {768: "sd1", 1024: "sd2"}.get(unet_shapes(contents).context_dim, "other")


def _other_family(contents: FileContents) -> str:
    names, others = contents.tensors, contents.other_keys
    if any(re.search(r"lora_(up|down|A|B|te|unet)|\.hada_|\.lokr_|\.alpha$", name) for name in names):
        return "lora"
    if "layer_structure" in others or {"768", "320", "640", "1280", "1024"} & others:
        return "hypernetwork"
    if "optimizer_state_dict" in others:
        return "optimizer"
    if "string_to_param" in others or names.keys() & {"emb_params", "clip_l", "clip_g"}:
        return "embedding"
    if _any_prefix(names, "control_model.", "controlnet_cond_embedding.", "zero_convs.", "input_hint_block."):
        return "controlnet"
    if _any_prefix(names, "joint_blocks.") or _any_prefix(names, "double_blocks."):
        return "sd3" if _any_prefix(names, "joint_blocks.") else "flux"
    if _any_prefix(names, VAE, "encoder.down.", "decoder.up."):
        return "vae"
    if _any_prefix(names, "down_blocks.", "text_model.", "embeddings.", "encoder.down_blocks."):
        return "diffusers-part"
    return "other"


def _any_prefix(names: dict[str, object] | object, *prefixes: str) -> bool:
    assert isinstance(names, dict)
    return any(name.startswith(prefixes) for name in names)


def unet_shapes(contents: FileContents) -> UnetShapes:
    """Read channels and attention widths off the shapes of `model.diffusion_model.*`."""
    first = contents.tensors.get(f"{UNET}input_blocks.0.0.weight")
    self_widths, context_dims, dtypes = set[int](), Counter[int](), Counter[str]()
    for name, header in contents.tensors.items():
        if not name.startswith(UNET):
            continue
        dtypes[header.dtype] += 1
        if name.endswith("attn1.to_k.weight") and len(header.shape) == 2:
            self_widths.add(header.shape[1])
        elif name.endswith("attn2.to_k.weight") and len(header.shape) == 2:
            context_dims[header.shape[1]] += 1
    in_channels = first.shape[1] if first and len(first.shape) == 4 else 0
    return UnetShapes(
        in_channels=in_channels,
        context_dim=context_dims.most_common(1)[0][0] if context_dims else 0,
        attention_widths=tuple(sorted(self_widths)),
        dtype=dtypes.most_common(1)[0][0] if dtypes else "",
        complete=bool(in_channels and context_dims and f"{UNET}out.2.weight" in contents.tensors),
    )


def not_a_base_model(path: Path, family: str) -> AppError:
    """Say what a file without a UNet is, and what to give instead."""
    return AppError(
        "Not a base model",
        f"{printable(path)} is {FAMILY_NAMES[family]}, not a Stable Diffusion checkpoint.",
        _USE_IT_AS.get(family, "") + _ADVICE,
    )


def unsupported_family(path: Path, family: str) -> AppError:
    """Say that a family is known but cannot be trained on."""
    return AppError(
        f"{FAMILY_NAMES[family]} is not supported",
        f"{printable(path)} is a {FAMILY_NAMES[family]} model; hypernetworks exist for Stable Diffusion 1.x and 2.x.",
        _ADVICE,
    )


def unsupported_channels(path: Path, in_channels: int) -> AppError:
    """Say why a UNet with further inputs (inpainting, depth, pix2pix) is refused."""
    kind = {9: "an inpainting model", 8: "an instruct-pix2pix model", 5: "a depth model", 7: "an upscaler"}
    return AppError(
        "Not an ordinary base model",
        f"{printable(path)} is {kind.get(in_channels, 'a special model')}: its UNet takes {in_channels} channels "
        "(a mask or a second picture besides the 4 of the latent), which training pictures do not have.",
        "Choose the ordinary model that it was made from; the hypernetwork then works with both.",
    )


def problems_of_ldm(path: Path, family: str, in_channels: int, complete: bool, has_text: bool) -> list[AppError]:
    """List what keeps a single-file model with a UNet from being trained on."""
    if family in ("sdxl", "sd3", "flux"):
        return [unsupported_family(path, family)]
    if not complete or family == "other":
        message = f"{printable(path)} lacks layers of the UNet, or is of an unknown architecture."
        return [AppError("Incomplete model", message, "Download or copy the file again. " + _ADVICE)]
    if in_channels != 4:
        return [unsupported_channels(path, in_channels)]
    if not has_text:
        message = f"{printable(path)} has no text encoder (names beginning with {CLIP_TEXT} or {OPEN_CLIP_TEXT})."
        return [AppError("Incomplete model", message, "Choose a complete checkpoint, not a UNet alone.")]
    return []


def yaml_parameterization(path: Path) -> str:
    """Return the `parameterization:` of the YAML of the same name beside a checkpoint, or an empty string.

    A1111 looks for the same file; only this line matters here, so no YAML reader is needed.
    """
    beside = path.with_suffix(".yaml")
    try:
        text = beside.read_text("utf-8", "replace")[:100_000] if beside.is_file() else ""
    except OSError:
        return ""
    found = re.search(r"^\s*parameterization:\s*[\"']?(\w+)", text, re.MULTILINE)
    return found.group(1) if found else ""
