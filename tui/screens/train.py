"""Train: a run, live or past, as it is told by its events."""

import asyncio

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.worker import get_current_worker

from trainer.run.folder import RunFolder
from trainer.run.status import Status
from trainer.text import printable
from tui import jobs
from tui.feed import Read, RunFeed, RunView
from tui.gauges import gauge_lines, gpu_of
from tui.keys import bindings, key_for
from tui.messages import CommandSent, LogWanted, QuestionOpen, ResultsWanted
from tui.screens.base import WizardScreen
from tui.screens.train_edit import edit_fields
from tui.train_text import figures_text, head_text, notice_text, tail_lines
from tui.widgets.curve import LossCurve
from tui.widgets.dialogs import Confirm, Edit
from tui.widgets.keyline import KeyLine
from tui.widgets.line import Line
from tui.widgets.preview_pane import PreviewPane
from tui.words import status_word

REDRAW_S = 1.0
_TRAINING = (Status.RUNNING, Status.PAUSED)
_LIVE_KEYS = ("train.pause", "train.save", "train.preview", "train.edit", "train.stop", "app.leave")
_ASKING_KEYS = ("train.answer", "train.log", "train.stop", "train.back", "app.help", "app.leave")
_FINISHED_KEYS = ("train.results", "train.log", "train.back", "app.help", "app.leave")
_ENDED_KEYS = ("train.resume", "train.results", "train.log", "train.back", "app.help", "app.leave")


class TrainScreen(WizardScreen):
    """Follows one run; leaving it never stops the run.

    Args:
        folder: The run.
        read_gauges: Takes readings of the machine; the real ones when left out.
        plain: Draw pictures with characters only.
    """

    CSS_PATH = "train.tcss"
    PURPOSE = (
        "How a run goes: the loss should fall and level off, and the previews should grow towards your pictures. "
        "The run is a process of its own; it goes on when you leave.\n\n"
        "In the plot, dots are the losses of single steps and the line is their mean, on the left axis. Each x is a "
        "validation: the loss on pictures held out from training, in percent of what it was before, on the right axis. "
        "B marks the step to use: the first that is as good as the best, as less training copies less."
    )
    BINDINGS = bindings(
        "train.pause", "train.save", "train.preview", "train.edit", "train.stop", "train.resume", "train.answer",
        "train.log", "train.results", "train.earlier", "train.later", "train.freeze", "train.back",
    )  # fmt: skip

    def __init__(self, folder: RunFolder, read_gauges: Read | None = None, *, plain: bool = False) -> None:
        super().__init__()
        self.feed = RunFeed(folder, read_gauges)
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]
        self._plain = plain
        self._view = RunView()
        self._frozen = False
        self._waiting: dict[str, str] = {}
        self._pausing: bool | None = None
        """Whether the run shall pause, as long as it isn't seen to."""
        self._asked_id = ""

    def compose(self) -> ComposeResult:
        """Lay out head, plot, picture, gauges, log and keys."""
        yield Line(id="head")
        yield Line(id="notice")
        with Horizontal(id="middle"):
            yield LossCurve(id="curve")
            yield PreviewPane(self.feed.folder, plain=self._plain, id="preview")
        yield Line(id="figures")
        yield Line(id="gauges")
        yield Line(id="tail", keeps_place=True)
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Begin to follow."""
        self._follow()
        self._draw()

    def on_screen_resume(self) -> None:
        """Catch up after a dialog or the log; after a dialog that says why the log can't be read, try again."""
        if not self.is_busy("follow"):
            self._follow()
        self._draw()

    def on_resize(self) -> None:
        """Fit the lines."""
        self.call_after_refresh(self._draw)

    @property
    def _pane(self) -> PreviewPane:
        return self.query_one("#preview", PreviewPane)

    @work(name="follow", group="follow", description="reading the run's log", exit_on_error=False)
    async def _follow(self) -> None:
        """Read and draw once a second: one worker for all of it, as a new one a second would cost as much again."""
        following = get_current_worker()
        while True:
            reading = asyncio.create_task(asyncio.to_thread(self.feed.advance, lambda: following.is_cancelled))
            while not (await asyncio.wait({reading}, timeout=REDRAW_S))[0]:
                self._draw()
            reading.result()
            self._draw()
            await asyncio.sleep(REDRAW_S)

    def _draw(self) -> None:
        if not self._frozen:
            self._view = self.feed.view
        if not self.is_seen:
            return
        view, width = self._view, max(20, self.size.width - 4)
        self._forget_acknowledged()
        if self._pausing is (view.status is Status.PAUSED) or view.status not in _TRAINING:
            self._pausing = None
        self.set_class(not view.status.is_live, "-over")
        self._say("head", head_text(self.feed.folder, view, width, self._frozen, self._pauses))
        self._say("notice", notice_text(self.feed.folder, view, self._waiting))
        self._say("figures", "\n".join(figures_text(view, width)))
        self.query_one("#curve", LossCurve).show(view.state, view.verdict)
        self._draw_gauges(width)
        rows = max(1, self.query_one("#tail").size.height)
        self._say("tail", "\n".join(tail_lines(self.feed.folder, view.state, rows, width)))
        self._pane.show(view.state.previews)
        self.draw_keys()
        self._show_question()

    def _show_question(self) -> None:
        """Open what the run asks, once by itself."""
        question = self.feed.view.state.question
        if question is not None and not self.why_not("answer") and question.id != self._asked_id:
            self.action_answer()

    def _say(self, id_: str, text: str) -> None:
        self.query_one(f"#{id_}", Line).say(text)

    def _draw_gauges(self, width: int) -> None:
        gauges, worker = self._view.gauges, self._view.state.worker
        if gauges is None:
            there = printable(worker.host, 60) if worker is not None and self._view.status.is_live else ""
            self._say("gauges", f"The run is on {there}; its gauges can't be read here." if there else "")
            return
        gpu = gpu_of(gauges, worker.device if worker else "")
        self._say("gauges", "\n".join(gauge_lines(gauges, gpu, width)))

    def _forget_acknowledged(self) -> None:
        if self._waiting:
            taken = {event.get("id") for event in self._view.state.log[-50:] if event["kind"] == "ack"}
            self._waiting = {id_: name for id_, name in self._waiting.items() if id_ not in taken}

    def footer(self) -> tuple[str, ...]:
        """Return other keys for a run that has ended."""
        if self._view.status is Status.NEEDS_YOU:
            return _ASKING_KEYS
        if self._view.status is Status.FINISHED:
            return _FINISHED_KEYS
        return _LIVE_KEYS if self._view.status.is_live or not self._view.is_whole else _ENDED_KEYS

    def name_of(self, id_: str) -> str:
        """Return what the last line calls an action at present."""
        status = self._view.status
        if id_ == "train.pause" and self._pauses:
            return "go on"
        if id_ == "app.leave" and status.is_live:
            return "leave (the run goes on)"
        return super().name_of(id_)

    @property
    def _pauses(self) -> bool:
        """Whether the run is paused, or was told to: a second key takes the first back, also before it is obeyed."""
        return self._view.status is Status.PAUSED if self._pausing is None else self._pausing

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        status, previews = self._view.status, self._view.state.previews
        if action in ("pause", "save", "preview", "edit") and status not in _TRAINING:
            return _not_training(status)
        if action == "stop" and (not status.is_live or status is Status.STOPPING):
            return _not_training(status)
        if action == "answer" and self.feed.view.status is not Status.NEEDS_YOU:
            return "The run asks nothing."
        if action == "resume":
            return self._why_not_resume(status)
        if action in ("earlier", "later") and len(previews) < 2:
            return "There is no other preview yet."
        if action == "later" and self._pane.is_newest:
            return "This is the newest preview."
        if action == "earlier" and self._pane.is_first:
            return "This is the first preview."
        return ""

    def _why_not_resume(self, status: Status) -> str:
        if status is Status.PAUSED:
            return "It is paused: p lets it go on."
        if status is Status.FINISHED:
            return "It has made all its steps."
        if self.is_busy("start"):
            return "It is being started already."
        return "" if status.can_resume else "It runs already."

    def action_pause(self) -> None:
        """Pause, or go on."""
        self._pausing = not self._pauses
        self._send("pause" if self._pausing else "resume")

    def action_save(self) -> None:
        """Save a checkpoint."""
        self._send("save")

    def action_preview(self) -> None:
        """Draw a preview, and show it when it comes."""
        self._pane.follow()
        self._send("preview")

    def action_stop(self) -> None:
        """Stop the run, after a question; one that shows no sign of life can only be killed."""
        if self._view.status is Status.STALLED:
            self._ask_to_kill()
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._send("stop")

        text = (
            "It saves at the step it has reached by then, and ends. "
            f"{key_for('train.resume')} goes on from there, as if it had never stopped."
        )
        self.app.push_screen(Confirm("Stop the run?", text, "Stop"), answered)

    def _ask_to_kill(self) -> None:
        from trainer.run.lock import kill_worker

        def answered(yes: bool | None) -> None:
            if yes:
                self.in_background(lambda: kill_worker(self.feed.folder), "killing the worker", "send")

        text = (
            "It shows no sign of life, so it can't save any more. "
            f"{key_for('train.resume')} goes on from the last state; the steps since then are computed again."
        )
        self.app.push_screen(Confirm("Kill the worker?", text, "Kill"), answered)

    def action_edit(self) -> None:
        """Change what may change while the run goes on."""
        before = {"set_learning_rate": self._view.learning_rate, "set_preview_prompt": self._view.preview_prompt}
        size = self.feed.number("data", "size", 512)

        def accepted(changed: dict[str, str] | None) -> None:
            for command, value in (changed or {}).items():
                self._send(command, value=value)

        is_first = self._view.learning_rate == self.feed.text("optimizer", "learning_rate")
        falls = is_first and self.feed.text("optimizer", "schedule") == "cosine"
        fields = edit_fields(before, size, lambda: self.feed.view.state, falls)
        self.app.push_screen(Edit("Change from the next step on", fields), accepted)

    def action_resume(self) -> None:
        """Start a new worker on the run; where the same memory would run out again, ask first."""
        self._frozen = False
        self._draw()
        if self._view.status is not Status.OUT_OF_MEMORY or not jobs.is_pinned(self.feed.folder):
            self._resume()
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._resume(unpinned=True)

        text = "Memory ran out, and memory.rung is pinned: the same again would end the same. Unpinned, it takes less."
        self.app.push_screen(Confirm("Let the run take less memory?", text, "Unpin and go on"), answered)

    def _resume(self, *, unpinned: bool = False) -> None:
        def work() -> None:
            worker = get_current_worker()
            jobs.resume(self.feed.folder, unpinned=unpinned)
            jobs.watch_start(self.feed.folder, lambda: worker.is_cancelled)

        self.in_background(work, "starting a worker", "start")
        self.notify("A worker is being started.", title="resume", markup=False)

    def action_answer(self) -> None:
        """Show what the run asks."""
        self._frozen = False
        question = self.feed.view.state.question
        if question is not None:
            self._asked_id = question.id
            self.post_message(QuestionOpen(self.feed))

    def action_log(self) -> None:
        """Show the whole log."""
        self.post_message(LogWanted(self.feed))

    def action_results(self) -> None:
        """Show what came of the run."""
        self.post_message(ResultsWanted(self.feed.folder))

    def action_earlier(self) -> None:
        """Show the preview before."""
        self._pane.step(-1)

    def action_later(self) -> None:
        """Show the next preview; after the last, follow the newest."""
        self._pane.step(1)

    def action_freeze(self) -> None:
        """Stop or go on drawing."""
        self._frozen = not self._frozen
        self._draw()

    def action_back(self) -> None:
        """Leave the run to itself."""
        self.dismiss()

    def _send(self, command: str, **fields: str) -> None:
        from trainer.run.control import send

        self.in_background(
            lambda: self.post_message(CommandSent(send(self.feed.folder, command, **fields), command)),
            f"sending {command}",
            "send",
        )

    @on(CommandSent)
    def wait_for_worker(self, message: CommandSent) -> None:
        """Say that a command is under way until the worker acknowledges it."""
        self._waiting[message.id] = message.command
        self._draw()


def _not_training(status: Status) -> str:
    if status is Status.STARTING:
        return "The worker is still starting."
    if status is Status.NEEDS_YOU:
        return f"The run waits for an answer: {key_for('train.answer')} shows the ways to go on."
    return f"The run is {status_word(status)}" + (f"; {key_for('train.resume')} goes on." if status.can_resume else ".")
