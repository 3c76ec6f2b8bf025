"""Pictures from prompts: samplers by A1111's names, classifier-free guidance, the VAE's decoder.

Tensor axes: B batch, C channels, H height, W width, L tokens, D context dimension.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from trainer.randomness import torch_generator

if TYPE_CHECKING:
    from trainer.step import Denoiser

_SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ SDE Karras": (
        "DPMSolverMultistepScheduler",
        {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"},
    ),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DDIM": ("DDIMScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}),
}


@dataclass(frozen=True)
class SamplerSettings:
    """How a picture is drawn."""

    sampler: str
    steps: int
    cfg_scale: float
    seed: int
    width: int
    height: int


def make_scheduler(sampler: str, noise_scheduler: Any) -> Any:
    """Return the diffusers scheduler of a sampler's A1111 name, with the model's own noise schedule."""
    import diffusers

    class_name, options = _SCHEDULERS[sampler]
    return getattr(diffusers, class_name).from_config(noise_scheduler.config, **options)


def sample_latents(
    denoiser: "Denoiser",
    noise_scheduler: Any,
    context_BLD: Tensor,
    negative_BLD: Tensor,
    settings: SamplerSettings,
    pixels_per_latent: int,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Draw latents with classifier-free guidance (Ho & Salimans, 2022).

    Args:
        denoiser: The UNet; a hypernetwork attached to it acts on both halves, as in A1111.
        noise_scheduler: The model's own, for the schedule of noise.
        context_BLD: Contexts of the prompts, one per picture.
        negative_BLD: Contexts of the negative prompt, as many.
        settings: Picture i of the batch has seed + i.
        pixels_per_latent: Along a side; see `vae_factor`.
        on_step: Told (done, total) sampling steps.

    Returns:
        Latents_BCHW, float32.
    """
    scheduler = make_scheduler(settings.sampler, noise_scheduler)
    scheduler.set_timesteps(settings.steps, device=denoiser.device)
    height, width = settings.height // pixels_per_latent, settings.width // pixels_per_latent
    shape = (denoiser.unet.config.in_channels, height, width)
    generators = [torch_generator(settings.seed + i, "picture") for i in range(len(context_BLD))]
    latents_BCHW = torch.stack([torch.randn(shape, generator=g) for g in generators]).to(denoiser.device)
    latents_BCHW = latents_BCHW * scheduler.init_noise_sigma
    both_BLD = _same_length(negative_BLD, context_BLD)
    extra = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
    for done, timestep in enumerate(scheduler.timesteps, start=1):
        noisy_BCHW = scheduler.scale_model_input(torch.cat([latents_BCHW, latents_BCHW]), timestep)
        prediction_BCHW = denoiser.predict(noisy_BCHW, timestep.expand(len(noisy_BCHW)), both_BLD)
        negative_BCHW, positive_BCHW = prediction_BCHW.chunk(2)
        guided_BCHW = negative_BCHW + settings.cfg_scale * (positive_BCHW - negative_BCHW)
        latents_BCHW = scheduler.step(guided_BCHW, timestep, latents_BCHW, **extra, return_dict=False)[0]
        on_step(done, len(scheduler.timesteps))
    result: Tensor = latents_BCHW.float()
    return result


def vae_factor(vae: Any) -> int:
    """Return how many pixels a latent spans along a side: 8 in SD 1.x and 2.x."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def decode(vae: Any, latents_BCHW: Tensor) -> list[Image.Image]:
    """Return pictures from latents.

    Args:
        vae: In float32 where possible: the SD 1.x and 2.x decoders overflow in half precision.
        latents_BCHW: Scaled latents.
    """
    latents_BCHW = latents_BCHW.to(vae.device, vae.dtype) / vae.config.scaling_factor
    pixels_BCHW = vae.decode(latents_BCHW, return_dict=False)[0].float()
    if not bool(torch.isfinite(pixels_BCHW).all()):
        raise ArithmeticError("the VAE's decoder gave numbers that are not finite")
    pixels_BHWC = ((pixels_BCHW / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu()
    return [Image.fromarray(picture.numpy()) for picture in pixels_BHWC]


def _same_length(negative_BLD: Tensor, context_BLD: Tensor) -> Tensor:
    from trainer.dataset import stack_contexts

    return stack_contexts([*negative_BLD, *context_BLD])
