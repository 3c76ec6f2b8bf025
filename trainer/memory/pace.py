"""How long a run takes: operations, counted, divided by a speed, measured on this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from trainer.config import RunConfig
from trainer.memory.earlier import EarlierRun
from trainer.memory.network import REFERENCE, NetworkSize, parameters_of
from trainer.memory.table import BYTES, Architecture, Precision
from trainer.memory.target import Target
from trainer.memory.ways import Way, own_way
from trainer.schedule import parse_rate_text

FEWEST_TO_HOLD_OUT = 12
"""With fewer pictures none is held out."""

TRANSFER_BYTES_S = 10e9
"""From the host to a card: PCIe 3.0 with 16 lanes, pinned memory. An estimate until a run was measured."""
UNPACK_BYTES_S = {"cuda": 200e9, "mps": 100e9, "cpu": 4e9}
"""Reading 8-bit weights and writing wide ones."""
OPERATIONS_S = {"cuda": 10e12, "mps": 3e12, "cpu": 1e11}
"""Assumed only to compare ways of which none was measured."""


@dataclass(frozen=True)
class Pace:
    """Seconds, and where they are known from."""

    step_s: float
    total_s: float
    source: Literal["measured", "estimated"]
    """measured: a run with the very same work; estimated: from a run with other work, by operations."""
    run_title: str


@dataclass(frozen=True)
class Work:
    """The operations of a run's parts."""

    config: RunConfig
    architecture: Architecture
    network: NetworkSize

    def step(self, way: Way) -> float:
        """Return the operations of one optimizer step."""
        area = way.size_px**2
        one = self.architecture.flop("step", area) + self._beyond_reference(area)
        if way.checkpointing:
            one += self.architecture.flop("forward", area)
        return self.config.training.batch_size * one

    def seconds(self, way: Way, target: Target, per_operation: float | None = None) -> float:
        """Return the time of one optimizer step: operations, unpacking, and what transfers add beyond both.

        Args:
            way: How it is computed.
            target: Where.
            per_operation: Seconds, as measured; a usual card's where nothing was.
        """
        speed = per_operation or 1 / OPERATIONS_S[target.kind]
        layers, item = self.architecture.frozen, BYTES[target.precision]
        passes = (3 if way.checkpointing else 2) * -(-self.config.training.batch_size // way.micro_batch)
        compute = speed * self.step(way)
        in_8bit = way.weights == "8bit"
        if in_8bit:
            compute += passes * layers.parameters * (1 + item) / UNPACK_BYTES_S[target.kind]
        away = 0
        if way.offload != "none":
            away = layers.bytes_of(item, in_8bit=in_8bit, half=way.offload == "half")
        transfer = passes * away / TRANSFER_BYTES_S
        # Gradients and weights to the host, where about seven times their bytes are read and written, and back.
        update = 10 * self.network.weight_bytes / TRANSFER_BYTES_S if way.optimizer_on_host else 0.0
        return max(compute, transfer) + update

    def preview(self) -> float:
        """Return the operations of one preview: two halves for each sampling step, then the decoder."""
        preview, size = self.config.preview, self.config.data.size
        area = (preview.width or size) * (preview.height or size)
        return 2 * preview.steps * self.architecture.flop("forward", area) + self.architecture.flop("decode", area)

    def validation(self, num_pictures: int) -> float:
        """Return the operations of one validation."""
        settings = self.config.validation
        sides = 2 if settings.held_out_share and num_pictures >= FEWEST_TO_HOLD_OUT else 1
        forwards = sides * min(settings.pictures, num_pictures) * settings.timesteps
        return forwards * self.architecture.flop("forward", self.config.data.size**2)

    def _beyond_reference(self, area: float) -> float:
        """Return the network's own operations for one picture beyond the table's structure: 2 a weight, 3 passes."""

        def beyond(dim: int) -> int:
            own = parameters_of(self.network.structure, dim) if dim in self.network.dims else 0
            return own - parameters_of(REFERENCE, dim)

        layers = sum(
            kind.count * self.architecture.tokens_of(kind, area) * beyond(kind.width)
            for kind in self.architecture.attention
        )
        return 6 * (layers + self.architecture.tokens * beyond(self.architecture.context_dim))


def times_due(every: int, last_step: int, *, at_start: bool) -> int:
    """Return how often something happens that is due every so many steps and at the end."""
    if not every:
        return 0
    return at_start + last_step // every + (last_step % every > 0)


def last_step(config: RunConfig) -> int:
    """Return the steps after which a run ends: its rates may end before `training.steps`."""
    return parse_rate_text(config.optimizer.learning_rate, config.training.steps)[-1].end


def find_pace(
    work: Work,
    way: Way,
    num_pictures: int,
    target: Target,
    runs: list[EarlierRun],
    work_of: Callable[[EarlierRun], Work | None],
) -> Pace | None:
    """Return the seconds of a run, or None where nothing comparable was measured on this machine.

    Args:
        work: What is to be done.
        way: How a step is to be computed.
        num_pictures: Training pictures.
        target: Where it is computed.
        runs: Earlier runs of this machine, the most telling first.
        work_of: What an earlier run did; None where it can no longer be told.
    """
    estimate = None
    for run in runs:
        if not computed_alike(run, work.config, target):
            continue
        done = work_of(run)
        if done is None:
            continue
        pace = _scaled(work, way, target, num_pictures, run, done)
        if pace.source == "measured":
            return pace
        estimate = estimate or pace
    return estimate


def _scaled(work: Work, way: Way, target: Target, num_pictures: int, run: EarlierRun, done: Work) -> Pace:
    its_way = own_way(run.config)
    same = essence(work, way) == essence(done, its_way)
    # What isn't computing in the earlier run's step is taken off, as far as it is known.
    assumed = done.seconds(its_way, target)
    computing = done.step(its_way) / OPERATIONS_S[target.kind]
    per_operation = run.step_s * min(1.0, computing / assumed) / done.step(its_way)
    step_s = run.step_s if same else work.seconds(way, target, per_operation)
    steps = last_step(work.config)
    settings = work.config
    preview_s = work.preview() * per_operation
    if run.preview_s is not None:
        preview_s = run.preview_s * work.preview() / done.preview()
    total = steps * step_s
    total += times_due(settings.preview.every, steps, at_start=True) * preview_s
    validations = times_due(settings.validation.every, steps, at_start=True)
    total += validations * work.validation(num_pictures) * per_operation
    return Pace(step_s, total, "measured" if same else "estimated", run.folder.title)


def essence(work: Work, way: Way) -> tuple[object, ...]:
    """Return what decides a step's work: equal for two runs whose steps take the same."""
    return work.architecture.name, work.network, work.config.training.batch_size, way


def computed_alike(run: EarlierRun, config: RunConfig, target: Target) -> bool:
    """Tell whether an earlier run was computed on the same device, by as many threads, in the same numbers."""
    one, other = run.config.memory, config.memory
    return (
        run.device == target.name
        and one.threads == other.threads
        and (one.precision == "tf32") == (other.precision == "tf32")
        and _half(run.config, target.precision) == (target.precision == "half")
    )


def _half(config: RunConfig, precision: Precision) -> bool:
    """Tell whether an earlier run computed in half precision; auto meant then what it means now."""
    if config.memory.precision == "auto":
        return precision == "half"
    return config.memory.precision != "fp32"
