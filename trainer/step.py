"""One training step: the loss and its gradient.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022), eq. 3: the UNet
sees noisy latents, a timestep and a text context, and the mean squared error of its prediction is
minimised, here with respect to the hypernetwork alone.
Tensor axes: B batch, C channels, H height, W width, L tokens, D context dimension.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.diffusion import Diffusion


@dataclass(frozen=True)
class MicroBatch:
    """Some pictures of one size that are computed together, on the CPU in float32."""

    latents_BCHW: Tensor
    noise_BCHW: Tensor
    timesteps_B: Tensor
    """int64"""
    context_BLD: Tensor
    weight_BHW: Tensor | None
    """Weight of each place of the loss, mean 1; None for ones."""
    dropout_seed: int | None = None
    """Seeds the hypernetwork's dropout; None where it has none."""


@dataclass(frozen=True)
class StepResult:
    """What one step measured."""

    loss: float
    """Mean over the effective batch."""
    pictures: int


@dataclass(frozen=True)
class Denoiser:
    """The frozen UNet, with the hypernetwork attached, where and how it is computed."""

    unet: Any
    diffusion: Diffusion
    device: torch.device
    dtype: torch.dtype
    min_snr_gamma: float = 0.0

    def loss_B(self, batch: MicroBatch) -> Tensor:
        """Return the loss of each picture, float32."""
        latents_BCHW = batch.latents_BCHW.to(self.device)
        noise_BCHW = batch.noise_BCHW.to(self.device)
        timesteps_B = batch.timesteps_B.to(self.device)
        noisy_BCHW = self.diffusion.add_noise(latents_BCHW, noise_BCHW, timesteps_B)
        target_BCHW = self.diffusion.target(latents_BCHW, noise_BCHW, timesteps_B)

        error_BCHW = (self.predict(noisy_BCHW, timesteps_B, batch.context_BLD) - target_BCHW).square()
        if batch.weight_BHW is not None:
            error_BCHW = error_BCHW * batch.weight_BHW.to(self.device).unsqueeze(1)
        loss_B = error_BCHW.mean(dim=(1, 2, 3))
        if self.min_snr_gamma:
            loss_B = loss_B * self.diffusion.min_snr_weight(timesteps_B, self.min_snr_gamma)
        return loss_B

    def predict(self, noisy_BCHW: Tensor, timesteps_B: Tensor, context_BLD: Tensor) -> Tensor:
        """Return the UNet's prediction, float32."""
        context_BLD = context_BLD.to(self.device, self.dtype)
        with self._autocast():
            sample: Tensor = self.unet(noisy_BCHW.to(self.dtype), timesteps_B, context_BLD, return_dict=False)[0]
        return sample.float()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def accumulate_gradient(
    denoiser: Denoiser, batches: Iterable[MicroBatch], batch_size: int, scaler: torch.amp.GradScaler
) -> StepResult:
    """Add the gradient of one effective batch's mean loss, however it is split into micro-batches.

    Args:
        denoiser: Whose hypernetwork parameters receive the gradient, multiplied by the scaler's scale.
        batches: The effective batch, in micro-batches of one picture size each.
        batch_size: Pictures of the effective batch.
        scaler: Keeps half-precision gradients from vanishing.
    """
    total, pictures = torch.zeros((), device=denoiser.device), 0
    for batch in batches:
        if batch.dropout_seed is not None:
            torch.manual_seed(batch.dropout_seed)
        loss = denoiser.loss_B(batch).sum() / batch_size
        scaler.scale(loss).backward()
        total += loss.detach()
        pictures += len(batch.timesteps_B)
    return StepResult(float(total), pictures)


def clip_gradient(parameters: list[torch.nn.Parameter], how: str, limit: float) -> float:
    """Limit the (unscaled) gradient by element or by norm, and return its norm before that."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if how == "value":
        torch.nn.utils.clip_grad_value_(parameters, limit)
    elif how == "norm":
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return float(norm)
