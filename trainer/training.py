"""The loop: step, record, validate, save, preview, and obey commands in between."""

import logging
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from trainer.devices import read_gauges
from trainer.divergence import check_weights, divergence
from trainer.faults import FaultKind, first_line, kind_of
from trainer.hypernetwork import attach, save, save_optimizer
from trainer.hypernetwork.optimizer_files import optimizer_path
from trainer.memory.apply import arithmetic
from trainer.obeying import obey
from trainer.occasions import due_after, expected
from trainer.placement import device_text, empty_cache, peak_bytes
from trainer.records import LossTable, TensorBoard
from trainer.recovery.probe import Probe
from trainer.recovery.untouched import StepGuard
from trainer.run.signals import Stopped
from trainer.step import StepResult, accumulate_gradient, clip_gradient
from trainer.training_state import TrainingState
from trainer.watch import Watch

log = logging.getLogger(__name__)

MAX_OVERFLOWS = 24
"""Halvings of the gradient scale from 65536 down to nothing."""
GAUGE_EVERY_S = 10.0


@dataclass
class Training(TrainingState):
    """A run in progress."""

    gauge_time: float = 0.0
    enough: bool = False
    """Whether the verdict ends the run, as the settings want it."""

    def __post_init__(self) -> None:
        """Make what is trained and what watches it, and put back the state of an earlier sitting."""
        super().__post_init__()
        config = self.config
        with arithmetic(config.memory):
            self.watch = Watch(self.prepared, self.previewer, self.folder, self.events, self.stop.check)
        self.guard = StepGuard(self.optimizer)
        self._restore()
        self._tell_phase()
        self.table = LossTable(self.folder.loss_csv, self.step) if config.save.csv_every else None
        self.board = TensorBoard(self.folder.path / "tensorboard", self.step) if config.save.tensorboard else None

    def run(self) -> bool:
        """Train to the end; return whether it was reached, or a stop was asked for."""
        with arithmetic(self.config.memory), attach(self.prepared.base.unet, [(self.net, 1.0)]):
            try:
                self._train()
            except Stopped:
                self.save_checkpoint()
                self.keep_state()
                return False
            finally:
                if self.board:
                    self.board.close()
        return True

    def _train(self) -> None:
        self._probe()
        if self.due:
            self._tell_phase(**expected(self._occasions(), self.step, self.config))
        if self.kept_step is None:
            self.keep_state()
        while self.step < self.last_step:
            if self.enough:
                self.stop.request()
            obey(self)
            self.stop.check()
            self._one_step()
            self._occasions()

    def _tell_phase(self, **more: float) -> None:
        device = device_text(self.prepared.denoiser.device)
        self.events.emit("phase", name="training", done=self.step, total=self.last_step, device=device, **more)

    @property
    def last_step(self) -> int:
        """Steps after which the run ends."""
        return self.schedule.last_step

    def _probe(self) -> None:
        self.doing = "probe"
        probe = Probe(self.prepared, self.optimizer, self.previewer)
        if not self.stop.requested and probe.is_due(self.folder.project_root / "cache"):
            probe.run()

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.schedule.at(self.step) * self.config.optimizer.rate_scale

    def _one_step(self) -> None:
        self.doing = "step"
        started = time.perf_counter()
        rate = self.rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        result, norm = self._update()
        self.step += 1
        self.due = due_after(self.step, self.last_step, self.config)
        self.net.step = self.step
        seconds = time.perf_counter() - started
        self.seconds += seconds
        self.watch.norms.append(norm)
        self.events.emit(
            "step",
            step=self.step,
            loss=result.loss,
            learning_rate=rate,
            grad_norm=norm,
            seconds=seconds,
            vram_bytes=peak_bytes(self.prepared.denoiser.device),
        )
        if self.table and self.step % self.config.save.csv_every == 0:
            self.table.add(self.step, self.prepared.inputs.order.epoch(self.step), result.loss, rate)
        if self.board:
            self.board.add(self.step, result.loss, rate)

    def _update(self) -> tuple[StepResult, float]:
        inputs, config = self.prepared.inputs, self.config
        for _ in range(MAX_OVERFLOWS):
            batches = inputs.micro_batches(self.step + 1, config.memory.micro_batch)
            result = accumulate_gradient(self.prepared.denoiser, batches, config.training.batch_size, self.scaler)
            self.scaler.unscale_(self.optimizer)
            norm = clip_gradient(self.parameters, config.optimizer.clip, self.clip_limit.at(self.step))
            if math.isfinite(norm) and math.isfinite(result.loss):
                if self.sanity.explodes(result.loss):
                    break
                self._apply()
                self.sanity.add(result.loss)
                return result, norm
            self.optimizer.zero_grad(set_to_none=True)
            if not self.scaler.is_enabled():
                break
            # Half precision overflowed: the same step again with a smaller scale.
            self.scaler.update(self.scaler.get_scale() / 2)
        self.optimizer.zero_grad(set_to_none=True)
        raise divergence(self.prepared, self.step, self.rate, result, norm)

    def _apply(self) -> None:
        self.doing = "optimizer"
        self.guard.begin()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.guard.end()

    def rescue(self) -> bool:
        """After memory ran out: save the state of this very step, if it is whole; return whether it is on disk."""
        self.optimizer.zero_grad(set_to_none=True)
        empty_cache(self.prepared.denoiser.device)
        if not self.guard.undo():
            return False
        try:
            if self.kept_step != self.step:
                self.keep_state()
        except Exception:  # whatever it is, the state before it is whole
            log.exception("the state of step %s could not be saved", self.step)
            return False
        return True

    def _occasions(self) -> dict[str, float]:
        """Do what is due, and return the seconds each took; a stop leaves it off, and what is then undone stays due."""
        took = {}
        doing = {"validation": self._validate, "checkpoint": self.save_checkpoint, "preview": self.draw_preview}
        while self.due:
            self.stop.check()
            began = time.perf_counter()
            doing[self.due[0]]()
            took[self.due[0]] = time.perf_counter() - began
            self.due = self.due[1:]
        if time.monotonic() - self.gauge_time >= GAUGE_EVERY_S:
            self.events.emit("gauge", **asdict(read_gauges([os.getpid()], self.folder.path)))
            self.gauge_time = time.monotonic()
        if self.step == self.last_step or time.monotonic() - self.state_time >= self.config.save.state_every_s:
            self.keep_state()
        return took

    def _validate(self) -> None:
        if self.prepared.validator is None:
            return
        self.doing = "validation"
        try:
            if self.watch.validate(self.step):
                self._keep_best()
        except Exception as error:  # whatever it is, a validation never ends a run
            self._left_out("validation", error)
            self.prepared.validator.measure_less()
            return
        finally:
            empty_cache(self.prepared.denoiser.device)
        self.enough = self.watch.judge(self.step) or self.enough

    def _keep_best(self) -> None:
        """Save the best step so far, and take away the one before where it was saved for being the best alone."""
        if not self.config.save.best:
            return
        before, self.best_only = self.best_only, None
        if "checkpoint" not in due_after(self.step, self.last_step, self.config):
            self.save_checkpoint()
            self.best_only = self.step
        if before not in (None, self.step):
            self._remove_checkpoint(before)

    def _remove_checkpoint(self, step: int) -> None:
        path = self.checkpoint_path(step)
        for file in (optimizer_path(path), path):
            file.unlink(missing_ok=True)
        self.events.emit("removed", step=step, path=str(path))

    def draw_preview(self) -> None:
        """Draw a preview, where any are wanted; one that fails is left out with a warning."""
        if not self.config.preview.every:
            return
        self.doing = "preview"
        path = self.folder.images / f"{self.config.name}-{self.step}.png"
        started = time.perf_counter()
        try:
            drawn = self.previewer.draw(path, f"{self.config.name}-{self.step}")
        except Exception as error:  # whatever it is, a preview never ends a run
            self._left_out("preview", error, self.previewer.lower())
            return
        finally:
            empty_cache(self.prepared.denoiser.device)
        self.events.emit("preview", step=self.step, path=str(path), seconds=time.perf_counter() - started)
        self.watch.look_at(self.step, drawn)

    def _left_out(self, what: str, error: Exception, next_time: str = "") -> None:
        """Say that a preview or validation failed; other faults are passed on."""
        log.exception("%s failed", what)
        if kind_of(error) in (FaultKind.CUDA, FaultKind.DISK, FaultKind.NAN):
            raise error
        message = f"The {what} of step {self.step:,} failed and was left out: {first_line(error)}"
        self.events.emit("warning", about=what, message=f"{message}{f' {next_time}' if next_time else ''}")

    def checkpoint_path(self, step: int | None = None) -> Path:
        """Return where the checkpoint of a step, the present one if left out, lies."""
        return self.folder.hypernetworks / f"{self.config.name}-{self.step if step is None else step}.pt"

    def save_checkpoint(self) -> None:
        """Write the present network, and the optimizer's state beside it.

        Raises:
            Diverged: the weights are not finite.
        """
        self.doing = "saving"
        check_weights(self.parameters, self.step)
        path = self.checkpoint_path()
        if self.best_only == self.step:
            self.best_only = None
        save(self.net, path)
        if self.config.save.optimizer_state:
            save_optimizer(path, self.optimizer, self.net)
        # For going back to here: the .optim has no place for it.
        self.events.emit("saved", step=self.step, path=str(path), scaler=self.scaler.state_dict())
