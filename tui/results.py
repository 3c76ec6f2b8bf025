"""What the Results screen shows of a run: its stages, the words about them, and the lines to carry a file away."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.rewind import checkpoints
from trainer.run.facts import MadeFile, Validation
from trainer.run.folder import RunFolder
from trainer.run.state import RunState
from trainer.run.status import Status
from trainer.text import duration_text, printable
from trainer.verdict import Verdict
from tui.previews import preview_path
from tui.upload import Address
from tui.words import fit, status_word

WEAKEST, STRONGEST, STEP = 0, 20, 1
"""Strength in tenths."""


@dataclass(frozen=True)
class Stage:
    """A step of the run that there is something of."""

    step: int
    preview: Path | None
    checkpoint: Path | None
    loss: float | None
    """The judged loss at this step, or at the nearest validated one before it; 1.0 is the start of the run."""
    is_best: bool
    is_main: bool
    """Whether its hypernetwork goes by the own name: that of the best step, or where none is known of the last."""

    @property
    def label(self) -> str:
        """The step, with a mark on the best."""
        return f"{self.step:,}{' ★' if self.is_best else ''}"


def stages_of(folder: RunFolder, state: RunState, verdict: Verdict) -> list[Stage]:
    """Return the steps with a preview or a checkpoint, in order."""
    saved = checkpoints(folder, state)
    drawn = {made.step: preview_path(folder, made) for made in _previews(state)}
    steps = sorted(saved.keys() | drawn.keys())
    best = nearest(steps, verdict.best_step)
    main = max(saved, default=None) if best is None else best
    return [
        Stage(step, drawn.get(step), saved.get(step), _loss(state.validations, step), step == best, step == main)
        for step in steps
    ]


def _previews(state: RunState) -> Sequence[MadeFile]:
    return state.previews


def nearest(steps: Sequence[int], wanted: int | None) -> int | None:
    """Return the step nearest to the one wanted; None without either."""
    if wanted is None:
        return None
    return min(steps, key=lambda step: (abs(step - wanted), step), default=None)


def _loss(validations: Sequence[Validation], step: int) -> float | None:
    before = [v for v in validations if v.step <= step and v.judged is not None]
    return before[-1].judged if before else None


def shown_preview(stages: Sequence[Stage], place: int) -> tuple[int, Path] | None:
    """Return step and path of a stage's preview, or of the nearest stage that has one."""
    drawn = [stage for stage in stages if stage.preview is not None]
    if not drawn:
        return None
    near = min(drawn, key=lambda stage: (abs(stage.step - stages[place].step), stage.step))
    assert near.preview is not None
    return near.step, near.preview


def head_text(folder: RunFolder, state: RunState, status: Status, width: int) -> str:
    """Return the first line: name, standing, steps and time."""
    name = printable(folder.name, 40)
    return fit(
        f"{name}   {status_word(status)}: {state.step:,} steps in {duration_text(state.elapsed_s)}", width
    ).rstrip()


def verdict_text(verdict: Verdict, most: int) -> str:
    """Return the verdict, what to do, and as much of the evidence as there is room for."""
    best = "" if verdict.best_step is None else f" Best step: {verdict.best_step:,} ★"
    lines = [f"{verdict.text}{best}", *filter(None, [verdict.advice]), *verdict.evidence]
    return "\n".join(printable(line, 300) for line in lines[:most])


def tag_of(stage: Stage, name: str, strength: float) -> str:
    """Return what a prompt says to switch a network on."""
    return f"<hypernet:{name}:{strength:g}>"


def network_name(stage: Stage, folder: RunFolder) -> str:
    """Return what a step's hypernetwork is called elsewhere; others than the main one are told apart by their step."""
    if stage.checkpoint is None:
        return folder.name
    return stage.checkpoint.stem.rpartition("-")[0] if stage.is_main else stage.checkpoint.stem


def fetch_line(stage: Stage, folder: RunFolder, address: Address) -> str:
    """Return the line that fetches a step's checkpoint under the name that its tag has."""
    assert stage.checkpoint is not None
    return download_line(stage.checkpoint, address, f"{network_name(stage, folder)}{stage.checkpoint.suffix}")


def download_line(path: Path, address: Address, name: str = ".") -> str:
    """Return the `scp` line to type on another computer to fetch a file; harmless to show.

    Args:
        path: The file.
        address: This computer's.
        name: What it is called there; as here when left out.
    """
    port = "" if address.is_usual_port else f"-P {address.port} "
    return printable(f"scp {port}{shlex.quote(f'{address.user}@{address.host}:{path}')} {shlex.quote(name)}", 1000)


def caption_text(stage: Stage, shown: tuple[int, Path] | None) -> str:
    """Return the two lines under the chosen step's picture."""
    loss = "" if stage.loss is None else f"   loss {stage.loss:.0%} of the start's"
    first = f"step {stage.label}{loss}"
    if shown is None:
        return f"{first}\nno preview was drawn"
    if shown[0] != stage.step:
        return f"{first}\nno preview of its own; the picture is of step {shown[0]:,}"
    return f"{first}\n{'checkpoint ' + printable(stage.checkpoint.name, 60) if stage.checkpoint else 'no checkpoint'}"
