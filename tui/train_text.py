"""What the Train screen says of a run, as text."""

from collections.abc import Mapping

from rich.cells import cell_len

from trainer.run.describe import SILENT, clock_text, describe
from trainer.run.events import Event
from trainer.run.folder import RunFolder
from trainer.run.state import RunState
from trainer.run.status import Status
from trainer.text import duration_text, printable, rate_text, without_options
from trainer.verdict import Standing, Verdict
from tui.feed import RunView
from tui.gauges import gpu_of
from tui.keys import key_for
from tui.slowdown import slowdown_text
from tui.words import ARROWS, bar, direction, fit, left_text, loss_text, status_word, step_text


def head_text(folder: RunFolder, view: RunView, width: int, frozen: bool, pausing: bool) -> str:
    """Return the first line: name, standing, step, bar and time to go.

    Args:
        folder: The run.
        view: How it stands.
        width: Cells of the line.
        frozen: Whether later events are not shown.
        pausing: Whether it was told to pause, which it does before its next step.
    """
    state = view.state
    standing = "pausing" if pausing and view.status is Status.RUNNING else status_word(view.status)
    parts = [printable(folder.name, 24), standing, *(["display frozen"] if frozen else [])]
    phase = _phase_text(state) if view.status.is_live else ""
    parts += [phase] if phase else []
    if not view.is_whole:
        return fit("  ".join([parts[0], f"reading the run's past, {view.read_share:.0%}"]), width)
    if not state.steps_total:
        return fit("  ".join(parts), width)
    left = left_text(state) if view.status.is_live else ""
    start = "  ".join([*parts, step_text(state)])
    room = width - len(start) - 2 - (len(left) + 2 if left else 0)
    drawn = bar(state.step / state.steps_total, min(room, 60)) if room >= 8 else ""
    return fit("  ".join(filter(None, [start, drawn, left])), width)


def _phase_text(state: RunState) -> str:
    phase = state.phase
    if phase is None or phase.name == "training":
        return ""
    done = f" {phase.done or 0:,}/{phase.total:,}" if (phase.total or 0) > 1 else ""
    return f"{printable(phase.name, 30)}{done}"


def notice_text(folder: RunFolder, view: RunView, waiting: Mapping[str, str]) -> str:
    """Return what the user should know now: trouble, a question, slowness, commands under way; usually empty.

    Args:
        folder: The run.
        view: How it stands.
        waiting: Commands that the worker has not acknowledged yet, by id.
    """
    lines = [*_trouble(folder, view)]
    if view.status is Status.RUNNING:
        device = view.state.worker.device if view.state.worker else ""
        gpus = [gpu_of(gauges, device) if gauges else None for gauges in (view.gauges, view.usual)]
        lines.append(slowdown_text(view.slower, view.gauges, gpus[0], view.usual, gpus[1]))
    if view.status.is_live and waiting:
        names = ", ".join(name.replace("_", " ") for name in waiting.values())
        when = "between steps" if view.state.points else "before the first step"
        lines.append(f"Sent to the worker: {names}. It obeys {when}.")
    return "\n".join(line for line in lines if line)


def _trouble(folder: RunFolder, view: RunView) -> list[str]:
    state, status = view.state, view.status
    if status in (Status.FAILED, Status.OUT_OF_MEMORY) and state.failure is not None:
        failure = state.failure
        told = ". ".join(printable(part, 800).rstrip(".") for part in (failure.error, failure.message) if part)
        hint = without_options(printable(failure.hint))
        again = "goes on from the last state" if state.step else "tries it again"
        return [f"{told}.", f"{hint} {key_for('train.resume')} {again}." if hint else ""]
    if status is Status.NEEDS_YOU and state.question is not None:
        return [printable(state.question.text, 160), f"{key_for('train.answer')} shows the ways to go on."]
    if status is Status.LOST:
        return [
            "The worker is gone without a word. Nothing that was saved is lost: "
            f"{key_for('train.resume')} goes on from the last state."
        ]
    if status is Status.STALLED:
        return [f"No sign of life from the worker. If it stays so: {key_for('train.stop')} kills it."]
    if status is Status.STOPPING:
        return [f"Stopping: it leaves off what it is doing, saves at step {state.step:,} and ends."]
    if status is Status.FINISHED:
        made = ", ".join(printable(path, 120) for path in state.results)
        return [f"Finished after {duration_text(state.elapsed_s)}.", f"Made {made}" if made else ""]
    return []


def _no_step_text(view: RunView) -> str:
    """Say why there is nothing to see: what comes before the first step may take as long as many steps."""
    state = view.state
    if view.status is not Status.RUNNING or state.phase is None or state.phase.name != "training":
        return "No step yet."
    doing = "a preview is drawn" if state.validations else "the loss is measured, then a preview drawn"
    return f"No step yet: {doing}, to compare with."


def figures_text(view: RunView, width: int) -> list[str]:
    """Return the losses, the pace and the verdict as lines."""
    state = view.state
    if not state.points:
        return [_no_step_text(view), _rates(state)]
    where = direction(state.points)
    trend = f" {ARROWS[where]} {where}" if where else ""
    loss = f"loss {loss_text(state.smoothed_loss)}{trend} (· last {loss_text(state.loss)})"
    judged = _judged(state, view.verdict, width)
    return [
        f"{loss}   {_validated(state, view.verdict)}".rstrip(),
        _rates(state),
        *([judged] if judged else []),
    ]


def _judged(state: RunState, verdict: Verdict | None, width: int) -> str:
    if verdict is None or verdict.standing in (Standing.NOTHING_YET, Standing.UNKNOWN):
        return ""
    # It knows nothing of the steps since then.
    told = f"verdict at step {state.validations[-1].step:,}: {printable(verdict.text)}"
    proven = " ".join([told, *map(printable, verdict.evidence[:1])])
    return proven if cell_len(proven) <= width else fit(told, width).rstrip()


def _validated(state: RunState, verdict: Verdict | None) -> str:
    """Return the last validation and the best, in percent of what the loss was before training."""
    measured = {v.step: v.judged for v in state.validations if v.judged is not None}
    if not measured:
        return ""
    last, best = next(reversed(measured)), verdict.best_step if verdict else None
    now = f"x {'held out' if state.validations[-1].held_out is not None else 'validation'} {measured[last]:.1%}"
    if best == last:
        return f"{now}, best so far (B)"
    return f"{now}, B {measured[best]:.1%} at {best:,}" if best in measured else now


def _rates(state: RunState) -> str:
    parts = []
    if state.step_s is not None:
        parts.append(f"{state.step_s:.2f} s a step")
    if state.learning_rate is not None:
        parts.append(f"learning rate {rate_text(state.learning_rate)}")
    parts.append(f"{duration_text(state.elapsed_s)} so far")
    return "   ".join(parts)


def tail_lines(folder: RunFolder, state: RunState, count: int, width: int) -> list[str]:
    """Return the last lines of the story, the newest first."""
    told = [event for event in reversed(state.log[-4 * count :]) if event["kind"] not in SILENT]
    return [fit(story_line(folder, event), width).rstrip() for event in told[:count]]


def story_line(folder: RunFolder, event: Event) -> str:
    """Return an event with its time of day; files within the run's folder by their names there."""
    return f"{clock_text(event['t'])}  {describe(event).replace(f'{printable(folder.path)}/', '')}"
