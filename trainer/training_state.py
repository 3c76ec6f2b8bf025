"""What a run in progress consists of, and how it is kept on disk and put back."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch

from trainer.divergence import check_weights
from trainer.memory.apply import make_optimizer
from trainer.occasions import FIRST
from trainer.preparation import Prepared, learning_rate
from trainer.preview import Previewer
from trainer.recovery.losses import LossWatch
from trainer.recovery.states import mark_good
from trainer.resume_state import (
    ResumeState,
    optimizer_tensors,
    read_state,
    restore_optimizer,
    state_files,
    write_state,
)
from trainer.resuming import check_fits, take_earlier_optimizer
from trainer.rewind import rewound_state
from trainer.run.control import Commands
from trainer.run.events import Emitter
from trainer.run.folder import RunFolder
from trainer.run.signals import StopRequest
from trainer.schedule import Schedule

LOSSES_KEPT = 100
"""In a state, so that a resumed run knows what is usual."""
PROVEN_STEPS = 200
"""A learning rate that was changed does its harm within so many steps, if at all."""


@dataclass
class TrainingState:
    """The part of a run in progress without its loop. Everything that must survive a kill is in `resume_state`."""

    prepared: Prepared
    folder: RunFolder
    events: Emitter
    commands: Commands
    stop: StopRequest
    step: int = 0
    """Optimizer steps done."""
    changes: list[tuple[int, str, str]] = field(default_factory=list)
    """(step, "learning_rate" or "preview_prompt", value) changed while running."""
    best_only: int | None = None
    """The step whose checkpoint is there for no other reason than that it is the best."""
    state_time: float = 0.0
    seconds: float = 0.0
    """Time spent training, over all sittings."""
    doing: str = "start"
    """What is going on: step, optimizer, validation, preview or saving."""
    due: list[str] = field(default_factory=list)
    """What belongs to the last step and is still to be done, in order; see `occasions`."""
    kept_step: int | None = None
    """Steps done in the newest state."""

    def __post_init__(self) -> None:
        """Make the optimizer and what goes with it."""
        config = self.prepared.config
        self.config = config
        self.net = self.prepared.net
        self.net.train()
        self.parameters = [p for p in self.net.parameters() if p.requires_grad]
        options = config.optimizer
        self.optimizer = make_optimizer(self.parameters, options, config.memory)
        half = self.prepared.denoiser.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(self.prepared.denoiser.device.type, enabled=half)
        self.step = self.prepared.first_step
        self.schedule = learning_rate(config, self.step)
        self.clip_limit = Schedule.parse(options.clip_value, config.training.steps)
        self.previewer = Previewer.of(self.prepared, self.stop.check)
        self.sanity = LossWatch()

    def keep_state(self) -> None:
        """Write the resume state.

        Raises:
            Diverged: the weights are not finite; the states before are kept.
        """
        self.doing = "saving"
        check_weights(self.parameters, self.step)
        facts: dict[str, Any] = {
            "model": self.prepared.model_key,
            "scaler": self.scaler.state_dict(),
            "changes": self.changes,
            "learning_rate": self.schedule.at(self.step),
            "best_only": self.best_only,
            "seconds": self.seconds,
            "validation_start": self.prepared.validator.start if self.prepared.validator else {},
            "occasions": self.due,
            "losses": self.sanity.history[-LOSSES_KEPT:],
            "size": self.config.data.size,
        }
        state = ResumeState(self.step, self.net.state_dict(), optimizer_tensors(self.optimizer), facts)
        before = next(iter(state_files(self.folder.state)), None)
        write_state(self.folder.state, state)
        if before is not None and self.kept_step != self.step and self._is_sound and before.exists():
            # The state before this one, as the steps since then have shown that it was sound.
            mark_good(before)
        self.state_time, self.kept_step = time.monotonic(), self.step

    def keep_way_back(self) -> None:
        """Keep the present state for a roll-back, before something is changed that may do harm."""
        if self.kept_step != self.step:
            self.keep_state()
        if self._is_sound:
            mark_good(state_files(self.folder.state)[0])

    @property
    def _is_sound(self) -> bool:
        """Whether the losses are as usual, and the learning rate has been in use long enough to have shown its harm."""
        changed = max((step for step, what, _ in self.changes if what == "learning_rate"), default=None)
        return self.sanity.calm and (changed is None or self.step >= changed + PROVEN_STEPS)

    def _restore(self) -> None:
        state, warnings = read_state(self.folder.state)
        for message in warnings:
            self.events.emit("warning", message=message)
        if state is None:
            state, warning = rewound_state(self.folder, self.net)
            if warning:
                self.events.emit("warning", message=warning)
        if state is None:
            self.due = list(FIRST)
            for message in take_earlier_optimizer(self.optimizer, self.net, self.config.network.start_from):
                self.events.emit("warning", message=message)
            return
        check_fits(state, self.prepared, self.folder)
        self.net.load_state_dict(state.weights)
        restore_optimizer(self.optimizer, state.optimizer)
        if state.facts["scaler"]:
            self.scaler.load_state_dict(state.facts["scaler"])
        self.step = self.net.step = self.kept_step = state.step
        self.seconds = state.facts["seconds"]
        self.best_only = state.facts.get("best_only")
        self.due = list(state.facts.get("occasions", ()))
        self.sanity = LossWatch(state.facts.get("losses", ()))
        for step, what, value in state.facts["changes"]:
            self.change(step, what, value)
        if state.facts.get("size", self.config.data.size) != self.config.data.size:
            # Losses of smaller pictures are others: a new beginning for whatever is compared.
            self.sanity = LossWatch()
            self.due = list(FIRST) if self.step == self.prepared.first_step else self.due
            return
        if self.prepared.validator:
            start = state.facts["validation_start"]
            self.prepared.validator.start = {side: {int(t): v for t, v in by.items()} for side, by in start.items()}

    def change(self, step: int, what: str, value: str) -> None:
        """Take another learning rate or preview prompt from a step on.

        Raises:
            ValueError: the rate can't be read.
        """
        if what == "learning_rate":
            self.schedule = Schedule.parse(value, self.config.training.steps, step)
        else:
            self.previewer.prompt = value
        self.changes.append((step, what, value))
