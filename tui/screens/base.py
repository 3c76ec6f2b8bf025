"""What all screens share: a purpose, keys that say why they can't act, and work outside the interface."""

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, on
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.worker import Worker, WorkerState

from trainer.errors import AppError
from trainer.text import without_options
from tui.keys import key_name, key_of
from tui.problems import reported
from tui.widgets.dialogs import ClosesOnce, Trouble
from tui.widgets.keyline import Hint, KeyLine

TURN_S = 0.001
"""Lets whatever waits have its turn; with 0, timers and keys would wait for one more."""


class WizardScreen(ClosesOnce[None]):
    """A screen of the wizard."""

    PURPOSE: ClassVar[str] = ""
    """What the screen is for, in a sentence or two; the help begins with it."""
    HELP: ClassVar[str] = ""
    """What else there is to know, in paragraphs; the help shows it below the purpose."""
    FOOTER: ClassVar[tuple[str, ...]] = ()
    """Ids of the actions in the last line."""
    _was_shown = False
    _shown_keys: object = None
    """What the last line was made from."""

    def on_compose(self) -> None:
        """Take the classes for the terminal's size before anything is mounted, or all of it would be styled twice."""
        sizes = (self.HORIZONTAL_BREAKPOINTS, self.app.size.width), (self.VERTICAL_BREAKPOINTS, self.app.size.height)
        for breakpoints, size in sizes:
            fitting = [name for least, name in sorted(breakpoints or ()) if size >= least]
            self.add_class(*fitting[-1:], update=False)
        # It was styled before its style sheet was read, where that was not yet.
        self.app.stylesheet.apply(self)

    @on(events.ScreenResume)
    async def style_once(self, event: events.ScreenResume) -> None:
        """Leave out what Textual would style anew the first time: it was styled when it was mounted, just now."""
        event.refresh_styles = event.refresh_styles and self._was_shown
        self._was_shown = True
        # What the screen took over is done, what Textual lays out and paints comes next: between them, keys.
        await asyncio.sleep(TURN_S)

    def _screen_resized(self, size: Size) -> None:
        """Lay out where the size is another one: after each first layout, Textual comes to ask for the same again."""
        if size != self._size:
            super()._screen_resized(size)

    @property
    def is_seen(self) -> bool:
        """Whether the screen is on top, or below dialogs only; what is drawn elsewhere is drawn for nobody."""
        # Textual's own `is_current` is true of whatever lies directly below the top, and would paint both anew.
        stack = self.app.screen_stack
        return self in stack and all(isinstance(above, ModalScreen) for above in stack[stack.index(self) + 1 :])

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now; empty when it can."""
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey what can't be done now."""
        return None if self.why_not(action) else True

    def help_text(self) -> str:
        """Return what the help begins with."""
        return "\n\n".join([self.PURPOSE, *self.HELP.splitlines()])

    def footer(self) -> Sequence[str]:
        """Return the ids of the actions that the last line shows, six at most."""
        return self.FOOTER

    def name_of(self, id_: str) -> str:
        """Return what the last line calls an action at present."""
        return key_of(id_).description

    def draw_keys(self) -> None:
        """Show in the last line which keys there are and which can act."""
        shown = [(id_, self.name_of(id_), not self.why_not(key_of(id_).action)) for id_ in self.footer()]
        if (shown, self.focused) == self._shown_keys:
            return
        self._shown_keys = shown, self.focused
        keys = {active.binding.id: key for key, active in reversed(self.active_bindings.items())}
        self.query_one(KeyLine).show(
            [
                Hint(
                    key_name(keys[id_]),
                    name,
                    f"{'app' if id_.startswith('app.') else 'screen'}.{key_of(id_).action}",
                    can_act,
                )
                for id_, name, can_act in shown
                if id_ in keys
            ]
        )

    def on_key(self, event: events.Key) -> None:
        """Say why a key does nothing."""
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            reason = self.why_not(binding.action)
            if reason:
                event.stop()
                self.notify(reason, title=f"{binding.description}: not now", severity="warning", markup=False)

    def is_busy(self, group: str) -> bool:
        """Tell whether work of a group goes on for this screen."""
        return any(worker.node is self and worker.group == group and not worker.is_finished for worker in self.workers)

    def in_background(self, work: Callable[[], object], description: str, group: str) -> Worker[object]:
        """Run a function in a thread; what a user can mend becomes a dialog, anything else a report."""
        return self.run_worker(
            work, name=description, description=description, group=group, thread=True, exit_on_error=False
        )

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Tell of work that failed."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            error = event.worker.error
            self.show_trouble(error if isinstance(error, AppError) else reported(error))

    def show_trouble(self, error: AppError, then: Callable[[object], None] | None = None) -> None:
        """Show a dialog that says what is wrong.

        Args:
            error: What it is.
            then: Called with None when the dialog is closed.
        """
        told = without_options(error.message), without_options(error.hint)
        self.app.push_screen(Trouble(AppError(error.title, *told)), then)
