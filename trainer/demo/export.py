"""Writes the trained parts as the diffusers folder that ships with the wizard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from trainer.demo.models import (
    SCHEDULER_CONFIG,
    load_tokenizer,
    make_text_encoder,
    make_unet,
    make_vae,
    write_tokenizer,
)
from trainer.demo.pool import LATENT_SCALE

PARTS = {
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def export_model(work: Path, target: Path) -> None:
    """Write `work`'s averaged weights to the folder `target` as float16 safetensors."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    write_tokenizer(target / "tokenizer")
    vae = make_vae()
    vae.load_state_dict(torch.load(work / "vae-whitened.pt", weights_only=True))
    vae.register_to_config(scaling_factor=LATENT_SCALE)
    weights = torch.load(work / "unet.pt", weights_only=True)
    text_encoder, unet = make_text_encoder(len(load_tokenizer(target / "tokenizer"))), make_unet()
    text_encoder.load_state_dict(weights["text_encoder"])
    unet.load_state_dict(weights["unet"])
    for name, part in (("vae", vae), ("text_encoder", text_encoder), ("unet", unet)):
        part.half().save_pretrained(target / name, safe_serialization=True)
    DDIMScheduler(**SCHEDULER_CONFIG).save_pretrained(target / "scheduler")
    index: dict[str, Any] = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0", **PARTS}
    index |= {
        "safety_checker": [None, None],
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
    }
    (target / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
