"""What each training step sees, as a pure function of (seed, step, place in the effective batch).

Tensor axes: B batch, C channels, H height, W width, L tokens, D context dimension.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from trainer.captions.templates import fill, vary_tags
from trainer.config.model import DataSettings
from trainer.randomness import counter_seed, normal, python_random, torch_generator
from trainer.step import MicroBatch


@dataclass(frozen=True)
class TrainingPicture:
    """A picture that takes part in training."""

    path: Path
    caption: str
    key: str
    """SHA-256 of the file's content."""


@dataclass(frozen=True)
class Posterior:
    """What the VAE says of a picture: a normal distribution over latents, already scaled."""

    mean_CHW: Tensor
    std_CHW: Tensor
    weight_HW: Tensor | None = None
    """Weight of the loss, mean 1; None for ones."""

    def sample(self, how: str, seed: int, *counter: int | str) -> Tensor:
        """Return latents: the mean, one sample for good, or one for this counter (A1111's three ways)."""
        if how == "deterministic":
            return self.mean_CHW
        return self.mean_CHW + self.std_CHW * normal(tuple(self.mean_CHW.shape), seed, "latents", *counter)


@dataclass(frozen=True)
class Sample:
    """One place of an effective batch: a picture with the prompt it gets this time."""

    place: int
    picture: int
    prompt: str


@dataclass(frozen=True)
class SampleOrder:
    """Which pictures and prompts a step gets.

    Every picture comes once in an epoch, in an order drawn anew for each epoch; the template line,
    the order of tags and what is left out are drawn anew at every use.
    """

    pictures: Sequence[TrainingPicture]
    template: Sequence[str]
    name: str
    data: DataSettings
    batch_size: int
    seed: int

    def samples(self, step: int) -> list[Sample]:
        """Return the samples of the step that makes `step` steps done; the first step is 1."""
        first = (step - 1) * self.batch_size
        return [
            Sample(place, picture := self._picture(first + place), self._prompt(picture, step, place))
            for place in range(self.batch_size)
        ]

    def epoch(self, step: int) -> tuple[int, int]:
        """Return (epoch, step within it), both from 0, as A1111 counts them for its CSV."""
        per_epoch = max(1, len(self.pictures) // self.batch_size)
        return (step - 1) // per_epoch, (step - 1) % per_epoch

    def _picture(self, position: int) -> int:
        epoch, place = divmod(position, len(self.pictures))
        return _epoch_order(self.seed, epoch, len(self.pictures))[place]

    def _prompt(self, picture: int, step: int, place: int) -> str:
        rng = python_random(self.seed, "prompt", step, place)
        line = self.template[rng.randrange(len(self.template))]
        if rng.random() < self.data.caption_dropout:
            return ""
        words = vary_tags(
            self.pictures[picture].caption, shuffle=self.data.shuffle_tags, dropout=self.data.tag_dropout, rng=rng
        )
        return fill(line, name=self.name, filewords=words)


@dataclass(frozen=True)
class StepInputs:
    """Builds the micro-batches of a step from cached latents and text contexts."""

    order: SampleOrder
    posteriors: Sequence[Posterior]
    contexts: Callable[[int], Sequence[Tensor]]
    """Context_LD of each place of a step."""
    num_timesteps: int
    noise_offset: float = 0.0
    dropout: bool = False
    """Whether the network draws random numbers of its own."""

    def micro_batches(self, step: int, micro_batch: int) -> Iterator[MicroBatch]:
        """Yield the effective batch of a step in pieces of at most `micro_batch` pictures of one size."""
        samples = self.order.samples(step)
        context_BLD = stack_contexts(self.contexts(step))
        groups: dict[tuple[int, ...], list[Sample]] = {}
        for sample in samples:
            groups.setdefault(tuple(self.posteriors[sample.picture].mean_CHW.shape), []).append(sample)
        for group in groups.values():
            for start in range(0, len(group), micro_batch or len(group)):
                yield self._micro_batch(step, group[start : start + (micro_batch or len(group))], context_BLD)

    def _micro_batch(self, step: int, samples: list[Sample], context_BLD: Tensor) -> MicroBatch:
        seed = self.order.seed
        latents, noises, timesteps = [], [], []
        for sample in samples:
            latents.append(self._latents(sample, step))
            noises.append(self._noise(tuple(latents[-1].shape), step, sample.place))
            generator = torch_generator(seed, "timestep", step, sample.place)
            timesteps.append(torch.randint(self.num_timesteps, (1,), generator=generator))
        return MicroBatch(
            torch.stack(latents),
            torch.stack(noises),
            torch.cat(timesteps),
            context_BLD[[sample.place for sample in samples]],
            self._weights(samples),
            counter_seed(seed, "dropout", step, samples[0].place) if self.dropout else None,
        )

    def _latents(self, sample: Sample, step: int) -> Tensor:
        how = self.order.data.latent_sampling
        counter = (step, sample.place) if how == "random" else (self.order.pictures[sample.picture].key,)
        return self.posteriors[sample.picture].sample(how, self.order.seed, *counter)

    def _noise(self, shape: tuple[int, ...], step: int, place: int) -> Tensor:
        noise_CHW = normal(shape, self.order.seed, "noise", step, place)
        if self.noise_offset:
            noise_CHW += self.noise_offset * normal((shape[0], 1, 1), self.order.seed, "noise offset", step, place)
        return noise_CHW

    def _weights(self, samples: list[Sample]) -> Tensor | None:
        weights = [self.posteriors[sample.picture].weight_HW for sample in samples]
        if all(weight is None for weight in weights):
            return None
        size = self.posteriors[samples[0].picture].mean_CHW.shape[1:]
        return torch.stack([torch.ones(size) if weight is None else weight for weight in weights])


@lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, num_pictures: int) -> list[int]:
    order = list(range(num_pictures))
    python_random(seed, "order", epoch).shuffle(order)
    return order


def stack_contexts(contexts: Sequence[Tensor]) -> Tensor:
    """Stack contexts, the shorter ones padded by repeating their last vector, as A1111 does.

    Args:
        contexts: Each [L, D]; lengths may differ, since long prompts are not cut.
    """
    longest = max(len(context_LD) for context_LD in contexts)
    return torch.stack(
        [torch.cat([c, c[-1:].expand(longest - len(c), -1)]) if len(c) < longest else c for c in contexts]
    )


def hold_out(pictures: Sequence[TrainingPicture], share: float, least: int = 12) -> tuple[list[int], list[int]]:
    """Split pictures into (training, held-out) by their content, so that added files move none.

    With fewer than `least` pictures, or no share, nothing is held out.
    """
    everything = list(range(len(pictures)))
    if len(pictures) < least or share <= 0:
        return everything, []
    by_content = sorted(everything, key=lambda index: counter_seed(0, "hold out", pictures[index].key))
    held = set(by_content[: max(1, round(share * len(pictures)))])
    return [index for index in everything if index not in held], sorted(held)
