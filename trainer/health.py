"""How the network itself does, apart from the loss: how strongly it acts, and on what it should leave alone.

The base model with the network off is the teacher: on captions that were never trained, a good network stays
near it, and one that was trained too hard drives away. The teacher denoises these captions once, before training;
later the same noisy latents are predicted with the network on. Nothing here draws from a running generator or
keeps a gradient, so training goes on as if nobody had looked.
Tensor axes: B batch, C channels, H height, W width, L tokens, D context dimension.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from trainer.hypernetwork import Hypernetwork
from trainer.likeness import Likeness
from trainer.looks import looks_of
from trainer.randomness import normal
from trainer.sampling import make_scheduler
from trainer.step import Denoiser

UNRELATED = (
    "a lake below mountains",
    "fruit on a wooden table",
    "a street with parked cars",
    "an old stone bridge",
    "a white horse on a meadow",
    "a cup beside an open book",
    "a sailing boat at sea",
    "a dark forest in winter",
)
"""Captions that a user's pictures are unlikely to carry."""
TEACHER_STEPS = 4
"""Sampling steps of the teacher: as many noise levels at which the drift is measured."""


@dataclass(frozen=True)
class _Sighting:
    """What the teacher said of one noisy picture."""

    noisy_BCHW: Tensor
    timestep: Tensor
    context_BLD: Tensor
    prediction_BCHW: Tensor


@dataclass
class HealthMeter:
    """Measures one network, attached to the denoiser's UNet when `measure` is called."""

    net: Hypernetwork
    sightings: Sequence[_Sighting]
    check: Callable[[], None]
    """Called before each look; what it raises leaves the measurement off."""
    norms: list[float] = field(default_factory=list)
    """Norms of the gradients since the last measurement; append each step's."""

    def measure(self, denoiser: Denoiser) -> dict[str, Any]:
        """Return the fields of a `health` event: strength, drift, median gradient norm. The network is in eval mode."""
        found: dict[str, Any] = {"grad_norm": statistics.median(self.norms) if self.norms else None}
        self.norms.clear()
        if self.sightings:
            with strengths(self.net) as strength:
                found["drift"] = self._drift(denoiser)
            found["strength"] = strength
        return found

    @torch.no_grad()
    def _drift(self, denoiser: Denoiser) -> float:
        shares = []
        for seen in self.sightings:
            self.check()
            now_BCHW = denoiser.predict(seen.noisy_BCHW, seen.timestep, seen.context_BLD)
            shares.append(float((now_BCHW - seen.prediction_BCHW).norm() / seen.prediction_BCHW.norm()))
        return sum(shares) / len(shares)


@torch.no_grad()
def watch_teacher(
    denoiser: Denoiser,
    noise_scheduler: Any,
    contexts: Sequence[Tensor],
    latent_shape: tuple[int, int, int],
    check: Callable[[], None],
) -> list[_Sighting]:
    """Let the UNet, to which no network is attached, denoise each context, and note what it said on the way.

    Args:
        denoiser: The UNet.
        noise_scheduler: The model's own.
        contexts: Context_LD of each caption.
        latent_shape: (C, H, W) of the latents.
        check: Called before each look; what it raises leaves this off.
    """
    seen = []
    for place, context_LD in enumerate(contexts):
        scheduler = make_scheduler("DDIM", noise_scheduler)
        scheduler.set_timesteps(TEACHER_STEPS, device=denoiser.device)
        latents_BCHW = normal(latent_shape, 0, "teacher", place)[None].to(denoiser.device)
        for timestep in scheduler.timesteps:
            check()
            prediction_BCHW = denoiser.predict(latents_BCHW, timestep[None], context_LD[None])
            seen.append(_Sighting(latents_BCHW, timestep[None], context_LD[None], prediction_BCHW))
            latents_BCHW = scheduler.step(prediction_BCHW, timestep, latents_BCHW, return_dict=False)[0]
    return seen


@contextmanager
def strengths(net: Hypernetwork) -> Iterator[dict[str, list[float]]]:
    """Measure ‖f(x)‖ / ‖x‖ over all that passes through a network inside this block, by width, for keys and values."""
    sums: dict[nn.Module, list[float]] = {}
    found: dict[str, list[float]] = {}

    def note(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        pair = sums.setdefault(module, [0.0, 0.0])
        pair[0] += float(output.float().square().sum())
        pair[1] += float(args[0].float().square().sum())

    handles = [module.linear.register_forward_hook(note) for module in net.context_modules()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
        for dim in net.dims:
            pair = net.pair(dim) or ()
            if all(module.linear in sums for module in pair):
                found[str(dim)] = [(sums[m.linear][0] / max(sums[m.linear][1], 1e-12)) ** 0.5 for m in pair]


def preview_facts(picture: Image.Image, latents_CHW: Tensor, likeness: Likeness) -> dict[str, Any]:
    """Return what a `health` event says of a preview."""
    similarity, nearest = likeness.nearest(latents_CHW)
    return {**asdict(looks_of(picture)), "similarity": similarity, "nearest": nearest}
