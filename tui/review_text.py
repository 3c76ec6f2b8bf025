"""A run in plain words before it starts, and the command line that does the same."""

import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import RunConfig
from trainer.config.read import assignments, difference
from trainer.text import duration_text, printable, size_text
from tui.models import ModelLook
from tui.paths import short_path
from tui.presets import base_of
from tui.words import counted

if TYPE_CHECKING:
    from trainer.memory import Plan
    from trainer.project import Project

LABEL = 10
"""Cells of the words on the left."""


def review_rows(project: "Project", config: RunConfig, plan: "Plan | None") -> list[tuple[str, str]]:
    """Return what will be done, as pairs of a word and a sentence.

    Args:
        project: What is trained.
        config: With which settings.
        plan: What it takes; None where that can't be told.
    """
    model = ModelLook(Path(config.model.path), "", 0)
    label = plan.architecture.label if plan is not None and plan.architecture else "a model of its own size"
    pictures = counted(plan.num_pictures, "picture") if plan is not None else "the pictures"
    rows = [
        ("Pictures", f"{pictures} of {config.data.size} px, from {short_path(project.pictures)}"),
        ("Model", f"{label}: {model.name}"),
        ("Network", _network(config, plan)),
        ("Learns", _learning(config)),
        ("Shows", _preview(config)),
        ("Saves", _saving(config)),
        ("Takes", _needs(plan)),
    ]
    name = printable(config.name, 60)
    makes = f"{short_path(project.root)}/{name}.pt, and all else in output/{date.today()}/ there"
    if (project.root / f"{config.name}.pt").exists():
        makes += f"; the {name}.pt of the run before is kept as {name}-previous.pt"
    return [(word, text) for word, text in [*rows, ("Makes", makes)] if text]


def _network(config: RunConfig, plan: "Plan | None") -> str:
    network = config.network
    shape = ",".join(f"{multiple:g}" for multiple in network.layer_structure)
    size = f"; {plan.parameters:,} numbers to learn" if plan is not None and plan.parameters else ""
    begin = f", going on from {printable(network.start_from, 80)}" if network.start_from else ""
    return f"layers {shape}, {network.activation}{begin}{size}"


def _learning(config: RunConfig) -> str:
    optimizer, training = config.optimizer, config.training
    fall = ", then falls" if optimizer.schedule == "cosine" else ""
    warm = f", rises for {optimizer.warmup_steps:,} steps" if optimizer.warmup_steps else ""
    batch = counted(training.batch_size, "picture")
    return f"{training.steps:,} steps of {batch}; rate {optimizer.learning_rate}{warm}{fall}"


def _preview(config: RunConfig) -> str:
    preview = config.preview
    if not preview.every:
        return "no previews"
    prompt = printable(preview.prompt, 120)
    return (f"“{prompt}”" if prompt else "the first training prompt") + f" every {preview.every:,} steps"


def _saving(config: RunConfig) -> str:
    every = f"every {config.save.every:,} steps" if config.save.every else "at the end"
    beside = " and the optimizer's state" if config.save.optimizer_state else ""
    return f"a checkpoint {every}{beside}"


def _needs(plan: "Plan | None") -> str:
    if plan is None:
        return ""
    best = plan.recommended or plan.own
    memory = f"{size_text(best.rung.parts.total)} of {plan.target.memory_word}" if best else "memory unknown"
    disk = f", {size_text(plan.disk.total)} of disk" if plan.disk else ""
    pace = best.pace if best else None
    time = f", about {duration_text(pace.total_s)}" if pace else "; time not known yet"
    changed = f" ({best.rung.name})" if best is not None and best is not plan.own else ""
    return f"{memory}{changed}{disk}{time}"


def command_line(project: "Project", config: RunConfig) -> str:
    """Return the command that starts the same run from a shell."""
    from trainer.project import projects_root

    named = project.root.name if project.root.parent == projects_root().resolve() else str(project.root)
    tree = difference(config, base_of(project, project.config.preset))
    tree.get("model", {}).pop("path", None)  # the project knows it
    sets = [f"--set {shlex.quote(text)}" for text in assignments(tree)]
    return " ".join(["hypernet train", shlex.quote(named), "--preset", shlex.quote(project.config.preset), *sets])


def aligned(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Return rows as lines, their sentences set in below each other."""
    import textwrap

    lines = []
    for word, text in rows:
        lines += textwrap.wrap(text, max(20, width), initial_indent=f"{word:<{LABEL}}", subsequent_indent=" " * LABEL)
    return lines
