"""The VAE and the text encoder on a device that may be too small: in one piece, in tiles, or on the CPU.

Each way is kept once a cheaper one was needed, and told once. On the CPU there is nowhere else to go: an error there
is passed on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor

from trainer.faults import is_out_of_memory
from trainer.memory.account import on_host
from trainer.placement import empty_cache

T = TypeVar("T")
Warn = Callable[[str], None]
CPU = torch.device("cpu")
TILE_SHARE = 2
"""A tile's side is this part of what the VAE was made for; diffusers' own tiles are as large as SD's pictures."""
LEAST_TILE = 8
"""Latents along a side of a tile."""


@dataclass
class RoomyVae:
    """A VAE that encodes and decodes where there is room.

    The VAE is in float32 and stays on the CPU between two uses.
    """

    vae: Any
    device: torch.device
    warn: Warn
    way: str = "whole"
    """whole, tiles or cpu."""

    def encode(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the posterior, float32 on the CPU, not scaled."""

        def run(device: torch.device) -> tuple[Tensor, Tensor]:
            posterior = self.vae.encode(pixels_BCHW.to(device, self.vae.dtype)).latent_dist
            return posterior.mean.float().cpu(), posterior.std.float().cpu()

        return self._try("encoding pictures", run)

    def decode(self, latents_BCHW: Tensor) -> list[Image.Image]:
        """Return pictures from scaled latents, one by one where more than one at a time is too much."""
        from trainer.sampling import decode

        def one(latents_1CHW: Tensor) -> Image.Image:
            return self._try("decoding a picture", lambda _: decode(self.vae, latents_1CHW)[0])

        return [one(latents_1CHW) for latents_1CHW in latents_BCHW.split(1)]

    def put_away(self) -> None:
        """Bring the VAE back to the CPU and give its memory back."""
        self.vae.to(CPU)
        self.vae.disable_tiling()
        empty_cache(self.device)

    def _try(self, what: str, run: Callable[[torch.device], T]) -> T:
        while True:
            try:
                return self._run(run)
            except Exception as error:
                if self.way == "cpu" or not is_out_of_memory(error):
                    raise
            self.vae.to(CPU)
            empty_cache(self.device)
            self.way = "tiles" if self.way == "whole" else "cpu"
            how = "in tiles, which can differ slightly at their seams" if self.way == "tiles" else "on the CPU, slowly"
            self.warn(f"Memory ran out while {what}: the VAE goes on {how}.")

    def _run(self, run: Callable[[torch.device], T]) -> T:
        if self.way == "cpu":
            self.vae.disable_tiling()
            with on_host():
                return run(CPU)
        if self.way == "tiles":
            _use_tiles(self.vae)
        self.vae.to(self.device)
        return run(self.device)


@dataclass
class RoomyEncoder:
    """A text encoder that works on the device, or on the CPU where the device is too small for it."""

    encoder: Any
    device: torch.device
    warn: Warn
    on_cpu: bool = False

    def run(self, encode: Callable[[], T]) -> T:
        """Return what `encode` does, which takes the text encoder where it is."""
        if not self.on_cpu:
            try:
                self.encoder.to(self.device)
                return encode()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self.put_away()
            self.on_cpu = True
            self.warn("Memory ran out while encoding prompts: the text encoder goes on on the CPU, slowly.")
        with on_host():
            return encode()

    def put_away(self) -> None:
        """Bring the text encoder back to the CPU and give its memory back."""
        self.encoder.to(CPU)
        empty_cache(self.device)


def _use_tiles(vae: Any) -> None:
    vae.enable_tiling()
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    latents = max(LEAST_TILE, int(vae.config.sample_size) // factor // TILE_SHARE)
    vae.tile_latent_min_size, vae.tile_sample_min_size = latents, latents * factor
