"""A run that is slower than it was, and why: pure functions of step times and readings, then and now."""

import statistics
from collections.abc import Callable, Sequence

from trainer.devices import Gauges, Gpu
from trainer.run.facts import StepPoint
from trainer.text import size_text

RECENT_STEPS = 5
FEWEST_STEPS = 20
SLOW_FACTOR = 1.5
"""Steps this many times slower than the run's own median are worth a word."""
FULL_SHARE = 0.95
CLOCK_SHARE = 0.85
"""A clock below this share of what it was explains a slower step."""
OTHERS_BYTES = 1 << 29
OTHERS_CPU_PERCENT = 25.0
WAIT_PERCENT = 20.0
SWAP_BYTES_S = 1 << 20
_COMPARED_STEPS, _SAMPLE = 2000, 200
"""The run's median is that of so many of its last steps, of which so many are looked at."""


def slowdown(points: Sequence[StepPoint]) -> float | None:
    """Return how many times slower the last steps are than the run's median; None where there's nothing to say."""
    count = min(len(points), _COMPARED_STEPS)
    # An odd stride, as what slows every tenth step shall not be all that is looked at.
    seconds = _seconds(points[-count :: count // _SAMPLE | 1])
    recent = _seconds(points[-RECENT_STEPS:])
    if len(seconds) < FEWEST_STEPS or not recent:
        return None
    usual, now = statistics.median(seconds), statistics.median(recent)
    return now / usual if now >= SLOW_FACTOR * usual else None


def _seconds(points: Sequence[StepPoint]) -> list[float]:
    return [point.seconds for point in points if point.seconds]


def slowdown_text(
    factor: float | None,
    gauges: Gauges | None,
    gpu: Gpu | None,
    usual: Gauges | None = None,
    usual_gpu: Gpu | None = None,
) -> str:
    """Return a sentence about a run that is slower than usual; empty for one that isn't.

    Args:
        factor: How many times slower it is; None for one that isn't.
        gauges: Readings of now.
        gpu: The run's card now.
        usual: Readings of when the run kept its pace: what was so then is no cause.
        usual_gpu: Its card then.
    """
    if factor is None:
        return ""
    cause = cause_of(gauges, gpu, usual, usual_gpu)
    return f"{factor:.1f} times slower than its own median" + (f": {cause}." if cause else "; no gauge shows why.")


def cause_of(gauges: Gauges | None, gpu: Gpu | None, usual: Gauges | None = None, usual_gpu: Gpu | None = None) -> str:
    """Return what in the readings can make a run slow and wasn't so before, in words; empty where nothing does."""
    if gpu is not None:
        for judge in _CARD:
            if said := judge(gpu, usual_gpu or Gpu(gpu.index)):
                return said
    if gauges is not None:
        for judge_machine in _MACHINE:
            if said := judge_machine(gauges, usual or Gauges()):
                return said
    return ""


def _held_down(now: Gpu, then: Gpu) -> str:
    # A card that works as hard as it can is at its power limit all the time.
    new = [reason for reason in now.slowed_by or () if reason not in (then.slowed_by or ())]
    fell = now.clock_mhz and then.clock_mhz and now.clock_mhz < CLOCK_SHARE * then.clock_mhz
    clock = f"its clock fell from {then.clock_mhz:,} to {now.clock_mhz:,} MHz" if fell else ""
    if not new:
        return f"the card slowed down, {clock}" if clock else ""
    heat = f" at {now.temperature_c} °C" if now.temperature_c is not None and any("heat" in r for r in new) else ""
    return f"the card is held down by {' and '.join(new)}{heat}" + (f"; {clock}" if clock else "")


def _card_full(now: Gpu, then: Gpu) -> str:
    if not now.vram_total_bytes or (now.vram_used_bytes or 0) <= FULL_SHARE * now.vram_total_bytes:
        return ""
    was_full = (then.vram_used_bytes or 0) > FULL_SHARE * now.vram_total_bytes
    return "" if was_full else "the card's memory is full, so that some may be spilled to the host"


def _card_shared(now: Gpu, then: Gpu) -> str:
    others, before = now.used_by_others_bytes or 0, then.used_by_others_bytes or 0
    return f"other processes use {size_text(others)} of the card" if others - before >= OTHERS_BYTES else ""


def _swapping(now: Gauges, then: Gauges) -> str:
    pace = now.swap_bytes_s or 0.0
    spills = pace >= SWAP_BYTES_S and pace > 2 * (then.swap_bytes_s or 0.0)
    return f"memory is spilled to the disk, {size_text(pace)} a second" if spills else ""


def _memory_full(now: Gauges, then: Gauges) -> str:
    def full(gauges: Gauges) -> bool:
        return bool(gauges.ram_total_bytes) and (gauges.ram_used_bytes or 0) > FULL_SHARE * (
            gauges.ram_total_bytes or 0
        )

    return "the machine's memory is full" if full(now) and not full(then) else ""


def _cores_taken(now: Gauges, then: Gauges) -> str:
    others, before = _others_cpu(now), _others_cpu(then)
    if others is not None:
        grew = others - (before or 0.0) >= OTHERS_CPU_PERCENT
        return f"other processes use {others:.0f} % of the processor" if grew else ""
    busy, was = now.cpu_percent or 0.0, then.cpu_percent or 0.0
    return "all processor cores are busy" if busy > 100 * FULL_SHARE >= was else ""


def _others_cpu(gauges: Gauges) -> float | None:
    if gauges.cpu_percent is None or gauges.cpu_run_percent is None:
        return None
    return max(0.0, gauges.cpu_percent - gauges.cpu_run_percent)


def _disk_waited_for(now: Gauges, then: Gauges) -> str:
    waits = (now.cpu_wait_percent or 0.0) - (then.cpu_wait_percent or 0.0) >= WAIT_PERCENT
    return f"the processor waits for the disk {now.cpu_wait_percent:.0f} % of the time" if waits else ""


_CARD: tuple[Callable[[Gpu, Gpu], str], ...] = (_held_down, _card_full, _card_shared)
_MACHINE: tuple[Callable[[Gauges, Gauges], str], ...] = (_swapping, _memory_full, _cores_taken, _disk_waited_for)
