"""The forward diffusion process and what the UNet is asked to predict.

Ho et al., "Denoising Diffusion Probabilistic Models" (2020), eq. 4, and Salimans & Ho, "Progressive
Distillation" (2022), appendix D for the velocity. Tensor axes: B batch, C channels, H height, W width.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PredictionType = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True)
class Diffusion:
    """A noise schedule with its prediction type."""

    signal_T: Tensor
    """Square root of the cumulative product of alphas, float32, one per timestep."""
    noise_T: Tensor
    """Square root of one minus it."""
    prediction_type: PredictionType

    @classmethod
    def from_scheduler(cls, noise_scheduler: object, device: torch.device) -> "Diffusion":
        """Take the schedule of a diffusers noise scheduler.

        Raises:
            ValueError: the scheduler predicts neither noise nor velocity.
        """
        prediction_type = noise_scheduler.config.prediction_type  # type: ignore[attr-defined]
        if prediction_type not in ("epsilon", "v_prediction"):
            raise ValueError(f"prediction type {prediction_type} is neither epsilon nor v_prediction")
        alphas_T = noise_scheduler.alphas_cumprod.to(device, torch.float32)  # type: ignore[attr-defined]
        return cls(alphas_T.sqrt(), (1 - alphas_T).sqrt(), prediction_type)

    @property
    def num_timesteps(self) -> int:
        """Length of the schedule."""
        return len(self.signal_T)

    def add_noise(self, latents_BCHW: Tensor, noise_BCHW: Tensor, timesteps_B: Tensor) -> Tensor:
        """Return the noisy latents of eq. 4."""
        signal, amount = self._of(timesteps_B)
        return signal * latents_BCHW + amount * noise_BCHW

    def target(self, latents_BCHW: Tensor, noise_BCHW: Tensor, timesteps_B: Tensor) -> Tensor:
        """Return what the UNet should predict: the noise, or the velocity."""
        if self.prediction_type == "epsilon":
            return noise_BCHW
        signal, amount = self._of(timesteps_B)
        return signal * noise_BCHW - amount * latents_BCHW

    def min_snr_weight(self, timesteps_B: Tensor, gamma: float) -> Tensor:
        """Return the loss weights of Hang et al., "Min-SNR Weighting" (2023), section 3.4 and its table for v."""
        snr_B = (self.signal_T[timesteps_B] / self.noise_T[timesteps_B]) ** 2
        least_B = snr_B.clamp(max=gamma)
        return least_B / (snr_B if self.prediction_type == "epsilon" else snr_B + 1)

    def _of(self, timesteps_B: Tensor) -> tuple[Tensor, Tensor]:
        return self.signal_T[timesteps_B].view(-1, 1, 1, 1), self.noise_T[timesteps_B].view(-1, 1, 1, 1)
