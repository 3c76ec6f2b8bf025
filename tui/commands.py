"""Everything that can be done on a screen, for the palette and the help."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from textual.app import SystemCommand
from textual.screen import Screen

from tui.keys import KEYS, Key, key_name
from tui.screens.base import WizardScreen
from tui.screens.step import StepScreen
from tui.steps import present_steps


def commands_of(screen: Screen[Any], *, with_steps: bool) -> Iterable[SystemCommand]:
    """Give the actions of a screen and of the app, with why one can't be done where that is so.

    Args:
        screen: The screen that is shown.
        with_steps: Give also the other steps to jump to.
    """
    for key, names in actions_of(screen):
        reason = screen.why_not(key.action) if isinstance(screen, WizardScreen) else ""
        says = f"Not now: {reason}" if reason else key.tooltip
        yield SystemCommand(f"{key.description}  ({names})", says, _doer(screen, key))
    if with_steps and isinstance(screen, StepScreen):
        for number, step in enumerate(present_steps(), 1):
            if step.id != screen.STEP:
                yield SystemCommand(
                    f"go to {step.title}  ({number})", "Jump to this step", partial(screen.go_to, step.id)
                )


def actions_of(screen: Screen[Any]) -> Iterable[tuple[Key, str]]:
    """Give each action that a screen has, with the names of its keys, in the order of `KEYS`."""
    active: dict[str, list[str]] = {}
    for pressed, binding in screen.active_bindings.items():
        active.setdefault(str(binding.binding.id), []).append(key_name(pressed))
    for key in KEYS:
        if key.id in active and key.id != "app.commands":
            yield key, " ".join(active[key.id])


def _doer(screen: Screen[Any], key: Key) -> Callable[[], Awaitable[bool]]:
    async def do() -> bool:
        return await screen.app.run_action(key.action, screen.app if key.id.startswith("app.") else screen)

    return do
