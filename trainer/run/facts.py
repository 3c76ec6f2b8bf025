"""The things that a run's events speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Situation(StrEnum):
    """What a run does, by its own account."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    ASKING = "asking"
    STOPPING = "stopping"
    RECOVERING = "recovering"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


class StepPoint(NamedTuple):
    """One finished optimizer step."""

    step: int
    loss: float
    smoothed_loss: float
    """Mean of the losses so far, recent ones counting most; without losses that are not finite."""
    learning_rate: float | None
    grad_norm: float | None
    seconds: float | None
    vram_bytes: int | None
    t: float
    """When it was done, in UTC seconds."""


class Validation(NamedTuple):
    """Losses on fixed pictures, noise and timesteps; None where a side has no pictures."""

    step: int
    held_out: float | None
    training: float | None
    mirrored: float | None = None
    """Of mirrored training pictures, where nothing is held out."""

    @property
    def judged(self) -> float | None:
        """The figure that decides which step is best."""
        return next((loss for loss in (self.held_out, self.mirrored, self.training) if loss is not None), None)


@dataclass(frozen=True)
class Health:
    """What was measured of the network and of its pictures at one step; None or empty where it wasn't measured."""

    step: int
    strength: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Size of the change against the context itself, for keys and for values, by context width."""
    grad_norm: float | None = None
    """Median norm of the gradient since the measurement before."""
    drift: float | None = None
    """How far the prediction on captions that were not trained is from the base model's own; 0 is not at all."""
    variety: float | None = None
    """How different pictures of one prompt and several seeds are; 0 is not at all."""
    prompt: str = ""
    """What the preview shows; looks of other prompts can't be compared."""
    contrast: float | None = None
    """Deviation of the preview's brightness, 0 to 1."""
    saturation: float | None = None
    """Mean colourfulness of the preview, 0 to 1."""
    detail: float | None = None
    """Mean difference of neighbouring pixels of the preview, 0 to 1."""
    similarity: float | None = None
    """Likeness of the preview to the nearest training picture, 1 being the same."""
    nearest: str = ""
    """That picture's file name."""

    @property
    def strongest(self) -> float | None:
        """The largest strength of all widths."""
        return max((part for pair in self.strength.values() for part in pair), default=None)


class MadeFile(NamedTuple):
    """A checkpoint or preview."""

    step: int
    path: str
    seconds: float | None


@dataclass(frozen=True)
class Worker:
    """Who said that it started, and on what."""

    pid: int
    process_start_s: float | None
    host: str
    device: str
    config_hash: str
    torch: str
    resumed_at_step: int


@dataclass(frozen=True)
class Phase:
    """A part of the job and how far it is; None where that cannot be told."""

    name: str
    done: int | None
    total: int | None
    since_t: float = field(default=0.0, compare=False)
    """When it began, in UTC seconds."""
    t: float = field(default=0.0, compare=False)
    """When this was told."""
    done_at_start: int = field(default=0, compare=False)
    """How much of it was done when it began, e.g. by an earlier job."""

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the pace since it began; None where that cannot be told."""
        if self.done is None or not self.total or self.done <= self.done_at_start:
            return None
        return max(0, self.total - self.done) * (self.t - self.since_t) / (self.done - self.done_at_start)


class Item(NamedTuple):
    """What became of one picture in a job."""

    name: str
    status: str
    detail: str
    path: str
    """What was made; empty where nothing was."""


@dataclass(frozen=True)
class Question:
    """Something that only the user may decide."""

    id: str
    text: str
    choices: tuple[str, ...]
    default: str
    event: Mapping[str, object] = field(compare=False)
    """The whole event, for what else it says of the choices."""


@dataclass(frozen=True)
class Failure:
    """Why a run ended."""

    error: str
    message: str
    hint: str
