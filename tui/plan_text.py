"""A run's needs as few lines beside its settings: memory with its parts, time, disk, the rate, and warnings."""

import math
from collections.abc import Mapping, Sequence

from trainer.config import RunConfig
from trainer.memory import Plan
from trainer.schedule import Schedule
from trainer.text import duration_text, rate_text, size_text, without_options
from tui.settings_form import labels, with_labels
from tui.words import wrapped

GIB, MIB = 1 << 30, 1 << 20
PARTS = ("█", "▓", "▒", "░")
"""What UNet, network, activations and the rest are drawn with."""
FREE = "·"
LEVELS = "▁▂▃▄▅▆▇█"
_LOG_FROM = 20.0
"""A rate that falls by more than this is drawn by its order of magnitude."""
_INDENT = len("Time   ")
"""Where what a line tells begins."""


def part_bytes(plan: Plan) -> list[tuple[str, int]]:
    """Return what the run's peak is made of, in the order of the bar; empty where it is unknown."""
    if plan.own is None:
        return []
    parts = plan.own.rung.parts
    learns = parts.network + parts.optimizer + parts.gradients
    named = [("UNet", parts.unet), ("network", learns), ("activations", parts.activations)]
    return [*named, ("rest", parts.total - sum(amount for _, amount in named))]


def stacked_bar(amounts: Sequence[int], of: int, width: int) -> str:
    """Return a bar whose parts are drawn differently; what is more than none takes a cell at least.

    Args:
        amounts: At most four, drawn one after the other.
        of: What the whole width stands for; more than that fills it.
        width: Cells.
    """
    drawn, end, total = "", 0, 0
    for amount, sign in zip(amounts, PARTS, strict=False):
        total += amount
        end = max(end + (amount > 0), round(width * total / max(of, sum(amounts), 1)))
        drawn = drawn.ljust(min(end, width), sign)
    return drawn[:width].ljust(width, FREE)


def memory_lines(plan: Plan, width: int) -> list[str]:
    """Return what the run needs of the device's memory."""
    word, free = plan.target.memory_word, plan.target.free_bytes
    named = part_bytes(plan)
    if not named or plan.own is None:
        return [f"{word}: unknown for this model"]
    total = sum(amount for _, amount in named)
    unit, size = ("GiB", GIB) if total >= 2 * GIB else ("MiB", MIB)
    digits = 1 if unit == "GiB" else 0
    fits = {True: "fits", False: "too much", None: "free unknown"}[plan.own.fits]
    of = "" if free is None else f", limit {size_text(free)}" if plan.target.limited else f" of {size_text(free)} free"
    head = f"{word} {total / size:,.{digits}f} {unit}{of}"
    figures = [f"{sign} {name} {amount / size:,.{digits}f}" for sign, (name, amount) in zip(PARTS, named, strict=True)]
    lines = [*packed([head, fits], width), stacked_bar([amount for _, amount in named], free or total, width)]
    return [*lines, *packed(figures, width), *_way_lines(plan, width)]


def packed(parts: Sequence[str], width: int, gap: str = "  ") -> list[str]:
    """Return parts in as few lines as they need, none of them broken."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(gap) + len(part) <= width:
            lines[-1] += gap + part
        else:
            lines.append(part)
    return lines


def _way_lines(plan: Plan, width: int) -> list[str]:
    own, best = plan.own, plan.recommended
    if own is None or own.fits is not False:
        return [f"Way    {own.rung.name}"] if own else []
    if best is None:
        return wrapped(f"! Nothing below it fits either. {plan.target.remedy}", width)
    return wrapped(f"! {best.rung.name} fits with {size_text(best.rung.parts.total)}: Ctrl+R takes it.", width)


def time_line(plan: Plan) -> str:
    """Return how long the run takes, and how that is known."""
    chosen = plan.recommended or plan.own
    pace = chosen.pace if chosen else None
    if pace is None:
        return "Time   known after the first steps"
    each = (
        f"{pace.step_s:,.{0 if pace.step_s >= 100 else 2}f} s" if pace.step_s >= 0.1 else f"{1000 * pace.step_s:.0f} ms"
    )
    return f"Time   {duration_text(pace.total_s)}  {each} a step, {pace.source}"


def disk_line(plan: Plan) -> str:
    """Return what the run writes, and whether there is room."""
    if plan.disk is None:
        return "Disk   unknown for this model"
    free = "" if plan.disk_free_bytes is None else f" of {size_text(plan.disk_free_bytes)} free"
    return f"Disk   {size_text(plan.disk.total)}{free}" + ("  too much" if plan.disk_fits is False else "")


def rate_lines(config: RunConfig, width: int) -> list[str]:
    """Return the learning rate over the run as a drawn line, and its ends in figures."""
    optimizer, steps = config.optimizer, config.training.steps
    schedule = Schedule.parse(
        optimizer.learning_rate,
        steps,
        kind=optimizer.schedule,
        warmup_steps=optimizer.warmup_steps,
        final_share=optimizer.final_share,
    )
    count = max(2, min(width - 7, steps))
    rates = [schedule.at(round(place * (steps - 1) / (count - 1))) for place in range(count)]
    first, last = schedule.segments[0].rate, rates[-1]
    warm = f" after {optimizer.warmup_steps:,} steps of rising" if optimizer.warmup_steps else ""
    fall = "" if math.isclose(first, last, rel_tol=0.01) else f", at the end {rate_text(last)}"
    return [f"Rate   {drawn(rates)}", *wrapped(f"{' ' * _INDENT}{rate_text(first)}{warm}{fall}", width, _INDENT)]


def drawn(values: Sequence[float]) -> str:
    """Return values as a row of blocks of eight heights."""
    top, low = max(values), min(value for value in values if value > 0) if any(values) else 0.0
    if top <= 0:
        return LEVELS[0] * len(values)
    if low and top / low > _LOG_FROM:
        span = math.log(top / low)
        shares = [math.log(value / low) / span if value > 0 else 0.0 for value in values]
    else:
        shares = [value / top for value in values]
    return "".join(LEVELS[round(share * (len(LEVELS) - 1))] for share in shares)


def warning_lines(warnings: Sequence[str], width: int) -> list[str]:
    """Return warnings, each marked and wrapped."""
    return [line for warning in warnings for line in wrapped(f"! {with_labels(without_options(warning))}", width)]


def wrong_lines(problems: Mapping[str, str], width: int) -> list[str]:
    """Return which settings are wrong and what to type, in place of what they would take."""
    named = [f"{labels().get(name, name)}: {problem}" for name, problem in problems.items()]
    return [*warning_lines(named, width), "", *wrapped("What the run takes is told again when it is right.", width, 0)]


def plan_lines(plan: Plan, width: int) -> list[str]:
    """Return all lines beside the settings, without warnings."""
    return [
        *memory_lines(plan, width),
        "",
        *wrapped(time_line(plan), width, _INDENT),
        *wrapped(disk_line(plan), width, _INDENT),
    ]
