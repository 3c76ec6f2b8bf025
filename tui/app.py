"""The wizard as a Textual program: it shows screens, passes on what they ask for, and dies with its terminal."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste
from textual.filter import LineFilter
from textual.notifications import Notify
from textual.screen import Screen
from textual.worker import get_current_worker

from trainer.errors import AppError
from trainer.text import printable
from tui.glyphs import GlyphFilter, ascii_only, console_font
from tui.key_order import KeyOrder
from tui.keys import bindings, key_name, keymap_path, read_keymap, use_keymap
from tui.messages import (
    CellTaken,
    GridWanted,
    JourneyWanted,
    LogWanted,
    QuestionOpen,
    ResultsWanted,
    RunChosen,
    StepsLeft,
    StepWanted,
)
from tui.screens.base import WizardScreen
from tui.screens.home import HomeScreen
from tui.theme import THEME
from tui.widgets.dialogs import Trouble

if TYPE_CHECKING:
    from trainer.run.folder import RunFolder
    from tui.journey import Journey
    from tui.overlay import Overlay
    from tui.terminal_pictures import Drawing

STYLES = "theme.tcss", "screens/home.tcss"
LOAD_AHEAD_S = 0.5
"""After the first frame and the first look at projects."""


class WizardApp(App[None], inherit_bindings=False):
    """The wizard.

    Args:
        ascii_only: Send nothing but ASCII to the terminal.
        keymap_file: The user's own keys; `keys.toml` in the configuration folder when left out.
        demo: Go to the demo at once.
        drawing: How pictures are drawn; as half blocks when left out.
    """

    TITLE = "Hypernet Wizard"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("app.help", "app.commands", "app.doctor", "app.leave"),
        Binding("ctrl+c", "say_how_to_leave", show=False),
    ]
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self,
        *,
        ascii_only: bool = False,
        keymap_file: Path | None = None,
        demo: bool = False,
        drawing: "Drawing | None" = None,
    ) -> None:
        # With NO_COLOR Textual's own colours would turn to greys; this leaves plain attributes.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        self.animation_level = "none"
        self.register_theme(THEME)
        self.theme = THEME.name
        self.is_ascii_only = ascii_only
        self._begins_demo = demo
        self._keymap_file = keymap_file
        self._seen: RunFolder | None = None
        self._journey: Journey | None = None
        self._glyphs = _glyph_filter(ascii_only)
        self._drawing = drawing
        self._overlay: Overlay | None = None
        self._keys = KeyOrder(self, super().on_event)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Add the replacement of what the terminal can't draw."""
        return [*super().get_line_filters(), *([self._glyphs] if self._glyphs else [])]

    def get_key_display(self, binding: Binding) -> str:
        """Write keys as people do."""
        return key_name(binding.key)

    async def on_event(self, event: Event) -> None:
        """Take keys one by one."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self._keys.take(event)
        else:
            await super().on_event(event)

    def on_mount(self) -> None:
        """Show Home."""
        # As the app's CSS_PATH they would be parsed three times before the first frame.
        self.stylesheet.read_all([Path(__file__).resolve().parent / name for name in STYLES])
        self.screen_change_signal.subscribe(self, self.drop_notices, immediate=True)
        keymap, problem = read_keymap(self._keymap_file or keymap_path())
        use_keymap(keymap)
        self.set_keymap(keymap)
        self.push_screen(HomeScreen(begins_demo=self._begins_demo))
        self.set_timer(LOAD_AHEAD_S, self._load_ahead)
        if problem is not None:
            self.push_screen(Trouble(problem))
        if self._drawing is not None and self._drawing.notice:
            self.notify(self._drawing.notice, severity="warning", markup=False)

    @on(Notify)
    def drop_notices(self, _: object) -> None:
        """Take away what was told before: there is one notice at a time, and none outlives its screen."""
        self.clear_notifications()
        for screen in self.screen_stack:
            # Textual leaves the holder of a notice that is cleared, an empty row each.
            screen.query("ToastHolder").remove()

    def post_display_hook(self) -> None:
        """Put real pictures over the half blocks of a frame, where the user wants them and the terminal can."""
        if self._drawing is None or not self._drawing.has_pixels or not self.screen_stack:
            return
        if self._overlay is None:
            from tui.overlay import Overlay

            self._overlay = Overlay(self, self._drawing)
        self._overlay.draw()

    def _load_ahead(self) -> None:
        """Load what the first look at each screen would wait for."""
        from tui.ahead import load_modules, load_styles

        def load() -> None:
            worker = get_current_worker()
            load_modules(lambda: worker.is_cancelled)

        self.run_worker(
            load,
            description="loading screens",
            group="load",
            thread=True,
            exit_on_error=False,
        )
        self.run_worker(
            load_styles(self.stylesheet), description="loading style sheets", group="load", exit_on_error=False
        )

    @on(RunChosen)
    def show_run(self, message: RunChosen) -> None:
        """Show a run."""
        from trainer.run.status import Status, glance
        from tui.screens.results import ResultsScreen
        from tui.screens.train import TrainScreen

        self._seen = message.folder
        self.end_journey()
        while isinstance(self.screen, ResultsScreen | TrainScreen):
            self.pop_screen()
        look = glance(message.folder)
        if look.status is Status.FINISHED and (look.state.saved or look.state.previews):
            self.push_screen(ResultsScreen(message.folder, plain=self.is_plain))
            return
        self.push_screen(TrainScreen(message.folder, plain=self.is_plain))

    @on(ResultsWanted)
    def show_results(self, message: ResultsWanted) -> None:
        """Show what came of a run."""
        from tui.screens.results import ResultsScreen

        self.end_journey()
        self.push_screen(ResultsScreen(message.folder, plain=self.is_plain))

    @property
    def is_plain(self) -> bool:
        """Whether pictures must be drawn with characters only."""
        return self.is_ascii_only or self.no_color

    @on(JourneyWanted)
    def begin_journey(self, message: JourneyWanted) -> None:
        """Show a step of a project."""
        from tui.journey import Journey

        self.end_journey()
        self._journey = Journey(message.project, self.is_plain)
        self._show_step(self._journey, message.step)

    @on(StepWanted)
    def show_step(self, message: StepWanted) -> None:
        """Show another step in the place of the present one; not over a dialog, which would lose what it asks."""
        if self._journey is not None and self.screen in self._journey.screens.values():
            self._show_step(self._journey, message.id)

    def _show_step(self, journey: "Journey", id_: str) -> None:
        from tui.steps import STEPS, screen_class

        is_first = not journey.screens
        if id_ not in journey.screens:
            screen = screen_class(next(step for step in STEPS if step.id == id_))(journey)
            journey.screens[id_] = screen
            # An installed screen stays as it is while another one is shown.
            self.install_screen(screen, f"step-{id_}")
        self._remember(journey, id_)
        if is_first:
            self.push_screen(journey.screens[id_])
        else:
            self.switch_screen(journey.screens[id_])

    def _remember(self, journey: "Journey", id_: str) -> None:
        """Write down where the user is, to go on from there another day."""
        if journey.project is None or journey.project.config.step == id_:
            return
        try:
            journey.project = journey.project.update(step=id_)
        except AppError as error:
            self.notify(str(error), severity="warning", markup=False)

    @on(StepsLeft)
    def end_journey(self) -> None:
        """Leave the steps."""
        journey, self._journey = self._journey, None
        if journey is None:
            return
        shown = next((screen for screen in self.screen_stack if screen in journey.screens.values()), None)
        while shown in self.screen_stack:
            self.pop_screen()
        for screen in journey.screens.values():
            self.uninstall_screen(screen)
            if screen is not shown:
                screen.remove()

    @on(LogWanted)
    def show_log(self, message: LogWanted) -> None:
        """Show a run's log."""
        from tui.screens.log import LogScreen

        self.push_screen(LogScreen(message.feed))

    @on(GridWanted)
    def show_grid(self, message: GridWanted) -> None:
        """Show the grid of a run."""
        from tui.screens.grid import GridScreen

        self.push_screen(GridScreen(message.feed, plain=self.is_plain))

    @on(CellTaken)
    def take_cell(self, message: CellTaken) -> None:
        """Go on in the results with what was taken in the grid."""
        from tui.screens.grid import GridScreen
        from tui.screens.results import ResultsScreen

        if isinstance(self.screen, GridScreen):
            self.pop_screen()
        if isinstance(self.screen, ResultsScreen):
            self.screen.take(message.step, message.strength)

    @on(QuestionOpen)
    def show_question(self, message: QuestionOpen) -> None:
        """Show what a run asks."""
        from tui.screens.recover import RecoverScreen

        self.push_screen(RecoverScreen(message.feed))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Give every action of the screen and of the app, and on a step the other steps."""
        from tui.commands import commands_of

        is_step = self._journey is not None and screen in self._journey.screens.values()
        return commands_of(screen, with_steps=is_step)

    def action_help(self) -> None:
        """Explain the screen, and its keys or those of the dialog that lies over it."""
        from tui.commands import actions_of
        from tui.screens.help import HelpScreen

        below = next((screen for screen in reversed(self.screen_stack) if isinstance(screen, WizardScreen)), None)
        if below is not None:
            actions = sorted(actions_of(self.screen), key=lambda action: action[0].id.startswith("app."))
            keys = [(names, key.description, key.tooltip) for key, names in actions]
            self.push_screen(HelpScreen(below.help_text(), keys))

    def action_commands(self) -> None:
        """Search all actions."""
        self.action_command_palette()

    def action_doctor(self) -> None:
        """Look at this machine."""
        from tui.screens.doctor import DoctorScreen

        if isinstance(self.screen, WizardScreen) and not isinstance(self.screen, DoctorScreen):
            self.push_screen(DoctorScreen(plain=self.is_plain))

    def action_say_how_to_leave(self) -> None:
        """Say what Ctrl+C no longer does."""
        self.notify("Ctrl+Q leaves the wizard; runs go on.", markup=False)

    def action_leave(self) -> None:
        """Leave; runs go on."""
        self.exit()

    @property
    def goodbye(self) -> str:
        """What to print when the wizard has closed; empty when nothing runs."""
        from trainer.run.status import read_status

        if self._seen is None or not read_status(self._seen).is_live:
            return ""
        return f"The run goes on; `hypernet attach {printable(self._seen.title)}` or the wizard come back to it."


def _glyph_filter(all_ascii: bool) -> GlyphFilter | None:
    if all_ascii:
        return GlyphFilter(ascii_only)
    return GlyphFilter(console_font) if os.environ.get("TERM") == "linux" else None
