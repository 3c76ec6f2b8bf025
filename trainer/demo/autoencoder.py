"""Trains the demo autoencoder on drawn and wild pictures.

Axes: B batch, C colour or latent channels, H height, W width. Pictures are float32 in -1..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.demo.drawing import draw
from trainer.demo.models import make_vae
from trainer.demo.optimisers import MatrixOptimiser
from trainer.demo.parallel import Average, Clock, average_gradients, rate_at, share_weights
from trainer.demo.scenes import random_scene
from trainer.demo.wild import wild_picture


@dataclass(frozen=True)
class VaeBudget:
    """How long and how the autoencoder is trained; the rate follows the clock."""

    minutes: float = 11.0
    pictures: int = 5000
    batch: int = 12
    """Crops per process and step."""
    crop_px: int = 40
    lr: float = 3e-3
    kl: float = 3e-4
    whole_from: float = 0.85
    """Share of the time after which whole pictures replace crops."""


def vae_pictures(count: int, seed: int) -> Tensor:
    """Draw pictures for the autoencoder, 30 % of them wild: uint8 [B, C, 64, 64]."""
    rng = Random(seed)
    pictures = [
        wild_picture(rng) if rng.random() < 0.3 else draw(random_scene(rng, fills=0.5), rng=rng) for _ in range(count)
    ]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2).contiguous()


def as_floats(pictures_BCHW: Tensor) -> Tensor:
    """Turn uint8 pictures into float32 in -1..1."""
    return pictures_BCHW.float() / 127.5 - 1.0


def reconstruction_loss(drawn_BCHW: Tensor, wanted_BCHW: Tensor) -> Tensor:
    """L1 + 2 MSE + half the L1 of horizontal and vertical differences."""
    error_BCHW = drawn_BCHW - wanted_BCHW
    edges = error_BCHW.diff(dim=-1).abs().mean() + error_BCHW.diff(dim=-2).abs().mean()
    return error_BCHW.abs().mean() + 2 * error_BCHW.square().mean() + 0.5 * edges


def random_batch(pictures_NCHW: Tensor, count: int, crop_px: int, generator: torch.Generator) -> Tensor:
    """Take random crops (or whole pictures), half of the batch mirrored."""
    room = pictures_NCHW.shape[-1] - crop_px
    picks = torch.randint(len(pictures_NCHW), (count,), generator=generator).tolist()
    corners = torch.randint(room + 1, (count, 2), generator=generator).tolist()
    crops = [
        pictures_NCHW[pick, :, y : y + crop_px, x : x + crop_px] for pick, (y, x) in zip(picks, corners, strict=True)
    ]
    batch_BCHW = as_floats(torch.stack(crops))
    batch_BCHW[: count // 2] = batch_BCHW[: count // 2].flip(-1)
    return batch_BCHW


def train_vae(rank: int, processes: int, budget: VaeBudget, folder: Path) -> None:
    """Train for the budget, leaving `vae.pt` (averaged weights) in `folder`; goes on from `vae-state.pt`."""
    torch.manual_seed(rank + 1)
    generator = torch.Generator().manual_seed(rank + 1)
    pictures = vae_pictures(budget.pictures // processes, seed=1000 + rank)
    vae = make_vae().train()
    share_weights([vae])
    params = list(vae.parameters())
    optimiser = MatrixOptimiser([vae], budget.lr)
    average, clock, step = Average([vae], 0.998), Clock(), 0
    state_file = folder / "vae-state.pt"
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        vae.load_state_dict(state["vae"])
        optimiser.load_state_dict(state["optimiser"])
        average.values = state["average"]
        clock, step = Clock(state["elapsed_s"]), state["step"]
    done = clock.elapsed_s() / (budget.minutes * 60)
    while done < 1.0:
        whole = done > budget.whole_from
        crop_px, batch = (64, max(1, budget.batch // 2)) if whole else (budget.crop_px, budget.batch)
        loss = _vae_loss(vae, random_batch(pictures, batch, crop_px, generator), budget.kl)
        loss.backward()
        elapsed_s = average_gradients(params, clock.elapsed_s(), 1.0)
        done = elapsed_s / (budget.minutes * 60)
        optimiser.step(rate_at(done, step, flat_until=0.3))
        vae.zero_grad()
        average.update(step)
        step += 1
        if rank == 0 and step % 100 == 0:
            print(f"vae step {step} {elapsed_s:.0f} s loss {loss.item():.4f}", flush=True)
        if rank == 0 and step % 500 == 0:
            _save_state(state_file, vae, optimiser, average, elapsed_s, step)
            _report(vae, average)
    if rank == 0:
        average.exchange()
        torch.save(vae.state_dict(), folder / "vae.pt")
        print(f"vae done: {step} steps, PSNR {psnr(vae, held_out(64)):.2f} dB", flush=True)


def held_out(count: int) -> Tensor:
    """Flat pictures that no training seed draws: float32 [B, C, 64, 64]."""
    rng = Random(77)
    return as_floats(
        torch.from_numpy(np.stack([np.asarray(draw(random_scene(rng), rng=rng)) for _ in range(count)])).permute(
            0, 3, 1, 2
        )
    )


@torch.no_grad()
def psnr(vae: Any, pictures_BCHW: Tensor) -> float:
    """Mean peak signal-to-noise ratio of the reconstructions, in dB."""
    drawn_BCHW = vae.decode(vae.encode(pictures_BCHW).latent_dist.mean).sample.clamp(-1, 1)
    errors_B = (drawn_BCHW - pictures_BCHW).square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(4.0 / errors_B)).mean())


def _vae_loss(vae: Any, pictures_BCHW: Tensor, kl: float) -> Tensor:
    posterior = vae.encode(pictures_BCHW).latent_dist
    spread = (posterior.mean.square() + posterior.var - 1.0 - posterior.logvar).mean() * 0.5
    loss: Tensor = reconstruction_loss(vae.decode(posterior.sample()).sample, pictures_BCHW) + kl * spread
    return loss


def _report(vae: Any, average: Average) -> None:
    average.exchange()
    pictures_BCHW = held_out(24)
    latents_BCHW = vae.encode(pictures_BCHW).latent_dist.mean
    print(f"  PSNR {psnr(vae, pictures_BCHW):.2f} dB, latent std {latents_BCHW.std().item():.3f}", flush=True)
    average.exchange()


def _save_state(
    path: Path, vae: Any, optimiser: MatrixOptimiser, average: Average, elapsed_s: float, step: int
) -> None:
    state = {
        "vae": vae.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.values,
        "elapsed_s": elapsed_s,
        "step": step,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
