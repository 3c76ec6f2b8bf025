"""Whether an SD 2.x UNet predicts the noise or the velocity, by one look at what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from trainer.errors import AppError
from trainer.text import printable

# Axes: B batch, C channels, H and W latent rows and columns, L tokens, D width.
EPSILON_ABOVE = 0.8
VELOCITY_BELOW = 0.5


@torch.no_grad()
def probe_prediction_type(unet: Any, context_dim: int) -> Literal["epsilon", "v_prediction", "unknown"]:
    """Ask the UNet what it makes of pure noise at the last timestep.

    With x_t = √ᾱ·x₀ + √(1-ᾱ)·ε and ᾱ(999) = 0.0047, an ε-model's answer is nearly its input (correlation near 1),
    while a v-model's is v = √ᾱ·ε - √(1-ᾱ)·x₀ ≈ -x₀, a smooth guess of a picture with hardly any of the input in it
    (Salimans & Ho 2022, appendix D). Between the two bounds nothing is claimed.

    Args:
        unet: A diffusers UNet; called once on a latent of 32 × 32.
        context_dim: Width of the text condition, which is all zeros here.
    """
    generator = torch.Generator().manual_seed(0)
    noise_BCHW = torch.randn(1, 4, 32, 32, generator=generator).to(unet.device, unet.dtype)
    context_BLD = torch.zeros(1, 77, context_dim, device=unet.device, dtype=unet.dtype)
    answer_BCHW = unet(noise_BCHW, torch.tensor(999, device=unet.device), context_BLD).sample
    pair = torch.stack([noise_BCHW.float().flatten(), answer_BCHW.float().flatten()])
    correlation = float(torch.corrcoef(pair)[0, 1])
    if correlation > EPSILON_ABOVE:
        return "epsilon"
    return "v_prediction" if abs(correlation) < VELOCITY_BELOW else "unknown"


def ask_for_prediction_type(path: Path) -> AppError:
    """Return the error that asks the user."""
    return AppError(
        "Which kind of SD 2.x model is this?",
        f"The weights of {printable(path)} do not say whether it predicts noise (512-px base models) "
        "or velocity (768-px v models).",
        "Set model.prediction_type to epsilon or v_prediction (e.g. --set model.prediction_type=epsilon).",
    )
