"""Pictures from prompts with hypernetworks: the model is loaded once, then draws request after request.

Tensor axes: B batch, C channels, H height, W width, L tokens, D context dimension.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor

from trainer.base_model.hashes import checkpoint_name, models_folder, short_hash
from trainer.base_model.load import BaseModel
from trainer.base_model.text_encoding import encode_prompts
from trainer.diffusion import Diffusion
from trainer.draw_request import DrawRequest
from trainer.drawing_setup import DrawingSetup
from trainer.errors import AppError
from trainer.faults import is_out_of_memory
from trainer.hypernetwork import Hypernetwork, attach, load, parse_prompt
from trainer.hypernetwork.find import find_hypernetworks, unknown_name
from trainer.placement import choose_device, choose_dtype, empty_cache
from trainer.png_parameters import parameters_text
from trainer.preparation import load_parts
from trainer.sampling import SamplerSettings, decode, sample_latents, vae_factor
from trainer.step import Denoiser
from trainer.text import printable

Progress = Callable[[int, int], None]
"""Told (sampling steps done, in all)."""
Say = Callable[[str], None]
Key = TypeVar("Key")
MOST_NETWORKS, MOST_CONTEXTS = 4, 64
"""Kept in memory for the next request; a network takes about 84 MiB."""


@dataclass(frozen=True)
class Drawn:
    """One picture."""

    picture: Image.Image
    parameters: str
    """As A1111 writes them into a PNG."""
    seed: int


@dataclass(frozen=True)
class Wanted:
    """The networks that a request asks for, in order, and what is to be said about it."""

    chain: list[tuple[Path, float]]
    text: str
    """The prompt without its tags."""
    warnings: list[str]


@dataclass
class Artist:
    """A loaded model that draws.

    Where memory runs out it draws fewer pictures at once, then decodes in tiles, then on the CPU, and says so.
    """

    setup: DrawingSetup
    denoiser: Denoiser
    base: BaseModel
    say: Say
    _contexts: dict[str, Tensor] = field(default_factory=dict)
    _nets: dict[tuple[Path, int, int], Hypernetwork] = field(default_factory=dict)

    @classmethod
    def load(cls, setup: DrawingSetup, say: Say = lambda line: None) -> "Artist":
        """Load the model.

        Raises:
            AppError: it cannot be read or used.
        """
        config = setup.config
        device = choose_device(config.memory)
        if config.memory.threads:
            torch.set_num_threads(config.memory.threads)
        dtype = choose_dtype(config.memory, device)
        base = load_parts(config, dtype)
        base.unet.to(device)
        diffusion = Diffusion.from_scheduler(base.noise_scheduler, device)
        return cls(setup, Denoiser(base.unet, diffusion, device, dtype), base, say)

    @torch.no_grad()
    def draw(self, request: DrawRequest, on_step: Progress = lambda done, total: None) -> list[Drawn]:
        """Draw the pictures of a request; picture i has seed + i whatever the memory allows at once.

        Raises:
            AppError: the size is not one that the model can draw, a network does not fit, or memory is too small.
        """
        request = request.settled(self.setup.size_px)
        factor = vae_factor(self.base.vae)
        if request.width % factor or request.height % factor or min(request.width, request.height) < 4 * factor:
            why = f"{request.width}×{request.height} is not a size that this model draws."
            raise AppError("Bad size", why, f"Take multiples of {factor} from {4 * factor} on.")
        wanted = wanted_networks(request, self.setup.folders)
        for warning in wanted.warnings:
            self.say(warning)
        nets = [(self._net(path), strength) for path, strength in wanted.chain]
        context_LD, negative_LD = self._context(wanted.text), self._context(request.negative_prompt)
        with attach(self.denoiser.unet, nets):
            latents = self._latents(request, context_LD, negative_LD, factor, on_step)
        pictures = self._decode(latents)
        return [
            Drawn(picture, self._parameters(request, wanted, request.seed + i), request.seed + i)
            for i, picture in enumerate(pictures)
        ]

    def _latents(
        self, request: DrawRequest, context_LD: Tensor, negative_LD: Tensor, factor: int, on_step: Progress
    ) -> Tensor:
        done, at_once = 0, request.batch
        found: list[Tensor] = []
        while done < request.batch:
            count = min(at_once, request.batch - done)
            settings = sampler_settings(request, request.seed + done)
            try:
                found.append(
                    sample_latents(
                        self.denoiser,
                        self.base.noise_scheduler,
                        context_LD.expand(count, -1, -1),
                        negative_LD.expand(count, -1, -1),
                        settings,
                        factor,
                        on_step,
                    ).cpu()
                )
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                at_once = self._fewer(count, error)
            else:
                done += count
        return torch.cat(found)

    def _fewer(self, count: int, error: Exception) -> int:
        empty_cache(self.denoiser.device)
        if count == 1:
            raise AppError(
                "Out of memory",
                f"One picture of this size does not fit into the memory of {self.denoiser.device}.",
                "Take a smaller size (--size), or draw on the processor (--device cpu).",
            ) from error
        self.say(f"Memory is too small for {count} pictures at once; drawing {count // 2}.")
        return count // 2

    def _decode(self, latents_BCHW: Tensor) -> list[Image.Image]:
        vae = self.base.vae
        device = self.denoiser.device
        ways = (("", False, device), ("in tiles", True, device), ("on the CPU", True, torch.device("cpu")))
        for number, (how, tiled, place) in enumerate(ways):
            if how:
                self.say(f"Memory is too small to decode the whole picture; decoding {how}.")
            try:
                vae.to(place)
                vae.enable_tiling() if tiled else vae.disable_tiling()
                return [picture for latent in latents_BCHW for picture in decode(vae, latent[None])]
            except Exception as error:
                if not is_out_of_memory(error) or number == len(ways) - 1:
                    raise
                empty_cache(device)
            finally:
                vae.disable_tiling()
                vae.to("cpu")
        raise AssertionError

    def _net(self, path: Path) -> Hypernetwork:
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        if key not in self._nets:
            _make_room(self._nets, MOST_NETWORKS)
            net = load(path).to(self.denoiser.device)
            for warning in net.warnings:
                self.say(f"{printable(path.name)}: {warning}")
            self._nets[key] = net
        return self._nets[key]

    def _context(self, text: str) -> Tensor:
        """Return the context_LD of a prompt, in float32."""
        if text not in self._contexts:
            _make_room(self._contexts, MOST_CONTEXTS)
            settings = self.setup.config.model
            encoded = encode_prompts(
                [text],
                self.base,
                clip_skip=settings.clip_skip,
                emphasis=settings.emphasis,
            )
            self._contexts[text] = encoded[0].float()
        return self._contexts[text]

    def _parameters(self, request: DrawRequest, wanted: Wanted, seed: int) -> str:
        model = Path(self.setup.config.model.path)
        return parameters_text(
            tagged_prompt(request, wanted),
            request.negative_prompt,
            sampler_settings(request, seed),
            model_name=checkpoint_name(model, models_folder(model)),
            model_hash=short_hash(model),
            hashes={path.stem: short_hash(path) or "" for path, _ in wanted.chain},
            clip_skip=self.setup.config.model.clip_skip,
        )


def sampler_settings(request: DrawRequest, seed: int) -> SamplerSettings:
    """Return how one picture of a settled request is drawn."""
    return SamplerSettings(request.sampler, request.steps, request.cfg_scale, seed, request.width, request.height)


def wanted_networks(request: DrawRequest, folders: Sequence[Path]) -> Wanted:
    """Find the networks that the prompt's tags and the request name.

    A name that no file has is left out, as in A1111, with a warning.

    Raises:
        AppError: a network named beside the prompt is not there.
    """
    parsed = parse_prompt(request.prompt)
    known = find_hypernetworks(folders) if parsed.hypernetworks or request.hypernetworks else {}
    chain: list[tuple[Path, float]] = []
    warnings = list(parsed.warnings)
    for name, weight in parsed.hypernetworks:
        if name in known:
            chain.append((known[name], weight))
        else:
            warnings.append(unknown_name(name, known))
    chain += [_named(text, request.strength, known) for text in request.hypernetworks]
    return Wanted(chain, parsed.text, warnings)


def _named(text: str, strength: float, known: Mapping[str, Path]) -> tuple[Path, float]:
    for name, weight in ((text, strength), _with_weight(text, strength)):
        path = known.get(name) or Path(name).expanduser()
        if path.is_file():
            return path, weight
    hint = "Give the path of a .pt file or the name of one beside the run or in a named folder (--hypernetwork-dir)."
    raise AppError("No such hypernetwork", f"There is no {printable(text)}.", hint)


def _with_weight(text: str, strength: float) -> tuple[str, float]:
    name, _, weight = text.rpartition(":")
    try:
        return (name, float(weight)) if name else (text, strength)
    except ValueError:
        return text, strength


def tagged_prompt(request: DrawRequest, wanted: Wanted) -> str:
    """Return the prompt with tags for the networks that were named beside it, so that A1111 draws the same."""
    added = wanted.chain[-len(request.hypernetworks) :] if request.hypernetworks else []
    return request.prompt + "".join(f" <hypernet:{path.stem}:{weight:g}>" for path, weight in added)


def _make_room(kept: dict[Key, Any], most: int) -> None:
    while len(kept) >= most:
        del kept[next(iter(kept))]


def picture_path(folder: Path, seed: int) -> Path:
    """Return the next free NUMBER-SEED.png of a folder, as A1111 names its pictures."""
    numbers = (path.name.partition("-")[0] for path in folder.glob("[0-9]*-*.png"))
    number = max((int(text) for text in numbers if text.isdecimal()), default=-1) + 1
    return folder / f"{number:05d}-{seed}.png"
