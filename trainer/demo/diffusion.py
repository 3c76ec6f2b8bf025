"""Trains the demo text encoder and UNet together on the pool of latents.

Axes: B batch, C latent channels, H height, W width, L tokens, D context width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.demo.models import SCHEDULER_CONFIG, load_tokenizer, make_text_encoder, make_unet
from trainer.demo.optimisers import MatrixOptimiser
from trainer.demo.parallel import Average, Clock, average_gradients, rate_at, share_weights
from trainer.demo.pool import Pool, load_pool


@dataclass(frozen=True)
class UnetBudget:
    """How long and how text encoder and UNet are trained; the rate follows the clock."""

    minutes: float = 70.0
    pictures: int = 32_000
    batch: int = 16
    """Pictures per process and step."""
    lr: float = 2.5e-3
    flat_until: float = 0.3
    noise_bias: float = 0.8
    """Timesteps are 1000 * u ** noise_bias for even u: below 1 more of them are noisy."""


def alphas_cumprod() -> Tensor:
    """Cumulative signal share of the demo's noise schedule ("scaled_linear"), float32 [1000]."""
    steps, start, end = (SCHEDULER_CONFIG[key] for key in ("num_train_timesteps", "beta_start", "beta_end"))
    betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64).square()
    return (1 - betas).cumprod(0).float()


def stratified_timesteps(count: int, bias: float, generator: torch.Generator) -> Tensor:
    """One timestep from each of `count` equal slices of the schedule, int64 [B]."""
    even_B = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (even_B**bias * 1000).long().clamp(max=999)


def v_loss(unet: Any, latents_BCHW: Tensor, context_BLD: Tensor, timesteps_B: Tensor, noise_BCHW: Tensor) -> Tensor:
    """Mean squared error of the predicted velocity (Salimans & Ho 2022, appendix D)."""
    signal_B = alphas_cumprod()[timesteps_B][:, None, None, None]
    noisy_BCHW = signal_B.sqrt() * latents_BCHW + (1 - signal_B).sqrt() * noise_BCHW
    wanted_BCHW = signal_B.sqrt() * noise_BCHW - (1 - signal_B).sqrt() * latents_BCHW
    predicted_BCHW: Tensor = unet(noisy_BCHW, timesteps_B, context_BLD, return_dict=False)[0]
    return (predicted_BCHW - wanted_BCHW).square().mean()


def train_unet(rank: int, processes: int, budget: UnetBudget, folder: Path) -> None:
    """Train for the budget, leaving `unet.pt` (both, averaged) in `folder`; goes on from `unet-state.pt`."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(100 + rank)
    pool = load_pool([folder / f"pool-{rank}.pt"])
    text_encoder, unet = (
        make_text_encoder(len(load_tokenizer(folder / "tokenizer"))).train(),
        make_unet().train(),
    )
    modules = [text_encoder, unet]
    share_weights(modules)
    params = [param for module in modules for param in module.parameters()]
    optimiser = MatrixOptimiser(modules, budget.lr)
    average, clock, step = Average(modules, 0.998), Clock(), 0
    state_file = folder / "unet-state.pt"
    if state_file.exists():
        clock, step = _load_state(state_file, modules, optimiser, average)
        generator.manual_seed(100 + rank + 7 * step)
    elapsed_s, total = clock.elapsed_s(), 0.0
    done = elapsed_s / (budget.minutes * 60)
    while done < 1.0:
        loss = _pool_loss(modules, pool, budget, generator)
        loss.backward()
        elapsed_s = average_gradients(params, clock.elapsed_s(), 1.0)
        done = elapsed_s / (budget.minutes * 60)
        optimiser.step(rate_at(done, step, budget.flat_until))
        for param in params:
            param.grad = None
        average.update(step)
        total += loss.item()
        step += 1
        if rank == 0 and step % 100 == 0:
            print(f"unet step {step} {elapsed_s:.0f} s loss {total / 100:.4f}", flush=True)
            total = 0.0
        if rank == 0 and step % 500 == 0:
            _save_state(state_file, modules, optimiser, average, elapsed_s, step)
            save_average(folder / "unet.pt", modules, average)
    if rank == 0:
        _save_state(state_file, modules, optimiser, average, elapsed_s, step)
        save_average(folder / "unet.pt", modules, average)
        print(f"unet done: {step} steps, {step * processes * budget.batch} pictures", flush=True)


def save_average(path: Path, modules: list[Any], average: Average) -> None:
    """Write the averaged weights of text encoder and UNet."""
    average.exchange()
    partial = path.with_suffix(".partial")
    torch.save({"text_encoder": modules[0].state_dict(), "unet": modules[1].state_dict()}, partial)
    partial.replace(path)
    average.exchange()


def _pool_loss(modules: list[Any], pool: Pool, budget: UnetBudget, generator: torch.Generator) -> Tensor:
    latents_BCHW, tokens_BL = pool.batch(budget.batch, generator)
    context_BLD = modules[0](tokens_BL).last_hidden_state
    timesteps_B = stratified_timesteps(budget.batch, budget.noise_bias, generator)
    noise_BCHW = torch.randn(latents_BCHW.shape, generator=generator)
    return v_loss(modules[1], latents_BCHW, context_BLD, timesteps_B, noise_BCHW)


def _save_state(
    path: Path, modules: list[Any], optimiser: MatrixOptimiser, average: Average, elapsed_s: float, step: int
) -> None:
    state = {
        "modules": [module.state_dict() for module in modules],
        "optimiser": optimiser.state_dict(),
        "average": average.values,
        "elapsed_s": elapsed_s,
        "step": step,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _load_state(path: Path, modules: list[Any], optimiser: MatrixOptimiser, average: Average) -> tuple[Clock, int]:
    state = torch.load(path, weights_only=True)
    for module, weights in zip(modules, state["modules"], strict=True):
        module.load_state_dict(weights)
    optimiser.load_state_dict(state["optimiser"])
    average.values = state["average"]
    return Clock(state["elapsed_s"]), state["step"]
