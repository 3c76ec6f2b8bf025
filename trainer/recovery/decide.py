"""What to do about a fault: a pure function of the fault, what came before it, and the ways that are left."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trainer.config import RunConfig
from trainer.errors import AppError
from trainer.faults import FaultKind, device_advice
from trainer.recovery.fault import Fault
from trainer.recovery.options import (
    AGAIN,
    FULL_PRECISION,
    STOP,
    WAIT_DISK,
    WAIT_MEMORY,
    Option,
    best_of,
    lower_rate,
    rate_before,
)
from trainer.recovery.states import WayBack
from trainer.text import printable, size_text

RATE_FACTOR = 0.3
LEAST_RATE_SCALE = 0.01
"""Below this a lower rate is no remedy."""
MOST_TRIES = 3
"""Faults of one kind without a step of progress, before the run ends."""


@dataclass(frozen=True)
class Circumstances:
    """What the decision hangs on besides the fault."""

    config: RunConfig
    below: Sequence[Option]
    """Rungs that take less memory, the least costly first."""
    on_gpu: bool
    half: bool
    """Whether the frozen model is computed in half precision."""
    kernel_killed: bool = False
    """Whether the kernel's counters say that memory had run out."""
    can_wait: bool = False
    """Whether others hold the memory that is missing."""
    needed_bytes: int | None = None
    """Predicted peak of the lowest rung or of the present one."""
    free_bytes: int | None = None
    back: WayBack = field(default_factory=WayBack)
    """From where the run goes on."""


@dataclass(frozen=True)
class Decision:
    """The ways out with the one to take, or the end."""

    options: tuple[Option, ...] = ()
    default: Option | None = None
    end: AppError | None = None
    """What to tell when there is no way out but the user's."""

    @property
    def choices(self) -> list[Option]:
        """Return all that a user may choose."""
        return [*self.options, STOP]


def decide(fault: Fault, before: Sequence[Fault], now: Circumstances) -> Decision:
    """Judge a fault.

    Args:
        fault: The newest.
        before: Earlier faults of this sitting.
        now: The circumstances.
    """
    tries = sum(each.kind is fault.kind and each.step >= fault.step for each in before)
    return _JUDGES[fault.kind](fault, tries, now)


def _memory(fault: Fault, tries: int, now: Circumstances) -> Decision:
    wait = (WAIT_MEMORY,) if now.can_wait else ()
    settings = now.config.memory
    allowed = [each for each in now.below if not each.shrinks_pictures or settings.smaller_pictures]
    if settings.rung == "pinned":
        allowed = []
    default = best_of(allowed)
    options = (*now.below, *wait)
    if default is None and now.can_wait and tries < MOST_TRIES and now.config.recovery.on_oom == "ask":
        default = WAIT_MEMORY
    end = None if default else _nothing_left(fault, now)
    return Decision(options, default, end)


_LOWEST = "Nothing is left on the ladder."
_PINNED = "The rung is pinned."


def _nothing_left(fault: Fault, now: Circumstances) -> AppError:
    smaller = next((each for each in now.below if each.shrinks_pictures), None)
    pinned = now.config.memory.rung == "pinned"
    hint = "Close what else holds the memory, or take another card; then resume the run."
    if pinned:
        hint = f"Unpinned, it takes less memory (`hypernet resume RUN --set memory.rung=auto`). {hint}"
    elif smaller:
        setting = f"data.size={smaller.changes['data.size']}"
        hint = f"Smaller pictures would fit and are coarser (`hypernet resume RUN --set {setting}`). {hint}"
    elif fault.details.get("limit_bytes"):
        hint = f"Raise the limit (`hypernet resume RUN --set memory.vram_limit=SIZE`). {hint}"
    return AppError(
        "Out of memory",
        f"{fault.message} {_PINNED if pinned else _LOWEST}{arithmetic(fault, now)}",
        hint,
    )


def arithmetic(fault: Fault, now: Circumstances) -> str:
    """Return how much is needed and how much there is, as one sentence; without what the fault's message says."""
    details = fault.details
    parts = []
    if now.needed_bytes:
        parts.append(f"the present rung needs about {size_text(now.needed_bytes)}")
    live, asked, limit = (details.get(f"{name}_bytes") for name in ("live", "asked", "limit"))
    if live is not None and asked is not None and size_text(asked) not in fault.message:
        parts.append(f"{size_text(live)} in use and {size_text(asked)} more asked for")
    if limit and size_text(limit) not in fault.message:
        parts.append(f"the limit is {size_text(limit)}")
    elif not limit and now.free_bytes is not None:
        parts.append(f"{size_text(now.free_bytes)} free now")
    return f" The figures: {', '.join(parts)}." if parts else ""


def _cuda(fault: Fault, tries: int, now: Circumstances) -> Decision:
    if tries == 0:
        return Decision((AGAIN, *_precision(now)), AGAIN)
    if fault.during == "preview":
        quiet = Option("no-previews", "Go on without previews", "no previews", {"preview.every": 0})
        return Decision((quiet, AGAIN), quiet)
    if tries == 1:
        ways = (*_precision(now), AGAIN)
        return Decision(ways, ways[0])
    told = f"{fault.message} It happened {tries + 1} times at step {fault.step + 1:,}."
    return Decision((AGAIN,), None, AppError("GPU fault", told, device_advice(fault.message)))


def _precision(now: Circumstances) -> tuple[Option, ...]:
    return (FULL_PRECISION,) if now.half else ()


def _nan(fault: Fault, tries: int, now: Circumstances) -> Decision:
    scale, rate = now.config.optimizer.rate_scale * RATE_FACTOR, now.back.rate
    ways = [*_precision(now)]
    if rate is not None and not tries and _was_raised(fault, now.back):
        ways.insert(0, rate_before(rate))
    if scale >= LEAST_RATE_SCALE:
        ways.append(lower_rate(scale, None if rate is None else rate * RATE_FACTOR))
    if ways:
        return Decision(tuple(ways), ways[0])
    return Decision(end=AppError(fault.title, f"{fault.message} Lower rates did not help.", fault.hint))


def _was_raised(fault: Fault, back: WayBack) -> bool:
    """Tell whether the user had given a higher learning rate than the one that going back brings back."""
    return "learning_rate" in dict(back.undone) and fault.details.get("learning_rate", 0.0) > (back.rate or 0.0)


def _killed(fault: Fault, tries: int, now: Circumstances) -> Decision:
    less_ram = [] if now.on_gpu else [each for each in now.below if not each.shrinks_pictures]
    best = best_of(less_ram)
    if tries >= MOST_TRIES - 1 and (best is None or not now.kernel_killed):
        hint = "Close other programs or give the machine more RAM or swap; then resume the run."
        told = f"{fault.message} It happened {tries + 1} times without a step of progress."
        return Decision((AGAIN, *less_ram), None, AppError("Worker killed", told, hint))
    default = best if best and (now.kernel_killed or tries) else AGAIN
    return Decision((AGAIN, *less_ram), default)


def _hang(fault: Fault, tries: int, now: Circumstances) -> Decision:
    if tries >= MOST_TRIES - 1:
        told = f"{fault.message} It happened {tries + 1} times."
        hint = "Look at `nvidia-smi`, `dmesg` and the disk that holds the project; then resume the run."
        return Decision((AGAIN,), None, AppError("Run hangs", told, hint))
    return Decision((AGAIN,), AGAIN)


def _disk(fault: Fault, tries: int, now: Circumstances) -> Decision:
    return Decision((WAIT_DISK,), WAIT_DISK)


_JUDGES = {
    FaultKind.MEMORY: _memory,
    FaultKind.CUDA: _cuda,
    FaultKind.NAN: _nan,
    FaultKind.KILLED: _killed,
    FaultKind.HANG: _hang,
    FaultKind.DISK: _disk,
}


def told(fault: Fault) -> str:
    """Return what happened, as one paragraph."""
    details = fault.details
    parts = [fault.message]
    free, total = details.get("free_bytes"), details.get("total_bytes")
    if free is not None and total is not None:
        parts.append(f"{size_text(free)} of {size_text(total)} were free.")
    holders = details.get("holders") or ()
    if holders:
        shown = ", ".join(f"{printable(each['name'], 40)} ({size_text(each['bytes'] or 0)})" for each in holders[:3])
        parts.append(f"Others hold memory: {shown}.")
    return " ".join(parts)


def lost(fault: Fault, back: WayBack) -> str:
    """Return what the fault cost: nothing, or some steps that are computed again, and what was changed since then."""
    if back.step is None:
        return "Nothing was lost: no step was made yet."
    again = fault.step - back.step
    steps = "1 step is" if again == 1 else f"{again:,} steps are"
    time = f"Nothing was lost but time: {steps} computed again from step {back.step:,}."
    told = time if again > 0 else f"Nothing was lost: step {fault.step:,} is saved."
    if back.undone:
        changes = ", ".join(f"{what.replace('_', ' ')} {printable(value, 60)}" for what, value in back.undone)
        told += f" What was changed since then is undone: {changes}."
    return told
