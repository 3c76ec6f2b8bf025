"""Latents and text contexts, computed once and kept under the hash of what they came from."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trainer.dataset import Posterior, SampleOrder, TrainingPicture
from trainer.files import write_atomic

LOOK_AHEAD_STEPS = 4096
"""Steps searched for prompts at once: a run of 100,000 steps with few prompts should not wait for all of them."""

Progress = Callable[[int, int], None]
"""Told (done, total)."""
_TILES = "tiles"


def _quiet(done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class TensorCache:
    """A folder of small safetensors files, each named by the hash of what it was computed from."""

    folder: Path

    def get(self, *key: object) -> dict[str, Tensor] | None:
        """Return what is kept for a key; nothing where there is none, or where the file is damaged."""
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            with safe_open(str(path), framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except SafetensorError:
            path.unlink(missing_ok=True)
            return None

    def put(self, tensors: dict[str, Tensor], *key: object) -> None:
        """Keep tensors under a key."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._path(key), save({name: tensor.contiguous() for name, tensor in tensors.items()}))

    def _path(self, key: tuple[object, ...]) -> Path:
        text = "\x1f".join(str(part) for part in key)
        return self.folder / f"{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.safetensors"


def cached_posteriors(
    pictures: Sequence[TrainingPicture],
    cache: TensorCache,
    encoder_key: tuple[object, ...],
    encode: Callable[[TrainingPicture], Posterior],
    progress: Progress,
    in_tiles: Callable[[], bool] = lambda: False,
) -> list[Posterior]:
    """Return the VAE posterior of each picture, from the cache where it is there.

    What was encoded in tiles differs slightly, so it is kept apart and taken only where there is no room for better.

    Args:
        pictures: What to encode.
        cache: Where it is kept.
        encoder_key: Whatever else the result depends on: the VAE, the training size.
        encode: Encodes one picture; called only for pictures that are not in the cache.
        progress: Told of each picture.
        in_tiles: Whether pictures are encoded in tiles by now.
    """
    posteriors = []
    for done, picture in enumerate(pictures, start=1):
        key = ("latents", picture.key, *encoder_key)
        kept = cache.get(*key)
        if kept is None and in_tiles():
            kept = cache.get(*key, _TILES)
        if kept is None:
            posterior = encode(picture)
            kept = {"mean": posterior.mean_CHW, "std": posterior.std_CHW}
            if posterior.weight_HW is not None:
                kept["weight"] = posterior.weight_HW
            cache.put(kept, *key, *([_TILES] if in_tiles() else []))
        posteriors.append(Posterior(kept["mean"], kept["std"], kept.get("weight")))
        progress(done, len(pictures))
    return posteriors


@dataclass
class Contexts:
    """Text contexts, encoded ahead of their use.

    As the prompts of future steps are known, a window of them is encoded at once; the text encoder is
    needed only then. Prompts that come again stay on disk too, and the next run needs no encoder.
    """

    encode: Callable[[Sequence[str], Progress], list[Tensor]]
    """Context_LD of each prompt, float32 on the CPU."""
    cache: TensorCache
    encoder_key: tuple[object, ...]
    recurring: bool = True
    """Whether prompts come again, so that it pays to keep them on disk; not so with shuffled tags."""
    window: int = 512
    """Most prompts encoded ahead."""
    kept: dict[str, Tensor] = field(default_factory=dict)

    def of_step(self, order: SampleOrder, step: int, last_step: int, progress: Progress = _quiet) -> list[Tensor]:
        """Return the context of each place of a step; encodes those of the steps to come where one is missing."""
        samples = order.samples(step)
        if any(sample.prompt not in self.kept for sample in samples):
            if len(self.kept) > self.window:
                self.kept = {}
            self.load(self._window_from(order, step, last_step), progress)
        return [self.kept[sample.prompt] for sample in samples]

    def load(self, prompts: Sequence[str], progress: Progress = _quiet) -> list[Tensor]:
        """Return the contexts of these prompts, and have them at hand from now on."""
        missing = [
            prompt for prompt in dict.fromkeys(prompts) if prompt not in self.kept and not self._from_cache(prompt)
        ]
        if missing:
            for prompt, context_LD in zip(missing, self.encode(missing, progress), strict=True):
                self.kept[prompt] = context_LD
                if self.recurring:
                    self.cache.put({"context": context_LD}, "context", prompt, *self.encoder_key)
        return [self.kept[prompt] for prompt in prompts]

    def _from_cache(self, prompt: str) -> bool:
        found = self.cache.get("context", prompt, *self.encoder_key)
        if found is not None:
            self.kept[prompt] = found["context"]
        return found is not None

    def _window_from(self, order: SampleOrder, step: int, last_step: int) -> list[str]:
        prompts: dict[str, None] = {}
        for later in range(step, min(last_step, step + LOOK_AHEAD_STEPS) + 1):
            samples = order.samples(later)
            prompts.update(dict.fromkeys(sample.prompt for sample in samples))
            if len(prompts) + len(samples) > self.window:
                break
        return list(prompts)


def weight_from_alpha(alpha_HW: Tensor, latent_size: tuple[int, int]) -> Tensor | None:
    """Return a loss weight with mean 1 from an alpha channel, or None where it says nothing.

    As A1111: shrunk to the latents, the least weight subtracted, divided by the mean
    (modules/textual_inversion/dataset.py at v1.10.1); but a constant alpha gives ones instead of NaN.

    Args:
        alpha_HW: 0 to 1, at the picture's size.
        latent_size: (height, width) of the latents.
    """
    small_HW = torch.nn.functional.interpolate(
        alpha_HW[None, None], size=latent_size, mode="bilinear", antialias=True, align_corners=False
    )[0, 0]
    small_HW = small_HW - small_HW.min()
    mean = small_HW.mean()
    return None if mean < 1e-4 else small_HW / mean
