"""When training has left what can be used: told with the pictures and timesteps of the step."""

import math
from collections.abc import Iterable

from torch import Tensor

from trainer.faults import Diverged
from trainer.preparation import Prepared
from trainer.step import StepResult
from trainer.text import printable, rate_text

NAMED = 3
"""Most pictures and timesteps that a message names."""


def divergence(prepared: Prepared, step: int, rate: float, result: StepResult, norm: float) -> Diverged:
    """Return what to raise for a step whose loss or gradient is beyond use; it was not applied.

    Args:
        prepared: What is trained.
        step: Steps done before it.
        rate: Its learning rate.
        result: What it measured.
        norm: Of its gradient.
    """
    order, inputs = prepared.inputs.order, prepared.inputs
    names = list(dict.fromkeys(order.pictures[s.picture].path.name for s in order.samples(step + 1)))
    batches = inputs.micro_batches(step + 1, prepared.config.memory.micro_batch)
    timesteps = [int(timestep) for batch in batches for timestep in batch.timesteps_B]
    shown = ", ".join(printable(name, 60) for name in names[:NAMED])
    more = f" and {len(names) - NAMED} more" if names[NAMED:] else ""
    finite = math.isfinite(norm) and math.isfinite(result.loss)
    what = f"is {result.loss:.3g}, far beyond all before" if finite else "is not a finite number"
    return Diverged(
        "Training diverged",
        f"The loss of step {step + 1:,} {what} ({shown}{more}; timesteps {', '.join(map(str, timesteps[:NAMED]))}; "
        f"learning rate {rate_text(rate)}). The step was not applied.",
        "Start a new run from an earlier checkpoint (--set network.start_from=FILE.pt) with a lower learning rate.",
        {"pictures": names, "timesteps": timesteps, "learning_rate": rate, "loss": result.loss},
    )


def check_weights(parameters: Iterable[Tensor], step: int) -> None:
    """Keep weights that are beyond use away from every file.

    Raises:
        Diverged: some are not finite.
    """
    if not all(bool(parameter.isfinite().all()) for parameter in parameters):
        raise Diverged(
            "Training diverged",
            f"After step {step:,} the weights hold numbers that are not finite. They were not saved.",
            "Start a new run from an earlier checkpoint with a lower learning rate.",
        )
