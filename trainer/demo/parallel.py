"""Training in several one-thread processes with averaged gradients, and a rate that follows the clock."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn


def launch(work: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Run `work(rank, processes, *arguments)` in that many processes and wait for them.

    Raises:
        torch.multiprocessing.ProcessRaisedException: one of them failed.
    """
    if processes == 1:
        work(0, 1, *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting_point = Path(folder) / "meeting-point"
        spawn(_worker, (processes, meeting_point, work, arguments), nprocs=processes)


def average_gradients(params: list[nn.Parameter], elapsed_s: float, clip_norm: float) -> float:
    """Average gradients over all processes, clip their norm, and agree on the elapsed time.

    Returns:
        The elapsed seconds, averaged, so that every process uses the same learning rate.
    """
    grads = [param.grad if param.grad is not None else torch.zeros_like(param) for param in params]
    if dist.is_initialized():
        flat = torch.cat([*(grad.flatten() for grad in grads), torch.tensor([elapsed_s])])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        elapsed_s = float(flat[-1])
        pieces = flat[:-1].split([grad.numel() for grad in grads])
        grads = [piece.view(grad.shape) for piece, grad in zip(pieces, grads, strict=True)]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    nn.utils.clip_grad_norm_(params, clip_norm, foreach=True)
    return elapsed_s


def share_weights(modules: list[nn.Module]) -> None:
    """Give every process the weights of the first."""
    if dist.is_initialized():
        for module in modules:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)


def rate_at(done: float, step: int, flat_until: float, floor: float = 0.02, warmup_steps: int = 100) -> float:
    """Share of the full learning rate: warm-up, flat, then cosine to `floor`.

    Args:
        done: share of the training budget that is spent, 0..1.
        flat_until: share of the budget at which the decay begins.
    """
    rate = min(1.0, (step + 1) / warmup_steps)
    if done > flat_until:
        phase = min(1.0, (done - flat_until) / (1.0 - flat_until))
        rate *= floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * phase))
    return rate


class Average:
    """Exponential moving average of weights, with a short memory at the beginning."""

    def __init__(self, modules: list[nn.Module], decay: float) -> None:
        self.params = [param for module in modules for param in module.parameters()]
        self.decay = decay
        self.values: list[Tensor] = [param.detach().clone() for param in self.params]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the present weights."""
        decay = min(self.decay, (step + 1) / (step + 10))
        torch._foreach_lerp_(self.values, [param.detach() for param in self.params], 1 - decay)

    @torch.no_grad()
    def exchange(self) -> None:
        """Swap averaged and present weights; calling it twice restores both."""
        for param, value in zip(self.params, self.values, strict=True):
            kept = param.detach().clone()
            param.copy_(value)
            value.copy_(kept)


class Clock:
    """Seconds of work, counted on through a resumed run."""

    def __init__(self, spent_s: float = 0.0) -> None:
        self.started = time.monotonic() - spent_s

    def elapsed_s(self) -> float:
        """Seconds since the (first) start."""
        return time.monotonic() - self.started


def _worker(
    rank: int, processes: int, meeting_point: Path, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting_point.as_uri(), rank=rank, world_size=processes)
    try:
        work(rank, processes, *arguments)
    finally:
        dist.destroy_process_group()
