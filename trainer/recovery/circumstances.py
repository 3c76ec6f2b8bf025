"""What a decision hangs on, read from the plan and the machine."""

from trainer.config import RunConfig
from trainer.devices import read_gauges
from trainer.faults import FaultKind
from trainer.memory.target import choose_target
from trainer.recovery.decide import Circumstances
from trainer.recovery.fault import Fault
from trainer.recovery.options import plan_of, rungs_below
from trainer.recovery.states import way_back
from trainer.run.folder import RunFolder


def circumstances(folder: RunFolder, config: RunConfig, fault: Fault, on_gpu: bool) -> Circumstances:
    """Return what a decision about a fault hangs on.

    Args:
        folder: The run.
        config: As it was computed.
        fault: What happened.
        on_gpu: Whether the worker said that it computes on a GPU.
    """
    target = choose_target(config.memory, read_gauges(), config.memory.vram_limit_bytes)
    on_gpu = on_gpu or target.kind != "cpu"
    asks_plan = fault.kind in (FaultKind.MEMORY, FaultKind.KILLED)
    plan = plan_of(folder, config) if asks_plan else None
    own = plan.own if plan else None
    needed = own.rung.parts.total if own else None
    total = target.total_bytes
    held_by_others = bool(fault.details.get("holders"))
    return Circumstances(
        config,
        rungs_below(plan, config) if asks_plan else (),
        on_gpu,
        target.precision == "half",
        bool(fault.details.get("kernel_killed")),
        can_wait=target.kind == "cuda" and held_by_others and (needed is None or total is None or needed <= total),
        needed_bytes=needed,
        free_bytes=target.free_bytes,
        back=way_back(folder, config, diverged=fault.kind is FaultKind.NAN),
    )


def free_vram(config: RunConfig) -> int | None:
    """Return what is free on the run's card, its limit left aside; None where that is unknown."""
    target = choose_target(config.memory, read_gauges())
    return target.free_bytes if target.kind == "cuda" else None
