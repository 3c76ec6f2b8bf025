"""A plan in plain words: an aligned table at most 80 columns wide."""

import textwrap
from typing import TYPE_CHECKING

from trainer.memory.choose import choose_rung
from trainer.memory.pace import last_step
from trainer.text import duration_text, printable, size_text

if TYPE_CHECKING:
    from trainer.memory.plan import Plan, RungPlan
    from trainer.memory.target import Target

COLUMNS = 80
_FITS = {True: "fits", False: "no", None: ""}


def plan_text(plan: "Plan") -> str:
    """Return a plan for a terminal."""
    parts = [_heading(plan)]
    if plan.architecture is None:
        parts.append(_filled("Memory, time and disk are unknown: this model's size is not in the table."))
    else:
        parts += [_memory_table(plan), _verdict(plan), _time_and_disk(plan)]
    parts += [_filled(f"Note: {warning}", "      ") for warning in plan.warnings]
    return "\n\n".join(parts)


def _heading(plan: "Plan") -> str:
    config, target = plan.config, plan.target
    model = plan.architecture.label if plan.architecture else "a model of its own size"
    numbers = "half precision" if target.precision == "half" else "full precision"
    first = (
        f"{printable(plan.project_name, 40)}: {last_step(config):,} steps of {_count(config.training.batch_size)} "
        f"at {config.data.size} px from {_count(plan.num_pictures)}, {model}, {numbers}"
    )
    device = {"cpu": "the CPU", "mps": "Apple's GPU"}.get(target.kind, printable(target.name, 50))
    return _filled(first) + f"\nOn {device}: {_memory(target)}"


def _memory(target: "Target") -> str:
    word, free, total = target.memory_word, target.free_bytes, target.total_bytes
    if target.limited and free is not None:
        return f"limit {size_text(free)} ({word if total is None else f'{word} {size_text(total)}'})"
    told = "free memory unknown" if free is None else f"{size_text(free)} free"
    return f"{word} {told}" if total is None else f"{word} {told} of {size_text(total)}"


def _count(pictures: int) -> str:
    return f"{pictures:,} picture{'s' * (pictures != 1)}"


def _memory_table(plan: "Plan") -> str:
    most = max(each.rung.parts.total for each in plan.rungs)
    unit, unit_bytes, digits = ("GiB", 1 << 30, 2) if most >= 2 << 30 else ("MiB", 1 << 20, 0)
    title = f"{plan.target.memory_word} in {unit}"
    heading = f"{title:<27}{'UNet':>6}{'network':>8}{'activations':>12}{'rest':>6}{'peak':>6}{'time':>6}"
    return "\n".join([heading, *(_row(each, unit_bytes, digits) for each in plan.rungs)])


def _row(each: "RungPlan", unit_bytes: int, digits: int) -> str:
    parts = each.rung.parts
    mark = "* " if each.rung.as_set else "  "
    network = parts.network + parts.optimizer + parts.gradients
    figures = zip(
        (parts.unet, network, parts.activations, parts.workspace + parts.context, parts.total),
        (6, 8, 12, 6, 6),
        strict=True,
    )
    cells = "".join(f"{value / unit_bytes:>{width}.{digits}f}" for value, width in figures)
    return f"{mark + _name(each):<27}{cells}{_times(each.rung.time_factor):>6}  {_FITS[each.fits]}".rstrip()


def _times(factor: float) -> str:
    return f"×{factor:.2f}" if factor < 10 else f"×{factor:.0f}"


def _name(each: "RungPlan") -> str:
    way, several = each.rung.way, each.rung.accumulation > 1
    words = [f"{way.size_px} px"] if each.rung.name.endswith(" px") else []
    if way.offload == "none" and way.weights == "full":
        words += ["checkpointing"] if way.checkpointing else ["micro-batch"] if several else ["full"]
    words += ["8-bit"] if way.weights == "8bit" else []
    words += {"none": [], "half": ["half away"], "all": ["lowvram"]}[way.offload]
    words += [f"{way.micro_batch}×{each.rung.accumulation}"] if several else []
    return " ".join(words)


def _verdict(plan: "Plan") -> str:
    own, recommended = plan.own, plan.recommended
    lines = []
    if any(each.rung.accumulation > 1 for each in plan.rungs):
        lines.append("m×n: m pictures at once, n times a step; the result is the same.")
    lines += _legend(plan)
    if own is None or own.fits is None:
        lines.append(f"* is what is set. Whether it fits is unknown: no free {plan.target.memory_word} was read.")
    elif own.fits:
        lines += ["* is what is set; it fits and will be used.", *_faster(plan, own)]
    elif recommended is None:
        lines.append(f"* is what is set; neither it nor anything below it fits. {plan.target.remedy}")
    elif (used := choose_rung(plan)[0]) is not None and used is not own:
        lines.append(f"* is what is set; it does not fit, so `hypernet train` will use {_name(used)}. To set it:")
        lines += _options(used)
    else:
        lines += [f"* is what is set; it does not fit. {_name(recommended)} does; add:", *_options(recommended)]
        if recommended.rung.way.size_px != own.rung.way.size_px:
            lines.append("Smaller pictures cost detail; everything else gives the same result.")
    lines.append(_phases(plan))
    if plan.measured_peak_bytes:
        lines.append(f"Measured here with these settings: {size_text(plan.measured_peak_bytes)} in tensors.")
    return "\n".join(_filled(line) if len(line) > COLUMNS else line for line in lines)


def _legend(plan: "Plan") -> list[str]:
    """Explain the words of the table that are in it."""
    ways = [each.rung.way for each in plan.rungs]
    kinds = (
        (any(way.weights == "8bit" for way in ways), "8-bit: frozen weights in 8 bits, tiny differences"),
        (any(way.offload == "half" for way in ways), "half away: every second layer is on the host"),
        (any(way.offload == "all" for way in ways), "lowvram: all layers are on the host"),
    )
    words = [text for present, text in kinds if present]
    if not words:
        return []
    aside = " With each of them AdamW updates on the host." if any(way.optimizer_on_host for way in ways) else ""
    return [f"{'; '.join(words)}.{aside}"]


def _faster(plan: "Plan", own: "RungPlan") -> list[str]:
    """Say that something on the ladder above what is set fits too: it costs less time."""
    above = next((each for each in plan.rungs[: plan.rungs.index(own)] if each.fits), None)
    return [f"{_name(above)} fits as well and takes less time; add:", *_options(above)] if above else []


def _options(each: "RungPlan") -> list[str]:
    """Return what to add to the command, broken where a shell lets one break."""
    options = [f"--set {setting}" for setting in each.settings]
    if len(" ".join(options)) <= COLUMNS - 2:
        return [f"  {' '.join(options)}"]
    return [f"  {option} \\" for option in options[:-1]] + [f"  {options[-1]}"]


def _phases(plan: "Plan") -> str:
    text = f"Computing the latents needs {size_text(plan.caching_bytes)}"
    text += " (too much)" if plan.caching_fits is False else ""
    if plan.preview_bytes:
        text += f", a preview {size_text(plan.preview_bytes)}"
        if plan.preview_fits is False:
            text += " (too much: previews will be skipped; set preview.width and preview.height lower)"
    return f"{text}."


def _time_and_disk(plan: "Plan") -> str:
    chosen = plan.recommended or plan.own
    pace = chosen.pace if chosen else None
    if pace is None:
        time = "Time  unknown until the first steps: nothing like it was run on this machine"
    else:
        how = "measured in" if pace.source == "measured" else "estimated from"
        time = f"Time  {duration_text(pace.total_s)}, {_seconds(pace.step_s)} a step, {how} {printable(pace.run_title)}"
    return "\n".join(_filled(line, "      ") for line in (time, _disk(plan)) if line)


def _disk(plan: "Plan") -> str:
    disk = plan.disk
    if disk is None:
        return ""
    free = "" if plan.disk_free_bytes is None else f" of {size_text(plan.disk_free_bytes)} free"
    short = "; that is too much" if plan.disk_fits is False else ""
    parts = {
        f"{disk.num_checkpoints} checkpoint{'s' * (disk.num_checkpoints != 1)}": disk.checkpoints,
        "their optimizer states": disk.optimizer_files,
        "resume states": disk.resume_states,
        "previews": disk.previews,
        "cache": disk.cache,
    }
    details = ", ".join(f"{name} {size_text(num_bytes)}" for name, num_bytes in parts.items() if num_bytes)
    return f"Disk  {size_text(disk.total)}{free}{short}: {details}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, COLUMNS, subsequent_indent=indent, break_on_hyphens=False)
