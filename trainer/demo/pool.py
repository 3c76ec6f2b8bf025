"""The pool of latents and captions that the demo UNet learns from, made once with the finished autoencoder.

Axes: N pictures, B batch, C latent channels, H height, W width, K captions of a picture, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.demo.autoencoder import as_floats
from trainer.demo.drawing import draw
from trainer.demo.models import MAX_TOKENS, load_tokenizer, make_vae
from trainer.demo.scenes import random_scene

LATENT_SCALE = 0.18215
"""Stable Diffusion's own scaling factor, which the demo's latents are brought to."""
CAPTIONS_EACH = 4


@dataclass(frozen=True)
class Pool:
    """Latents (float16, about unit variance) and token ids of drawn pictures."""

    latents_NCHW: Tensor
    tokens_NKL: Tensor

    def batch(self, count: int, generator: torch.Generator, empty: float = 0.1) -> tuple[Tensor, Tensor]:
        """Pick latents (float32) and one caption's ids each; a share of the captions is empty."""
        picks_B = torch.randint(len(self.latents_NCHW), (count,), generator=generator)
        captions_B = torch.randint(CAPTIONS_EACH, (count,), generator=generator)
        tokens_BL = self.tokens_NKL[picks_B, captions_B].long()
        blank_B = torch.rand(count, generator=generator) < empty
        tokens_BL[blank_B, 1:] = tokens_BL[0, -1]
        return self.latents_NCHW[picks_B].float(), tokens_BL


def make_shard(rank: int, processes: int, pictures: int, folder: Path) -> None:
    """Draw and encode this process's share of the pool into `pool-RANK.pt`, unless it is there."""
    target = folder / f"pool-{rank}.pt"
    if target.exists():
        return
    vae = make_vae().eval()
    vae.load_state_dict(torch.load(folder / "vae-whitened.pt", weights_only=True))
    tokenizer = load_tokenizer(folder / "tokenizer")
    rng = Random(5000 + rank)
    latents, tokens = [], []
    for _ in range(pictures // processes // 50):
        scenes = [random_scene(rng) for _ in range(50)]
        drawn = np.stack([np.asarray(draw(scene, rng=rng)) for scene in scenes])
        latents.append(encode(vae, torch.from_numpy(drawn).permute(0, 3, 1, 2)).half())
        captions = [scene.caption(rng) for scene in scenes for _ in range(CAPTIONS_EACH)]
        tokens.append(token_ids(tokenizer, captions).view(50, CAPTIONS_EACH, MAX_TOKENS).short())
    partial = target.with_suffix(".partial")
    torch.save({"latents": torch.cat(latents), "tokens": torch.cat(tokens)}, partial)
    partial.replace(target)


def load_pool(files: list[Path]) -> Pool:
    """Read shards back into one pool."""
    shards = [torch.load(file, weights_only=True) for file in files]
    return Pool(torch.cat([shard["latents"] for shard in shards]), torch.cat([shard["tokens"] for shard in shards]))


def token_ids(tokenizer: Any, captions: list[str]) -> Tensor:
    """Token ids, padded or cut to the model's length: int64 [B, L]."""
    encoded = tokenizer(captions, padding="max_length", max_length=MAX_TOKENS, truncation=True, return_tensors="pt")
    ids: Tensor = encoded.input_ids
    return ids


@torch.no_grad()
def encode(vae: Any, pictures_BCHW: Tensor) -> Tensor:
    """Scaled latents (posterior means) of uint8 pictures."""
    latents_BCHW: Tensor = vae.encode(as_floats(pictures_BCHW)).latent_dist.mean * LATENT_SCALE
    return latents_BCHW


@torch.no_grad()
def whiten(vae: Any, pictures_BCHW: Tensor) -> None:
    """Shift and scale each latent channel to mean 0 and deviation 1 / LATENT_SCALE, inside the autoencoder.

    The 1 x 1 convolutions after the encoder and before the decoder take up the change, so pictures
    come out as before and Stable Diffusion's single scaling factor suffices.

    Args:
        pictures_BCHW: float32 pictures in -1..1 to take the statistics from.
    """
    means_BCHW = vae.encode(pictures_BCHW).latent_dist.mean
    centre_C = means_BCHW.mean(dim=(0, 2, 3))
    gain_C = 1.0 / (LATENT_SCALE * means_BCHW.std(dim=(0, 2, 3)))
    channels = len(centre_C)
    after, before = vae.quant_conv, vae.post_quant_conv
    after.weight[:channels] *= gain_C[:, None, None, None]
    after.bias[:channels] = (after.bias[:channels] - centre_C) * gain_C
    after.bias[channels:] += 2 * gain_C.log()
    before.bias += before.weight[:, :, 0, 0] @ centre_C
    before.weight /= gain_C[None, :, None, None]
