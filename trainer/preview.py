"""The picture drawn while training: the same noise each time, so that previews can be compared."""

from dataclasses import dataclass
from pathlib import Path

import torch

from trainer.png_parameters import parameters_text, save_png
from trainer.preparation import Prepared
from trainer.sampling import SamplerSettings, decode, sample_latents, vae_factor


@dataclass
class Previewer:
    """Draws with the network in training, which is attached to the UNet already.

    The prompt may change while the run goes on.
    """

    prepared: Prepared
    prompt: str

    @classmethod
    def of(cls, prepared: Prepared) -> "Previewer":
        """Take the configuration's prompt, or else the first training prompt."""
        prompt = prepared.config.preview.prompt or prepared.inputs.order.samples(prepared.first_step + 1)[0].prompt
        return cls(prepared, prompt)

    @torch.no_grad()
    def draw(self, path: Path, label: str) -> None:
        """Draw one picture into a PNG.

        Args:
            path: Where.
            label: The checkpoint's name, recorded in the picture.
        """
        prepared, settings = self.prepared, self.prepared.config.preview
        size = prepared.config.data.size
        sampler = SamplerSettings(
            settings.sampler,
            settings.steps,
            settings.cfg_scale,
            settings.seed,
            settings.width or size,
            settings.height or size,
        )
        context_LD, negative_LD = prepared.contexts.load([self.prompt, settings.negative_prompt])
        base, net = prepared.base, prepared.net
        net.eval()
        try:
            latents_BCHW = sample_latents(
                prepared.denoiser,
                base.noise_scheduler,
                context_LD[None],
                negative_LD[None],
                sampler,
                vae_factor(base.vae),
            )
            base.vae.to(prepared.denoiser.device)
            picture = decode(base.vae, latents_BCHW)[0]
        finally:
            base.vae.to("cpu")
            net.train()
        text = parameters_text(
            self.prompt,
            settings.negative_prompt,
            sampler,
            model_name=net.sd_checkpoint_name,
            model_hash=net.sd_checkpoint,
            hypernetwork=label,
        )
        save_png(picture, path, text)
