"""The picture drawn while training: the same noise each time, so that previews can be compared."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from trainer.memory.fallback import RoomyVae
from trainer.png_parameters import parameters_text, save_png
from trainer.preparation import Prepared
from trainer.sampling import SamplerSettings, sample_latents, vae_factor

log = logging.getLogger(__name__)

LEAST_SIDE_PX = 64


@dataclass(frozen=True)
class Drawn:
    """A preview."""

    picture: Image.Image
    latents_CHW: Tensor


@dataclass
class Previewer:
    """Draws with the network in training, which is attached to the UNet already.

    The prompt may change while the run goes on.
    """

    prepared: Prepared
    prompt: str
    first_prompt: str
    check: Callable[[], None]
    """Called after each sampling step; what it raises leaves the picture off."""
    level: int = 0
    """How often it was made cheaper after a failure; see `lower`."""

    @classmethod
    def of(cls, prepared: Prepared, check: Callable[[], None]) -> "Previewer":
        """Take the configuration's prompt, or else the first training prompt."""
        prompt = prepared.config.preview.prompt or prepared.inputs.order.samples(prepared.first_step + 1)[0].prompt
        return cls(prepared, prompt, prompt, check)

    def lower(self) -> str:
        """Draw smaller from now on, as this size failed; return what changes, for people."""
        self.level += 1
        width, height = self.size
        return f"The next one is {width}×{height} px."

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels: the half after each failure."""
        settings, size = self.prepared.config.preview, self.prepared.config.data.size
        factor = vae_factor(self.prepared.base.vae)

        def shrunk(side: int) -> int:
            least = min(side, LEAST_SIDE_PX)
            return max(least, (side >> self.level) // factor * factor)

        return shrunk(settings.width or size), shrunk(settings.height or size)

    @torch.no_grad()
    def draw(self, path: Path, label: str) -> Drawn:
        """Draw one picture into a PNG.

        Args:
            path: Where.
            label: The checkpoint's name, recorded in the picture.
        """
        prepared, settings = self.prepared, self.prepared.config.preview
        base, net = prepared.base, prepared.net
        sampler = self._sampler()
        latents_BCHW = self._latents(self.prompt, sampler)
        vae = RoomyVae(base.vae, prepared.denoiser.device, log.warning)
        try:
            picture = vae.decode(latents_BCHW)[0]
        finally:
            vae.put_away()
        text = parameters_text(
            self.prompt,
            settings.negative_prompt,
            sampler,
            model_name=net.sd_checkpoint_name,
            model_hash=net.sd_checkpoint,
            hypernetwork=label,
        )
        save_png(picture, path, text)
        return Drawn(picture, latents_BCHW[0])

    @torch.no_grad()
    def sketches(self, count: int, steps: int) -> list[Tensor]:
        """Draw the run's first prompt with `count` seeds in few steps, one after the other; return the latents_CHW."""
        sampler = replace(self._sampler(), steps=steps)
        return [
            self._latents(self.first_prompt, replace(sampler, seed=sampler.seed + place))[0] for place in range(count)
        ]

    def _sampler(self) -> SamplerSettings:
        settings = self.prepared.config.preview
        return SamplerSettings(
            settings.sampler,
            settings.steps,
            settings.cfg_scale,
            settings.seed,
            *self.size,
        )

    def _latents(self, prompt: str, sampler: SamplerSettings) -> Tensor:
        """Return latents_BCHW of one picture, with dropout off meanwhile."""
        prepared = self.prepared
        context_LD, negative_LD = prepared.contexts.load([prompt, prepared.config.preview.negative_prompt])
        prepared.net.eval()
        try:
            return sample_latents(
                prepared.denoiser,
                prepared.base.noise_scheduler,
                context_LD[None],
                negative_LD[None],
                sampler,
                vae_factor(prepared.base.vae),
                lambda done, total: self.check(),
            )
        finally:
            prepared.net.train()
