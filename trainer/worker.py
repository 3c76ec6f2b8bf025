"""The worker: the process that computes a run, as the child of its supervisor.

It sends every event, and at last what ended it, through a pipe. Nothing here decides what follows from a fault.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import RunConfig
from trainer.faults import FaultKind, explain
from trainer.recovery.changes import effective_config
from trainer.recovery.kernel import die_with_parent
from trainer.recovery.pipe import FAULT, RESTART, EventPipe
from trainer.recovery.states import first_step
from trainer.run.control import Commands
from trainer.run.folder import RunFolder
from trainer.run.signals import Stopped, StopRequest

if TYPE_CHECKING:
    import torch

    from trainer.preparation import Prepared
    from trainer.training import Training

log = logging.getLogger(__name__)
PHASE_S = 0.5
"""Shortest time between two `phase` events of one phase."""
FILES_BYTES = 16 << 20
"""Room for what is written besides states and checkpoints."""


def work(path: Path, pipe: int, parent: int) -> int:
    """Compute the run of a folder, or go on with it; return the exit code.

    Args:
        path: The run's folder.
        pipe: File descriptor for the events.
        parent: The supervisor's pid.
    """
    stop = StopRequest()
    stop.install_child()
    die_with_parent(parent)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sitting = Sitting(RunFolder(path), EventPipe(pipe), stop)
    try:
        sitting.carry_out()
    except BrokenPipeError:
        log.error("the supervisor is gone")
        return 1
    except Exception as error:  # whatever it is, a viewer must learn of it; nothing that was saved is lost
        log.exception("the worker ends")
        sitting.tell(error)
        return 1
    return 0


@dataclass
class Sitting:
    """What one worker does for a run."""

    folder: RunFolder
    events: EventPipe
    stop: StopRequest
    config: RunConfig | None = None
    resumed_at: int | None = None
    training: "Training | None" = None
    phase: str = "starting"

    def carry_out(self) -> None:
        """Train to the end or to a stop, and say which."""
        from trainer.obeying import SettingsWanted

        self.config = effective_config(self.folder)
        self.resumed_at = first_step(self.folder)
        try:
            with self._limit():
                training = self.training = self._prepared_training()
                reached = training.run()
                self.phase = "publishing"
                results = _publish(self.folder, training) if reached else []
        except Stopped:
            self.events.emit("stopped", step=self.resumed_at or 0)
            return
        except SettingsWanted as wanted:
            assert self.training is not None
            self.events.emit(RESTART, step=self.training.step, settings=dict(wanted.settings))
            return
        if not reached:
            self.events.emit("stopped", step=training.step)
            return
        best = training.watch.verdict.best_step
        path = None if best is None else training.checkpoint_path(best)
        self.events.emit(
            "finished",
            step=training.step,
            seconds=training.seconds,
            results=results,
            best_step=best,
            best_checkpoint=str(path) if path is not None and path.exists() else None,
        )

    def tell(self, error: Exception) -> None:
        """Say what ended the sitting; after want of memory save the state of the very step first."""
        from trainer.recovery.telling import fault_of, free_frames

        training, config = self.training, self.config
        during = training.doing if training and self.phase == "training" else self.phase
        step = training.step if training else self.resumed_at or 0
        device = training.prepared.denoiser.device if training else self._device()
        needed = FILES_BYTES + (8 * sum(p.nbytes for p in training.parameters) if training else 0)
        fault = config and fault_of(error, self.folder, config, during, step, device, needed)
        if not fault:
            failure = explain(error, self.folder.path, self.folder.worker_log)
            self.events.emit("failed", error=failure.title, message=failure.message, hint=failure.hint)
            return
        free_frames(error)
        saved = bool(training and fault.kind is FaultKind.MEMORY and training.rescue())
        self.events.emit(FAULT, **{**fault.as_payload(), "saved": saved})

    def _limit(self) -> AbstractContextManager[object]:
        from trainer.placement import choose_device
        from trainer.recovery.limit import limited

        assert self.config is not None
        return limited(self.config.memory, choose_device(self.config.memory))

    def _device(self) -> "torch.device | None":
        import torch

        if not torch.cuda.is_initialized():
            return None
        return torch.device("cuda", torch.cuda.current_device())

    def _prepared_training(self) -> "Training":
        import torch

        from trainer.preparation import prepare
        from trainer.training import Training

        config, folder, events = self.config, self.folder, self.events
        assert config is not None
        torch.set_num_threads(config.memory.threads or torch.get_num_threads())
        prepared = prepare(config, folder.project_root, self._phase_writer(), self.resumed_at)
        for message in [*config.warnings(), *prepared.warnings]:
            events.emit("warning", message=message)
        if not list(folder.path.glob("settings-*.json")):
            _write_settings(folder, prepared)
        self.phase = "resuming" if self.resumed_at is not None else "starting"
        training = Training(prepared, folder, events, Commands(folder, events), self.stop)
        self.phase = "training"
        return training

    def _phase_writer(self) -> Callable[[str, int, int], None]:
        last_name, last_time = "", 0.0

        def phase(name: str, done: int, total: int) -> None:
            nonlocal last_name, last_time
            self.phase = name
            self.stop.check()
            now = time.monotonic()
            if name != last_name or done >= total or now - last_time >= PHASE_S:
                self.events.emit("phase", name=name, done=done, total=total)
                last_name, last_time = name, now

        return phase


def _publish(folder: RunFolder, training: "Training") -> list[str]:
    """Put the result into the project as NAME.pt, without dropout, which only confuses other programs.

    The result of an earlier run is kept as NAME-previous.pt.
    """
    from trainer.hypernetwork import save

    final = folder.project_root / f"{training.config.name}.pt"
    fresh = final.with_name(f".{training.config.name}-new.pt")
    try:
        save(training.net, fresh, portable=True)
        if final.exists():
            os.replace(final, final.with_name(f"{training.config.name}-previous.pt"))
        os.replace(fresh, final)
    finally:
        fresh.unlink(missing_ok=True)
    return [str(final), str(training.checkpoint_path())]


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


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
