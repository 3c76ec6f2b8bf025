"""Log: the whole story of a run, and what its worker printed."""

import textwrap

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Log, Static

from trainer.run.describe import SILENT
from trainer.run.launch import log_lines
from trainer.text import printable
from tui.feed import RunFeed
from tui.keys import bindings
from tui.messages import Renewed
from tui.screens.base import WizardScreen
from tui.train_text import story_line
from tui.widgets.keyline import KeyLine

REDRAW_S = 1.0
PRINTED_LINES = 500
INDENT = " " * 10
"""Goes on below the text, beside the time of day."""


class LogScreen(WizardScreen):
    """Shows a run's events as lines, the newest last, and goes along with it.

    Args:
        feed: The run, followed by the screen below this one.
    """

    CSS_PATH = "log.tcss"
    PURPOSE = "What happened in the run, and when. What its worker printed, tracebacks too, is behind w."
    BINDINGS = bindings("log.worker", "log.back")
    FOOTER = ("log.worker", "log.back", "app.help", "app.leave")

    def __init__(self, feed: RunFeed) -> None:
        super().__init__()
        self._feed = feed
        self._shows_printed = False
        self._printed: list[str] = []
        self._told: list[str] = []

    def compose(self) -> ComposeResult:
        """Lay out title, lines and keys."""
        yield Static(id="title")
        yield Log(auto_scroll=True, id="lines")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Show the story and keep up with it."""
        self.query_one("#lines").focus()
        self.set_interval(REDRAW_S, self._renew)
        self._renew()

    def on_screen_resume(self) -> None:
        """Draw the keys, which depend on what lies on top."""
        self.draw_keys()

    def name_of(self, id_: str) -> str:
        """Return what the last line calls an action at present."""
        return "the story" if id_ == "log.worker" and self._shows_printed else super().name_of(id_)

    def action_worker(self) -> None:
        """Change between story and output."""
        self._shows_printed = not self._shows_printed
        self._told = []
        self.query_one("#lines", Log).clear()
        self._renew()
        self.draw_keys()

    def action_back(self) -> None:
        """Back to the run."""
        self.dismiss()

    def _renew(self) -> None:
        if self._shows_printed:
            self.in_background(self._read_printed, "reading the worker's output", "printed")
        else:
            self._show([story_line(self._feed.folder, e) for e in self._feed.view.state.log if e["kind"] not in SILENT])

    def _read_printed(self) -> None:
        self._printed = log_lines(self._feed.folder, count=PRINTED_LINES)
        self.post_message(Renewed())

    def on_renewed(self) -> None:
        """Show what was read."""
        if self._shows_printed:
            self._show(self._printed or ["The worker has printed nothing."])

    def on_resize(self) -> None:
        """Fit the lines."""
        self.call_after_refresh(self._renew)

    def _show(self, whole: list[str]) -> None:
        """Add what is new at the end; begin anew when the beginning has changed, by another width for instance."""
        width = max(20, self.size.width - 6)
        lines = [part for line in whole for part in textwrap.wrap(line, width, subsequent_indent=INDENT) or [""]]
        log, before = self.query_one("#lines", Log), self._told
        title = "what the worker printed" if self._shows_printed else "the run's story"
        self.query_one("#title", Static).update(Content(f"{printable(self._feed.folder.title, 60)}  {title}"))
        if lines == before:
            return
        if lines[: len(before)] != before:
            log.clear()
            before = []
        log.write_lines(lines[len(before) :])
        self._told = lines
