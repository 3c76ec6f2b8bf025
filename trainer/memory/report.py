"""A plan in plain words: an aligned table at most 80 columns wide."""

import textwrap
from typing import TYPE_CHECKING

from trainer.memory.pace import last_step
from trainer.text import duration_text, printable, size_text

if TYPE_CHECKING:
    from trainer.memory.plan import Plan, RungPlan

COLUMNS = 80
_FITS = {True: "fits", False: "too much", None: ""}


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
    free = "free memory unknown" if target.free_bytes is None else f"{size_text(target.free_bytes)} free"
    total = "" if target.total_bytes is None else f" of {size_text(target.total_bytes)}"
    device = {"cpu": "the CPU", "mps": "Apple's GPU"}.get(target.kind, printable(target.name, 50))
    return _filled(first) + f"\nOn {device}: {target.memory_word} {free}{total}"


def _count(pictures: int) -> str:
    return f"{pictures:,} picture{'s' * (pictures != 1)}"


def _memory_table(plan: "Plan") -> str:
    most = max(each.rung.parts.total for each in plan.rungs)
    unit, unit_bytes, digits = ("GiB", 1 << 30, 2) if most >= 2 << 30 else ("MiB", 1 << 20, 0)
    title = f"{plan.target.memory_word} in {unit}"
    heading = f"{title:<26}{'UNet':>6}{'network':>9}{'activations':>13}{'rest':>7}{'peak':>7}"
    return "\n".join([heading, *(_row(each, unit_bytes, digits) for each in plan.rungs)])


def _row(each: "RungPlan", unit_bytes: int, digits: int) -> str:
    parts = each.rung.parts
    mark = "* " if each.rung.as_set else "  "
    network = parts.network + parts.optimizer + parts.gradients
    figures = zip(
        (parts.unet, network, parts.activations, parts.workspace + parts.context, parts.total),
        (6, 9, 13, 7, 7),
        strict=True,
    )
    cells = "".join(f"{value / unit_bytes:>{width}.{digits}f}" for value, width in figures)
    return f"{mark + _name(each):<26}{cells}  {_FITS[each.fits]}".rstrip()


def _name(each: "RungPlan") -> str:
    way = each.rung.way
    words = [f"{way.size_px} px"] if each.rung.name.endswith(" px") else []
    words += ["checkpointing"] if way.checkpointing else []
    words += [f"micro-batch {way.micro_batch}"] if each.rung.accumulation > 1 else []
    return ", ".join(words) or "full"


def _verdict(plan: "Plan") -> str:
    own, recommended = plan.own, plan.recommended
    sentences = []
    if own is None or own.fits is None:
        sentences.append(f"* is what is set. Whether it fits is unknown: no free {plan.target.memory_word} was read.")
    elif own.fits:
        sentences.append("* is what is set; it fits and will be used.")
    elif recommended is None:
        sentences.append("* is what is set; neither it nor anything below it fits. Free some memory first.")
    else:
        options = " ".join(f"--set {setting}" for setting in recommended.settings)
        sentences.append(f"* is what is set; it does not fit. {_name(recommended)} does: add {options}")
        if recommended.rung.way.size_px != own.rung.way.size_px:
            sentences.append("Smaller pictures cost detail; everything else gives the same result.")
    sentences.append(_phases(plan))
    if plan.measured_peak_bytes:
        sentences.append(f"Measured here with these settings: {size_text(plan.measured_peak_bytes)} in tensors.")
    return "\n".join(_filled(sentence) for sentence in sentences)


def _phases(plan: "Plan") -> str:
    text = f"Computing the latents needs {size_text(plan.caching_bytes)}"
    text += " (too much)" if plan.caching_fits is False else ""
    if plan.preview_bytes:
        text += f", a preview {size_text(plan.preview_bytes)}"
        if plan.preview_fits is False:
            text += " (too much: previews will be skipped; set preview.width and preview.height lower)"
    return f"{text}."


def _time_and_disk(plan: "Plan") -> str:
    pace, disk = plan.own.pace if plan.own else None, plan.disk
    if pace is None:
        time = "Time  unknown until the first steps: nothing like it was run on this machine"
    else:
        how = "measured in" if pace.source == "measured" else "estimated from"
        time = f"Time  {duration_text(pace.total_s)}, {_seconds(pace.step_s)} a step, {how} {printable(pace.run_title)}"
    lines = [_filled(time, "      ")]
    if disk is not None:
        free = "" if plan.disk_free_bytes is None else f" of {size_text(plan.disk_free_bytes)} free"
        short = "; that is too much" if plan.disk_fits is False else ""
        checkpoints = f"{disk.num_checkpoints} checkpoint{'s' * (disk.num_checkpoints != 1)}"
        details = (
            f"{checkpoints} {size_text(disk.checkpoints)}, their optimizer states {size_text(disk.optimizer_files)}, "
            f"resume states {size_text(disk.resume_states)}, previews {size_text(disk.previews)}, "
            f"cache {size_text(disk.cache)}"
        )
        lines.append(_filled(f"Disk  {size_text(disk.total)}{free}{short}: {details}", "      "))
    return "\n".join(lines)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, COLUMNS, subsequent_indent=indent, break_on_hyphens=False)
