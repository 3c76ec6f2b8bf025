"""The ways out of a fault, each with what it costs."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer import memory
from trainer.config import RunConfig
from trainer.errors import AppError
from trainer.memory import Plan, RungPlan, make_plan
from trainer.project import open_project
from trainer.recovery.changes import parse_changes
from trainer.run.folder import RunFolder
from trainer.text import rate_text

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Option:
    """One way out."""

    id: str
    title: str
    price: str = "same result"
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings by dotted name."""
    peak_bytes: int | None = None
    fits: bool | None = None
    step_s: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as a question tells it."""
        return {
            "id": self.id,
            "title": self.title,
            "peak_bytes": self.peak_bytes,
            "fits": self.fits,
            "step_s": self.step_s,
            "price": self.price,
            "settings": [f"{name}={_text(value)}" for name, value in self.changes.items()],
        }

    @property
    def shrinks_pictures(self) -> bool:
        """Whether the result is coarser."""
        return "data.size" in self.changes


AGAIN = Option("again", "Start again from the last state")
STOP = Option("stop", "Stop; resume later", "")
WAIT_MEMORY = Option("wait", "Wait until the memory is free, then go on as it is", "time")
WAIT_DISK = Option("wait", "Wait until there is room, then go on", "time")
FULL_PRECISION = Option("fp32", "Compute in full precision", "more memory and time", {"memory.precision": "fp32"})


def rate_before(rate: float) -> Option:
    """Return the way of going on with the learning rate from before the user's change."""
    return Option("rate-before", f"The learning rate as it was: {rate_text(rate)}", "without your change")


def lower_rate(scale: float, rate: float | None = None) -> Option:
    """Return the way of going on with all learning rates multiplied by `scale`, which makes the next one `rate`."""
    title = f"{scale:.3g} times the learning rate" + ("" if rate is None else f": {rate_text(rate)}")
    return Option("lower-rate", title, "slower learning", {"optimizer.rate_scale": scale})


def plan_of(folder: RunFolder, config: RunConfig) -> Plan | None:
    """Return the plan of a run as it is computed now; None where the project or model can't be read."""
    try:
        return make_plan(open_project(folder.project_root), config)
    except (AppError, OSError) as error:
        _log.warning("no plan: %s", error)
        return None


def rungs_below(plan: Plan | None, config: RunConfig) -> list[Option]:
    """Return the rungs that take less memory than the present settings, the one to prefer first.

    For a model that the table doesn't cover these are smaller micro-batches and checkpointing.
    """
    if plan is None or plan.own is None:
        return [*_halved(config), *_checkpointed(config)]
    return _unique([_option(each) for each in memory.rungs_below(plan, smaller_pictures=True)])


def best_of(options: list[Option]) -> Option | None:
    """Return the least costly option that fits, or else the least costly one whose fit is unknown or doubtful."""
    return next((option for option in options if option.fits), options[0] if options else None)


def _option(each: RungPlan) -> Option:
    rung, name = each.rung, each.rung.name
    # What tells the ways apart comes first, as a narrow terminal shows some twenty characters.
    title = _TITLES.get(name, f"Pictures of {name}" if rung.smaller else name)
    many = f"{rung.way.micro_batch} at once" if rung.accumulation > 1 else ""
    return Option(
        name.replace(" ", "-"),
        ", ".join(filter(None, [title, many])),
        rung.price,
        parse_changes(list(each.settings)),
        rung.parts.total,
        each.fits,
        each.pace.step_s if each.pace else None,
    )


_TITLES = {
    "micro-batch": "Fewer pictures",
    "checkpointing": "Gradient checkpointing",
    "medvram": "medvram: weights in 8 bits or half of them in RAM",
    "lowvram": "lowvram: weights streamed from RAM",
}


def _halved(config: RunConfig) -> list[Option]:
    at_once = min(config.memory.micro_batch or config.training.batch_size, config.training.batch_size)
    if at_once <= 1:
        return []
    half = -(-at_once // 2)
    return [
        Option(
            "half-micro-batch", f"{half} at once instead of {at_once}", "same result, more time",
            {"memory.micro_batch": str(half)},
        )
    ]  # fmt: skip


def _checkpointed(config: RunConfig) -> list[Option]:
    if config.memory.gradient_checkpointing:
        return []
    changes = {"memory.gradient_checkpointing": "true"}
    return [Option("checkpointing", _TITLES["checkpointing"], "same result, more time", changes)]


def _unique(options: list[Option]) -> list[Option]:
    found: dict[str, Option] = {}
    for option in options:
        name, count = option.id, 2
        while name in found:
            name, count = f"{option.id}-{count}", count + 1
        found[name] = option if name == option.id else Option(**{**vars(option), "id": name})
    return list(found.values())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
