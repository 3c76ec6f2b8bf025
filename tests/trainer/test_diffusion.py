"""The forward process against its closed forms, and against diffusers' scheduler."""

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from trainer.diffusion import Diffusion


@pytest.fixture(params=["epsilon", "v_prediction"])
def scheduler(request: pytest.FixtureRequest) -> DDPMScheduler:
    return DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=request.param
    )


def test_noise_and_target_are_those_of_diffusers(scheduler: DDPMScheduler) -> None:
    diffusion = Diffusion.from_scheduler(scheduler, torch.device("cpu"))
    latents, noise = torch.randn(2, 5, 4, 3, 3)
    timesteps = torch.tensor([0, 1, 400, 998, 999])
    assert torch.allclose(
        diffusion.add_noise(latents, noise, timesteps), scheduler.add_noise(latents, noise, timesteps)
    )
    target = diffusion.target(latents, noise, timesteps)
    expected = noise if diffusion.prediction_type == "epsilon" else scheduler.get_velocity(latents, noise, timesteps)
    assert torch.allclose(target, expected)


def test_min_snr_weights_leave_noisy_steps_alone_and_bound_the_easy_ones(scheduler: DDPMScheduler) -> None:
    diffusion = Diffusion.from_scheduler(scheduler, torch.device("cpu"))
    timesteps = torch.arange(1000)
    snr = scheduler.alphas_cumprod / (1 - scheduler.alphas_cumprod)
    # Both weights amount to min(SNR, 5) on the error of the picture itself.
    per_x0 = snr if diffusion.prediction_type == "epsilon" else snr + 1
    assert torch.allclose(diffusion.min_snr_weight(timesteps, 5.0) * per_x0, snr.clamp(max=5.0), rtol=1e-4)


def test_other_prediction_types_are_refused() -> None:
    with pytest.raises(ValueError, match="sample"):
        Diffusion.from_scheduler(DDPMScheduler(prediction_type="sample"), torch.device("cpu"))
