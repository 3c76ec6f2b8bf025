"""The worker: the process that carries out a run, whether or not anybody watches."""

import hashlib
import logging
import time
from datetime import datetime
from pathlib import Path

import torch

from trainer.config import read_config
from trainer.errors import AppError
from trainer.hypernetwork import save
from trainer.placement import device_text
from trainer.preparation import Prepared, prepare
from trainer.records import write_settings_json
from trainer.resume_state import state_files
from trainer.run.control import Commands
from trainer.run.events import EventWriter
from trainer.run.folder import RunFolder
from trainer.run.heartbeat import Heartbeat
from trainer.run.lock import RunLock, process_identity
from trainer.run.signals import StopRequest
from trainer.training import Training

log = logging.getLogger(__name__)


def work(path: Path) -> int:
    """Carry out the run of a folder, or go on with it; return the exit code.

    Whatever goes wrong becomes a `failed` event with what to do; the traceback goes to the log.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder = RunFolder(path.resolve())
    try:
        with RunLock(folder), EventWriter(folder.events_file) as events, Heartbeat(events):
            return _guarded(folder, events)
    except AppError as error:
        log.error("%s", error)
        return 1


def _guarded(folder: RunFolder, events: EventWriter) -> int:
    stop = StopRequest()
    stop.install()
    try:
        return _carry_out(folder, events, stop)
    except AppError as error:
        log.exception("the run failed")
        events.emit("failed", error=error.title, message=error.message, hint=error.hint)
    except torch.OutOfMemoryError as error:
        log.exception("out of memory")
        events.emit(
            "failed",
            error="Out of memory",
            message=str(error).splitlines()[0],
            hint="Set memory.gradient_checkpointing=true, memory.micro_batch=1 or a smaller data.size, then resume the run.",
        )
    except OSError as error:
        log.exception("a file could not be read or written")
        events.emit(
            "failed",
            error="File error",
            message=f"{error.strerror or error}: {error.filename or folder.path}.",
            hint="Make room or mend the path, then resume the run; nothing that was saved is lost.",
        )
    except Exception:  # a bug: the run's files stay good, the traceback is in the log
        log.exception("a bug")
        events.emit(
            "failed",
            error="Internal error",
            message=f"The worker met a bug; the traceback is in {folder.worker_log}.",
            hint="Resume the run to go on from the last state, and report the traceback.",
        )
    return 1


def _carry_out(folder: RunFolder, events: EventWriter, stop: StopRequest) -> int:
    text = folder.config_file.read_text(encoding="utf-8")
    config = read_config(folder.config_file)
    torch.set_num_threads(config.memory.threads or torch.get_num_threads())
    resumed_at = _step_of_state(folder)
    events.emit(
        "started",
        **process_identity(),
        config_hash=hashlib.sha256(text.encode()).hexdigest()[:16],
        torch=torch.__version__,
        name=config.name,
        steps=config.training.steps,
        resumed_at_step=resumed_at,
    )
    prepared = prepare(config, folder.project_root, _phase_writer(events))
    for message in [*config.warnings(), *prepared.warnings]:
        events.emit("warning", message=message)
    events.emit("phase", name="training", done=0, total=1, device=device_text(prepared.denoiser.device))
    if resumed_at is None:
        _write_settings(folder, prepared)
    training = Training(prepared, folder, events, Commands(folder, events), stop)
    if not training.run():
        events.emit("stopped", step=training.step)
        return 0
    results = _publish(folder, training)
    best = training.best[1] if training.best else None
    events.emit("finished", step=training.step, seconds=training.seconds, results=results, best_step=best)
    return 0


def _publish(folder: RunFolder, training: Training) -> list[str]:
    """Copy the last checkpoint to the project as NAME.pt, atomically."""
    final = folder.project_root / f"{training.config.name}.pt"
    save(training.net, final)
    return [str(final), str(training.checkpoint_path())]


def _step_of_state(folder: RunFolder) -> int | None:
    states = state_files(folder.state)
    return int(states[0].stem.removeprefix("state-")) if states else None


def _phase_writer(events: EventWriter):  # type: ignore[no-untyped-def]
    last = ("", 0.0)

    def phase(name: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if name != last[0] or done >= total or now - last[1] >= 0.5:
            events.emit("phase", name=name, done=done, total=total)
            last = (name, now)

    return phase


def _write_settings(folder: RunFolder, prepared: Prepared) -> None:
    write_settings_json(
        folder.path,
        prepared.config,
        model_name=prepared.net.sd_checkpoint_name or "",
        model_hash=prepared.net.sd_checkpoint or "",
        data_root=folder.project_root / prepared.config.data.folder,
        num_pictures=prepared.num_pictures,
        initial_step=prepared.first_step,
        now=datetime.now(),
    )
