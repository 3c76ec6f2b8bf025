"""Draws pictures with the demo model in a few lines, for its evaluation and build.

Axes: B batch, C channels, H height, W width, L tokens, D context width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.demo.models import load_tokenizer
from trainer.demo.pool import token_ids


@dataclass(frozen=True)
class DemoModel:
    """The parts of the demo model, in float32 and evaluation mode."""

    tokenizer: Any
    text_encoder: Any
    vae: Any
    unet: Any
    scheduler: Any

    @torch.no_grad()
    def context(self, prompts: list[str]) -> Tensor:
        """Text conditions of the prompts: float32 [B, L, D]."""
        context_BLD: Tensor = self.text_encoder(token_ids(self.tokenizer, prompts)).last_hidden_state
        return context_BLD

    @torch.no_grad()
    def pictures(self, prompts: list[str], seed: int = 0, steps: int = 15, guidance: float = 3.0) -> Tensor:
        """Draw one picture per prompt with DDIM: float32 [B, 3, 64, 64], about -1..1, not clamped."""
        generator = torch.Generator().manual_seed(seed)
        latents_BCHW = torch.randn(len(prompts), 4, 16, 16, generator=generator)
        context_BLD = torch.cat([self.context([""] * len(prompts)), self.context(prompts)])
        self.scheduler.set_timesteps(steps)
        for timestep in self.scheduler.timesteps:
            plain, guided = self.unet(torch.cat([latents_BCHW] * 2), timestep, context_BLD).sample.chunk(2)
            velocity_BCHW = plain + guidance * (guided - plain)
            latents_BCHW = self.scheduler.step(velocity_BCHW, timestep, latents_BCHW).prev_sample
        pictures_BCHW: Tensor = self.vae.decode(latents_BCHW / self.vae.config.scaling_factor).sample
        return pictures_BCHW


def load_demo_model(folder: Path) -> DemoModel:
    """Load the diffusers folder without the pipeline class, whose import takes many seconds."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from transformers import CLIPTextModel

    options = {"torch_dtype": torch.float32, "local_files_only": True}
    return DemoModel(
        load_tokenizer(folder / "tokenizer"),
        CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32, local_files_only=True).eval(),
        AutoencoderKL.from_pretrained(folder / "vae", **options).eval(),
        UNet2DConditionModel.from_pretrained(folder / "unet", **options).eval(),
        DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True),
    )
