"""What a run does when it is told to: commands are obeyed between steps."""

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainer.config import build_config
from trainer.errors import AppError
from trainer.recovery.changes import parse_changes, tree_of
from trainer.run.control import Command
from trainer.run.signals import Stopped
from trainer.schedule import parse_learning_rate, rate_warnings, scaled_rate_text
from trainer.text import printable

if TYPE_CHECKING:
    from trainer.training import Training

POLL_S = 0.2


class SettingsWanted(Exception):
    """The user wants other settings, with which the next worker goes on; the state is saved.

    Args:
        settings: By dotted name.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.settings = settings


def obey(training: "Training") -> None:
    """Carry out the commands that have come, and wait while they say pause.

    Raises:
        SettingsWanted: one of them needs a new worker.
    """
    paused = False
    while True:
        for command in training.commands.take():
            paused = _carry_out(training, command, paused)
        if not paused or training.stop.requested:
            return
        training.stop.wait(POLL_S)


def _carry_out(training: "Training", command: Command, paused: bool) -> bool:
    """Carry out one command; return whether the run is paused now."""
    if command.name == "pause" and not paused:
        training.keep_state()
        training.events.emit("paused", step=training.step)
    elif command.name == "resume" and paused:
        training.events.emit("resumed", step=training.step)
    elif command.name == "save":
        training.save_checkpoint()
        training.keep_state()
    elif command.name == "preview":
        # A stop leaves the picture off, but not the commands that came with it.
        with contextlib.suppress(Stopped):
            training.draw_preview()
    elif command.name == "stop":
        training.stop.request()
    elif command.name == "change_settings":
        _change_settings(training, command.fields["value"])
    elif command.name in ("set_learning_rate", "set_preview_prompt"):
        _try_change(training, command.name.removeprefix("set_"), command.fields["value"])
    return command.name == "pause" or (paused and command.name != "resume")


def _try_change(training: "Training", what: str, given: str) -> None:
    value = given
    try:
        if what == "learning_rate":
            parse_learning_rate(given, training.config.training.steps, training.step)
            training.keep_way_back()
            # A new rate is meant as it is given, whatever recovery has made of the old one.
            value = scaled_rate_text(given, 1 / training.config.optimizer.rate_scale, digits=17)
        training.change(training.step, what, value)
    except ValueError as error:
        training.events.emit("warning", message=f"{what} stays as it was: {printable(given, 100)} {error}")
        return
    training.keep_state()
    training.events.emit("changed", step=training.step, what=what, value=value, given=given)
    if what == "learning_rate":
        config = training.config
        for doubt in rate_warnings(given, config.training.steps, config.data.size, training.step):
            training.events.emit("warning", message=f"learning rate {doubt}")


def _change_settings(training: "Training", text: str) -> None:
    try:
        settings = parse_changes(text.splitlines())
        build_config(training.config.model_dump(), tree_of(settings))
    except AppError as error:
        training.events.emit("warning", message=f"The settings stay as they were: {printable(error)}")
        return
    training.keep_state()
    raise SettingsWanted(settings)
