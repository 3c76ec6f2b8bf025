"""Recover: a run asks how to go on; the best way is preselected, and Enter takes it."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import OptionList
from textual.worker import Worker, WorkerState

from trainer.run.status import Status
from trainer.text import printable
from tui.feed import RunFeed
from tui.keys import bindings
from tui.messages import LogWanted
from tui.question import Asked, asked_of, clock_text, meaning, meanings, option_lines
from tui.screens.base import WizardScreen
from tui.widgets.keyline import KeyLine
from tui.widgets.line import Line
from tui.widgets.rows import Row, RowList
from tui.words import fit

if TYPE_CHECKING:
    from trainer.run.facts import Question

REDRAW_S = 1.0
WAIT = "wait"
"""Id of the choice that leaves the question open until there is room."""


class RecoverScreen(WizardScreen):
    """Shows a run's open question; closes when it was answered, here or elsewhere.

    Args:
        feed: The run, followed by the screen below this one.
        clock: Gives UTC seconds.
    """

    CSS_PATH = "recover.tcss"
    PURPOSE = (
        "The run met something that only you may decide. Whatever you choose, it goes on from a saved state; the "
        "screen says what is computed again. Up and Down or a digit choose, Enter goes on with the choice."
    )
    BINDINGS = bindings("recover.accept", "recover.log", "recover.back")
    FOOTER = ("recover.accept", "recover.log", "recover.back", "app.help", "app.leave")

    def __init__(self, feed: RunFeed, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._feed = feed
        self._clock = clock
        self._asked: Asked | None = None
        self._sent = ""
        self._waits = False
        self._is_placed = False

    def compose(self) -> ComposeResult:
        """Lay out heading, what happened, choices, clock and keys."""
        yield Line(id="head")
        with VerticalScroll(id="story", can_focus=False):
            yield Line(id="text")
            yield Line(id="details")
        yield RowList(id="choices")
        yield Line(id="meaning", keeps_place=True)
        yield Line(id="clock")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Show the question and keep an eye on it."""
        self.query_one("#choices").focus()
        self.set_interval(REDRAW_S, self._look)

    def on_screen_resume(self) -> None:
        """Catch up after the log or a dialog, which may have outlasted the question."""
        self._look()

    def on_resize(self) -> None:
        """Fit the lines."""
        self.call_after_refresh(self._look)

    @property
    def _question(self) -> "Question | None":
        return self._feed.view.state.question

    def _look(self) -> None:
        if not self.is_seen:
            return
        question = self._question
        if question is None or self._feed.view.status is Status.LOST:
            # Behind a dialog it waits for that to be closed.
            if self.app.screen is self:
                self._close_answered()
            return
        if self._asked is None or self._asked.id != question.id:
            self._sent, self._waits, self._is_placed = "", False, False
        self._asked = asked_of(question)
        self._draw(self._asked)

    def _close_answered(self) -> None:
        if not self._sent:
            self.app.notify(f"The question is closed: {self._why_closed()}.", markup=False)
        self.dismiss()

    def _why_closed(self) -> str:
        if self._feed.view.status is Status.LOST:
            return "the run's process is gone"
        told = [event for event in self._feed.view.state.log[-50:] if event["kind"] == "answered"]
        by = str(told[-1].get("by")) if told else ""
        return {"time-out": "nobody answered in time", "policy": "the run goes on by itself"}.get(by, "it was answered")

    def _draw(self, asked: Asked) -> None:
        width = max(20, self.size.width - 4)
        name = printable(self._feed.folder.name, 24)
        head = f"{name}   {asked.heading}"
        room = width - len(head) - len(asked.lost)
        self._say("head", fit(head + " " * room + asked.lost if room >= 3 else head, width).rstrip())
        lost = asked.lost if room < 3 else ""
        self._say("text", " ".join(part for part in (asked.text, lost) if part))
        self._say("details", asked.details)
        choices = self.query_one("#choices", RowList)
        lines = option_lines(asked, choices.row_width)
        choices.show_rows([Row(f"choice:{place}", line) for place, line in enumerate(lines)])
        if not self._is_placed and lines:
            choices.highlighted, self._is_placed = asked.default_place, True
        self._say("clock", self._standing() or clock_text(asked, self._clock()))
        self.draw_keys()

    @on(OptionList.OptionHighlighted)
    def explain_choice(self) -> None:
        """Say what the choice under the cursor means, by its whole name."""
        place = self.query_one("#choices", RowList).highlighted
        if self._asked is not None and place is not None and place < len(self._asked.options):
            self._say("meaning", meaning(self._asked.options[place]))

    def _standing(self) -> str:
        if self._waits:
            return "Waiting: the run goes on by itself when there is room. Another choice still counts."
        return f"Answered: {self._sent}. The run goes on within seconds." if self._sent else ""

    def _say(self, id_: str, text: str) -> None:
        self.query_one(f"#{id_}", Line).say(text)

    def help_text(self) -> str:
        """Return what the screen is for and what each choice means."""
        explained = meanings(self._asked) if self._asked else ""
        return f"{self.PURPOSE}\n\n{explained}".rstrip()

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        if action == "accept" and self._sent:
            return "The answer is on its way."
        if action == "accept" and not (self._asked and self._asked.options):
            return "There is nothing to choose from."
        return ""

    def on_key(self, event: events.Key) -> None:
        """Choose by a digit; the base class, called as well, says why a key does nothing."""
        if event.key.isdecimal() and self._asked and 0 < int(event.key) <= len(self._asked.options):
            self.query_one("#choices", RowList).highlighted = int(event.key) - 1
            event.stop()

    def action_accept(self) -> None:
        """Go on with the choice."""
        place = self.query_one("#choices", RowList).highlighted
        if self._asked is None or place is None or self._sent:
            return
        asked, option = self._asked, self._asked.options[place]
        # Who waits may think better of it; any other answer is final.
        self._waits = option.id == WAIT
        self._sent = "" if self._waits else option.title
        self._look()

        def work() -> None:
            from trainer.run.control import send

            send(self._feed.folder, "answer", question=asked.id, choice=option.id)

        self.in_background(work, "sending the answer", "answer")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Let an answer that could not be sent be given again; the base class, called as well, says why."""
        if event.worker.group == "answer" and event.state is WorkerState.ERROR:
            self._sent, self._waits = "", False

    def action_log(self) -> None:
        """Show the whole log."""
        self.post_message(LogWanted(self._feed))

    def action_back(self) -> None:
        """Back to the run; the question stays open."""
        self.dismiss()
