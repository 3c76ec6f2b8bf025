"""The worker: the process that carries out a run, whether or not anybody watches.

Nothing heavy is imported before the run's `started` event, so that a viewer sees it at once.
"""

import hashlib
import importlib.metadata
import logging
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import RunConfig, read_config
from trainer.errors import AppError
from trainer.faults import explain
from trainer.files import write_atomic
from trainer.report import report_at_end
from trainer.rewind import rewound_step
from trainer.run.control import Commands
from trainer.run.events import EventWriter
from trainer.run.folder import RunFolder
from trainer.run.heartbeat import Heartbeat
from trainer.run.lock import RunLock, process_identity
from trainer.run.signals import StopRequest

if TYPE_CHECKING:
    from trainer.preparation import Prepared
    from trainer.training import Training

log = logging.getLogger(__name__)
RESERVE_BYTES = 1 << 18
PHASE_S = 0.5
"""Shortest time between two `phase` events of one phase."""


def work(path: Path) -> int:
    """Carry out the run of a folder, or go on with it; return the exit code.

    Whatever goes wrong becomes a `failed` event with what to do; the traceback goes to the log.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder, stop = RunFolder(path.resolve()), StopRequest()
    stop.install()
    try:
        with RunLock(folder), EventWriter(folder.events_file) as events, Heartbeat(events):
            try:
                return _carry_out(folder, events, stop)
            except Exception as error:  # whatever it is, a viewer must learn of it; nothing that was saved is lost
                _reserve(folder).unlink(missing_ok=True)
                log.exception("the run failed")
                failure = explain(error, folder.path, folder.worker_log)
                events.emit("failed", error=failure.title, message=failure.message, hint=failure.hint)
    except AppError as error:
        log.error("%s", error)
    except OSError as error:
        log.error("the run's folder cannot be written: %s", error)
    return 1


def _carry_out(folder: RunFolder, events: EventWriter, stop: StopRequest) -> int:
    write_atomic(_reserve(folder), bytes(RESERVE_BYTES))
    config = read_config(folder.config_file)
    resumed_at = _step_of_state(folder)
    if resumed_at is None:
        resumed_at = rewound_step(folder)
    events.emit(
        "started",
        **process_identity(),
        config_hash=hashlib.sha256(folder.config_file.read_bytes()).hexdigest()[:16],
        torch=importlib.metadata.version("torch"),
        steps=config.training.steps,
        resumed_at_step=resumed_at,
    )
    events.emit("phase", name="starting", done=0, total=0)
    try:
        training = _prepared_training(config, folder, events, stop, resumed_at)
    except StoppedWhilePreparing:
        events.emit("stopped", step=resumed_at or 0)
        return 0
    if not training.run():
        events.emit("stopped", step=training.step)
        report_at_end(folder)
        return 0
    best = training.watch.verdict.best_step
    path = None if best is None else training.checkpoint_path(best)
    events.emit(
        "finished",
        step=training.step,
        seconds=training.seconds,
        results=_publish(folder, training),
        best_step=best,
        best_checkpoint=str(path) if path is not None and path.exists() else None,
    )
    report_at_end(folder)
    return 0


def _prepared_training(
    config: RunConfig, folder: RunFolder, events: EventWriter, stop: StopRequest, resumed_at: int | None
) -> "Training":
    import torch

    from trainer.preparation import prepare
    from trainer.training import Training

    torch.set_num_threads(config.memory.threads or torch.get_num_threads())
    prepared = prepare(config, folder.project_root, _phase_writer(events, stop), resumed_at)
    for message in [*config.warnings(), *prepared.warnings]:
        events.emit("warning", message=message)
    if not list(folder.path.glob("settings-*.json")):
        _write_settings(folder, prepared)
    return Training(prepared, folder, events, Commands(folder, events), stop)


def _reserve(folder: RunFolder) -> Path:
    """Return a file that only takes up room: given back on a full disk, so that the failure can be written down."""
    return folder.path / ".reserve"


def _publish(folder: RunFolder, training: "Training") -> list[str]:
    """Put the result into the project as NAME.pt, without dropout, which only confuses other programs.

    The result of an earlier run is kept as NAME-previous.pt.
    """
    from trainer.hypernetwork import save

    final = folder.project_root / f"{training.config.name}.pt"
    if final.exists():
        os.replace(final, final.with_name(f"{training.config.name}-previous.pt"))
    save(training.net, final, portable=True)
    return [str(final), str(training.checkpoint_path())]


def _step_of_state(folder: RunFolder) -> int | None:
    steps = [int(path.stem.removeprefix("state-")) for path in folder.state.glob("state-[0-9]*.safetensors")]
    return max(steps, default=None)


class StoppedWhilePreparing(Exception):
    """A stop was asked for before the first step."""


def _phase_writer(events: EventWriter, stop: StopRequest) -> Callable[[str, int, int], None]:
    last_name, last_time = "", 0.0

    def phase(name: str, done: int, total: int) -> None:
        nonlocal last_name, last_time
        if stop.requested:
            raise StoppedWhilePreparing
        now = time.monotonic()
        if name != last_name or done >= total or now - last_time >= PHASE_S:
            events.emit("phase", name=name, done=done, total=total)
            last_name, last_time = name, now

    return phase


def _write_settings(folder: RunFolder, prepared: "Prepared") -> None:
    from trainer.records import write_settings_json

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
