"""Losses on fixed pictures, noise and timesteps, which can be compared from step to step.

The training loss mostly tells which timesteps were drawn; this one doesn't. Each timestep's loss is
divided by its value before training, so that the easy ones, whose loss is the largest, don't hide
the rest. Nothing here touches a random generator or a gradient.

Too few pictures to keep some out of training are measured themselves, and mirrored: a network that learns what they
have in common does better on both, one that learns them by heart does worse on what is mirrored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trainer.dataset import Posterior, TrainingPicture, stack_contexts
from trainer.likeness import likeness_feature
from trainer.randomness import normal
from trainer.step import Denoiser, MicroBatch

SAME_PICTURE = 0.98
"""Correlation above which a picture counts as the mirror image of another."""


@dataclass(frozen=True)
class Validation:
    """Mean loss relative to the start of the run, on each side; 1.0 is the network as it was then."""

    held_out: float | None
    training: float
    mirrored: float | None = None
    """Of mirrored training pictures, where nothing is held out."""
    held_out_by_timestep: dict[int, float] = field(default_factory=dict)
    training_by_timestep: dict[int, float] = field(default_factory=dict)

    @property
    def judged(self) -> float:
        """The figure that decides which step is best."""
        return next(loss for loss in (self.held_out, self.mirrored, self.training) if loss is not None)


@dataclass
class Validator:
    """Measures the same pictures in the same noise each time."""

    pictures: Sequence[TrainingPicture]
    posteriors: Sequence[Posterior]
    contexts: Sequence[Tensor]
    """Context_LD of each picture's own prompt."""
    training: Sequence[int]
    held_out: Sequence[int]
    timesteps: Sequence[int]
    mirrored: Sequence[int] = ()
    """Training pictures that are measured mirrored as well."""
    start: dict[str, dict[int, float]] = field(default_factory=dict)
    """Raw losses before training, by side and timestep; kept with the resume state."""

    def measure(self, denoiser: Denoiser, check: Callable[[], None]) -> Validation:
        """Return the present losses; they are relative to those of the first call, or to `start` where it was given.

        Args:
            denoiser: With the network attached.
            check: Called before each picture at each timestep; what it raises leaves all as it was.
        """
        indexes = {"held_out": self.held_out, "training": self.training, "mirrored": self.mirrored}
        losses = {side: self._side(denoiser, side, places, check) for side, places in indexes.items() if places}
        self.start = {**losses, **self.start}
        held_out, training, mirrored = (self._relative(side, losses.get(side, {})) for side in indexes)
        return Validation(
            _mean(held_out) if held_out else None,
            _mean(training),
            _mean(mirrored) if mirrored else None,
            held_out,
            training,
        )

    def measure_less(self) -> None:
        """Measure every other timestep from now on: what is measured stays comparable, as each has its own start."""
        self.timesteps = list(self.timesteps)[::2]

    def _side(
        self, denoiser: Denoiser, side: str, indexes: Sequence[int], check: Callable[[], None]
    ) -> dict[int, float]:
        def loss(index: int, timestep: int) -> float:
            check()
            return self._loss(denoiser, index, timestep, side == "mirrored")

        return {t: _mean_of([loss(index, t) for index in indexes]) for t in self.timesteps}

    def _relative(self, side: str, losses: dict[int, float]) -> dict[int, float]:
        return {t: loss / max(self.start[side][t], 1e-12) for t, loss in losses.items()}

    @torch.no_grad()
    def _loss(self, denoiser: Denoiser, index: int, timestep: int, mirror: bool) -> float:
        posterior, key = self.posteriors[index], self.pictures[index].key
        noise_CHW = normal(tuple(posterior.mean_CHW.shape), 0, "validation", key, timestep)
        latents_CHW, weight_HW = posterior.mean_CHW, posterior.weight_HW
        if mirror:
            latents_CHW, weight_HW = latents_CHW.flip(-1), None if weight_HW is None else weight_HW.flip(-1)
        weight = None if weight_HW is None else weight_HW[None]
        batch = MicroBatch(
            latents_CHW[None],
            noise_CHW[None],
            torch.tensor([timestep]),
            stack_contexts([self.contexts[index]]),
            weight,
        )
        return float(denoiser.loss_B(batch)[0])


def stratified_timesteps(num_timesteps: int, count: int) -> list[int]:
    """Return the middles of `count` equal parts of the schedule."""
    return [int((i + 0.5) * num_timesteps / count) for i in range(count)]


def choose_measured(indexes: Sequence[int], pictures: Sequence[TrainingPicture], most: int) -> list[int]:
    """Choose at most `most` pictures by content, so that adding files changes few of them."""
    return sorted(sorted(indexes, key=lambda index: pictures[index].key)[:most])


def without_mirror_image(indexes: Sequence[int], posteriors: Sequence[Posterior]) -> list[int]:
    """Return the pictures whose mirror image isn't among them: only these are unseen when mirrored."""
    features = {index: likeness_feature(posteriors[index].mean_CHW) for index in indexes}
    mirrors = {index: likeness_feature(posteriors[index].mean_CHW.flip(-1)) for index in indexes}
    return [
        index
        for index in indexes
        if not any(float(mirrors[index] @ features[other]) > SAME_PICTURE for other in indexes if other != index)
    ]


def _mean(losses: dict[int, float]) -> float:
    return _mean_of(list(losses.values()))


def _mean_of(values: list[float]) -> float:
    return sum(values) / len(values)
