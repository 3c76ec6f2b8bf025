"""Single-file checkpoints with random weights: complete SD 1.5 and 2.x in LDM layout, and files that are none.

`write_ldm_checkpoint(path, "sd1")` writes a full-size SD 1.5 (2 GiB in half precision); `tiny=True` keeps every
layer but narrows it (about 40 MiB), for tests that only need the names and shapes to be right.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch

from trainer.base_model import configs, names
from trainer.base_model.layouts import CLIP_TEXT, OPEN_CLIP_TEXT, UNET, VAE

Family = Literal["sd1", "sd2"]
TINY_UNET, TINY_VAE, TINY_TEXT = 32, 32, 96


class RandomWeights:
    """Random tensors cut from one pool: two gigabytes in a second or two instead of half a minute."""

    def __init__(self, dtype: torch.dtype, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.pool = torch.randn((1 << 22) + 12_347, generator=generator)
        self.dtype, self.place = dtype, 0

    def make(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Weights with a spread of 1/√fan-in, norms near 1, biases near 0."""
        count = math.prod(shape)
        values = self._take(count).reshape(shape)
        if len(shape) == 1:
            return (values.float() * 0.02 + (1.0 if name.endswith("weight") else 0.0)).to(self.dtype)
        spread = 0.02 if "embedding" in name else 0.7 / math.sqrt(math.prod(shape[1:]))
        return values.mul_(spread).to(self.dtype)

    def _take(self, count: int) -> torch.Tensor:
        self.place = (self.place + 7_919) % 12_347
        window = self.pool[self.place :]
        return window.repeat(count // len(window) + 1)[:count] if count > len(window) else window[:count].clone()


def ldm_tensors(
    family: Family,
    *,
    tiny: bool = False,
    ema: bool = False,
    in_channels: int = 4,
    dtype: torch.dtype = torch.float16,
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Return a complete checkpoint as `state_dict`, with the leftovers that real ones have."""
    weights = RandomWeights(dtype, seed)
    tensors = _unet(family, weights, tiny, in_channels) | _vae(weights, tiny) | _text(family, weights, tiny)
    tensors["alphas_cumprod"] = tensors["betas"] = torch.linspace(1, 0, 1000)
    tensors["betas"] = tensors["betas"].clone()
    if ema:
        averaged = {name: value for name, value in tensors.items() if name.startswith(UNET)}
        for name, value in averaged.items():
            flat = "model_ema." + name.removeprefix("model.").replace(".", "")
            tensors[flat] = weights.make(name, tuple(value.shape))
        tensors["model_ema.decay"] = torch.tensor(0.9999)
    return tensors


def write_ldm_checkpoint(
    path: Path,
    family: Family,
    *,
    tiny: bool = False,
    ema: bool = False,
    in_channels: int = 4,
    dtype: torch.dtype = torch.float16,
    seed: int = 0,
) -> Path:
    """Write a complete random checkpoint; `.ckpt` gets what PyTorch Lightning leaves in one.

    Args:
        path: Ends in .safetensors or .ckpt.
        family: sd1 (SD 1.5) or sd2 (SD 2.x; base and v have the same tensors).
        tiny: All layers, but narrow.
        ema: Add averaged UNet weights, different from the plain ones.
        in_channels: 9 for an inpainting model.
        dtype: Type of the weights.
        seed: Other seed, other weights.
    """
    tensors = ldm_tensors(family, tiny=tiny, ema=ema, in_channels=in_channels, dtype=dtype, seed=seed)
    if path.suffix == ".ckpt":
        torch.save(_lightning(tensors), path)
    else:
        save_safetensors(path, tensors)
    return path


def save_safetensors(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Write tensors as safetensors."""
    from safetensors.torch import save_file

    save_file(tensors, path, metadata={"format": "pt"})
    return path


def write_sdxl_shaped(path: Path) -> Path:
    """Write a few tensors with the names that only SDXL has."""
    shapes = {
        f"{UNET}input_blocks.0.0.weight": (320, 4, 3, 3),
        f"{UNET}label_emb.0.0.weight": (16, 28),
        f"{UNET}out.2.weight": (4, 32, 3, 3),
        f"{UNET}middle_block.1.transformer_blocks.0.attn2.to_k.weight": (16, 2048),
        "conditioner.embedders.0.transformer.text_model.embeddings.position_ids": (1, 77),
        "conditioner.embedders.1.model.ln_final.weight": (1280,),
        "first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3),
    }
    return save_safetensors(path, {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()})


def write_lora(path: Path) -> Path:
    """Write a small LoRA with kohya's names."""
    stem = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_k"
    return save_safetensors(
        path,
        {
            f"{stem}.lora_down.weight": torch.zeros(4, 320),
            f"{stem}.lora_up.weight": torch.zeros(320, 4),
            f"{stem}.alpha": torch.tensor(4.0),
        },
    )


def _unet(family: Family, weights: RandomWeights, tiny: bool, in_channels: int) -> dict[str, torch.Tensor]:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config = configs.shipped_config(family, "epsilon", "unet")
    config["in_channels"] = in_channels
    if tiny:
        config["block_out_channels"] = [TINY_UNET * factor for factor in (1, 2, 4, 4)]
        config["cross_attention_dim"] = TINY_TEXT
        if family == "sd2":
            config["attention_head_dim"] = [1, 1, 2, 2]
    with torch.device("meta"):
        shapes = UNet2DConditionModel.from_config(config).state_dict()
    return _invert(shapes, names.unet_sources(config, UNET), weights)


def _vae(weights: RandomWeights, tiny: bool) -> dict[str, torch.Tensor]:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    config = configs.shipped_config("sd1", "epsilon", "vae")
    if tiny:
        config["block_out_channels"] = [TINY_VAE * factor for factor in (1, 2, 4, 4)]
    with torch.device("meta"):
        shapes = AutoencoderKL.from_config(config).state_dict()
    tensors = _invert(shapes, names.vae_sources(config, VAE), weights)
    for name, value in tensors.items():
        if ".attn_1." in name and value.dim() == 2:  # LDM keeps these as 1×1 convolutions
            tensors[name] = value[:, :, None, None]
    return tensors


def _text(family: Family, weights: RandomWeights, tiny: bool) -> dict[str, torch.Tensor]:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = configs.shipped_config(family, "epsilon", "text_encoder")
    if tiny:
        config |= {"hidden_size": TINY_TEXT, "intermediate_size": 4 * TINY_TEXT, "num_attention_heads": 1}
    if family == "sd2":
        config["num_hidden_layers"] += 1  # the layer that SD 2.x carries but does not use
    with torch.device("meta"):
        shapes = CLIPTextModel(CLIPTextConfig.from_dict(config)).state_dict()
    if family == "sd1":
        tensors = _invert(shapes, names.clip_sources(f"{CLIP_TEXT}text_model."), weights)
        tensors[f"{CLIP_TEXT}text_model.embeddings.position_ids"] = torch.arange(77)[None]
        return tensors
    tensors = _invert(shapes, names.open_clip_sources(OPEN_CLIP_TEXT), weights)
    tensors[f"{OPEN_CLIP_TEXT}text_projection"] = weights.make("text_projection", (config["hidden_size"],) * 2)
    tensors[f"{OPEN_CLIP_TEXT}logit_scale"] = torch.tensor(4.6)
    return tensors


def _invert(
    shapes: dict[str, torch.Tensor], source_of: names.SourceOf, weights: RandomWeights
) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    thirds: dict[str, dict[int, torch.Tensor]] = {}
    for name, empty in shapes.items():
        source = source_of(name)
        value = weights.make(name, tuple(empty.shape))
        if source.third is None:
            tensors[source.name] = value
        else:
            thirds.setdefault(source.name, {})[source.third] = value
    return tensors | {name: torch.cat([parts[0], parts[1], parts[2]]) for name, parts in thirds.items()}


def _lightning(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    callback = _foreign_class("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
    return {
        "epoch": 3,
        "global_step": 470_000,
        "pytorch-lightning_version": "1.4.2",
        "callbacks": {callback: {"monitor": "val/loss_simple_ema", "best_model_score": torch.tensor(0.2)}},
        "optimizer_states": [],
        "lr_schedulers": [],
        "state_dict": tensors,
    }


def _foreign_class(module_name: str, class_name: str) -> type:
    """Make a class that pickles under the name of a library which is not installed."""
    made = type(class_name, (), {"__module__": module_name})
    parts = module_name.split(".")
    for depth in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:depth]), ModuleType(".".join(parts[:depth])))
    setattr(sys.modules[module_name], class_name, made)
    return made
