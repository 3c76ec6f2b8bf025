"""Results: which step is best, how it compares, what it draws, and how to take it to where it is used."""

import os
from pathlib import Path

from PIL import Image
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static
from textual.worker import get_current_worker

from trainer.run.folder import RunFolder
from trainer.run.status import Status
from trainer.verdict import Verdict, judge_training
from tui.feed import RunFeed, RunView
from tui.keys import bindings
from tui.messages import GridWanted, LogWanted, Renewed
from tui.previews import usual_prompt
from tui.results import (
    STRONGEST,
    WEAKEST,
    Stage,
    caption_text,
    fetch_line,
    head_text,
    network_name,
    shown_preview,
    stages_of,
    tag_of,
    verdict_text,
)
from tui.screens.results_forms import try_fields
from tui.screens.results_uses import ResultUses
from tui.tryout import Tryout, try_text
from tui.upload import own_address
from tui.widgets.curve import LossCurve
from tui.widgets.dialogs import Edit
from tui.widgets.filmstrip import Filmstrip
from tui.widgets.keyline import KeyLine
from tui.widgets.line import Line
from tui.widgets.picture import Picture, load_picture

LOOK_S = 0.5
_Loaded = tuple[Path | None, Image.Image | None]
_UNSAVED = "This step has no checkpoint; move to one that has."


class ResultsScreen(ResultUses):
    """Shows what came of a run.

    Args:
        folder: The run.
        plain: Draw pictures with characters only.
    """

    CSS_PATH = "results.tcss"
    PURPOSE = (
        "What came of the run: the verdict, the previews from the first to the last with the best step marked (★), and "
        "everything to do with a step: compare it, try it on a prompt, go on from it, install it, fetch it."
    )
    BINDINGS = bindings(
        "results.earlier", "results.later", "results.best", "results.compare", "results.stronger", "results.weaker",
        "results.try", "results.grid", "results.rewind", "results.install", "results.export", "results.report",
        "results.copy-tag", "results.fetch", "results.log", "results.back",
    )  # fmt: skip
    FOOTER = ("results.compare", "results.try", "results.grid", "results.install", "app.help", "results.back")

    def __init__(self, folder: RunFolder, *, plain: bool = False) -> None:
        super().__init__(RunFeed(folder))
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]
        self._plain = plain
        self._view = RunView()
        self._verdict: Verdict = judge_training(self._view.state)
        self._stages: list[Stage] = []
        self._step: int | None = None
        self._beside: int | None = None
        self._tenths = 10
        self._tryout: Tryout | None = None
        self._wanted: dict[str, Path | None] = {}
        self._loaded: dict[str, _Loaded] = {}
        self._shown: dict[str, _Loaded] = {}

    def compose(self) -> ComposeResult:
        """Lay out head, verdict, filmstrip, pictures and keys."""
        yield Line(id="head")
        yield Line(id="verdict")
        yield Filmstrip(plain=self._plain, id="strip")
        with Horizontal(id="middle"):
            for side in ("left", "right"):
                with Vertical(id=side, classes="side"):
                    yield Picture(plain=self._plain, id=f"{side}-picture")
                    yield Static(id=f"{side}-caption", classes="caption")
            yield LossCurve(id="curve")
        yield Line(id="use")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Read the run's log, and keep an eye on it and on what is being tried."""
        self.set_interval(LOOK_S, self._look)
        self._look()
        self._draw()

    def on_unmount(self) -> None:
        """Let the drawing process leave."""
        if self._tryout is not None:
            self._tryout.close()

    def on_screen_resume(self) -> None:
        """Catch up after a dialog."""
        self._draw()

    def on_resize(self) -> None:
        """Fit the lines."""
        self.call_after_refresh(self._draw)

    def _look(self) -> None:
        # Not below a dialog: one that says why the log can't be read would get a second one on top.
        is_due = self.app.screen is self and (not self._view.is_whole or self._view.status.is_live)
        if is_due and not self.is_busy("follow"):
            self.in_background(self._advance, "reading the run's log", "follow")
        if self._tryout is not None and self._tryout.view.is_waiting and not self.is_busy("try"):
            self.in_background(self._look_at_try, "waiting for a picture", "try")
        self._say_head()

    def _advance(self) -> None:
        worker = get_current_worker()
        self.feed.advance(lambda: worker.is_cancelled)
        view = self.feed.view
        verdict = judge_training(view.state)
        self._stages, self._verdict = stages_of(self.feed.folder, view.state, verdict), verdict
        self._view = view
        self.post_message(Renewed())

    def _look_at_try(self) -> None:
        assert self._tryout is not None
        self._tryout.look()
        self.post_message(Renewed())

    @property
    def _place(self) -> int:
        """Where the chosen step stands: the best one first, without one the last."""
        steps = [stage.step for stage in self._stages]
        if self._step in steps:
            return steps.index(self._step)
        return next((place for place, stage in enumerate(self._stages) if stage.is_best), len(steps) - 1)

    @property
    def stage(self) -> Stage | None:
        """The chosen step."""
        return self._stages[self._place] if self._stages else None

    @property
    def strength(self) -> float:
        """The strength of the tag and of what is tried."""
        return self._tenths / 10

    @on(Renewed)
    def _draw(self) -> None:
        if not self.is_seen:
            return
        view = self._view
        self._say_head()
        self.query_one("#verdict", Line).say(verdict_text(self._verdict, 6 if self.size.height >= 30 else 2))
        self.query_one("#strip", Filmstrip).show(self._stages, self._place)
        self.query_one("#curve", LossCurve).show(view.state, self._verdict)
        self._draw_left()
        self._draw_right()
        self.query_one("#use", Line).say(self._use_text())
        self.draw_keys()

    def _say_head(self) -> None:
        doing = f"   {self.doing}" if self.doing else ""
        head = head_text(
            self.feed.folder, self._view.state, self._view.status, max(20, self.size.width - 4 - len(doing))
        )
        self.query_one("#head", Line).say(head + doing)

    def _draw_left(self) -> None:
        stage = self.stage
        if stage is None:
            text = "Nothing was drawn or saved yet." if view_is_whole(self._view) else "Reading the run's past…"
            self._show_side("left", None, text)
            return
        shown = shown_preview(self._stages, self._place)
        self._show_side("left", shown[1] if shown else None, caption_text(stage, shown))

    def _draw_right(self) -> None:
        tried = self._tryout.view if self._tryout else None
        places = {stage.step: place for place, stage in enumerate(self._stages)}
        self.query_one("#right").display = tried is not None or self._beside in places
        if tried is not None:
            self._show_side("right", tried.picture, try_text(tried))
        elif self._beside is not None and self._beside in places:
            place = places[self._beside]
            shown = shown_preview(self._stages, place)
            self._show_side("right", shown[1] if shown else None, caption_text(self._stages[place], shown))

    def _show_side(self, side: str, path: Path | None, text: str) -> None:
        self.query_one(f"#{side}-caption", Static).update(Content(text))
        if path != self._wanted.get(side):
            self._wanted[side] = path
            self.run_worker(
                lambda: self._load_side(side, path),
                description="reading a picture",
                group=f"picture-{side}",
                exclusive=True,
                thread=True,
                exit_on_error=False,
            )
        loaded = self._loaded.get(side)
        if loaded is not None and loaded[0] == path and self._shown.get(side) is not loaded:
            self._shown[side] = loaded
            self.query_one(f"#{side}-picture", Picture).show(
                loaded[1], "can't be read" if path and not loaded[1] else ""
            )

    def _load_side(self, side: str, path: Path | None) -> None:
        loaded = load_picture(path) if path else None
        self._loaded[side] = path, loaded.picture if loaded else None
        self.post_message(Renewed())

    def _use_text(self) -> str:
        stage = self.stage
        if stage is None or stage.checkpoint is None:
            return "This step has no checkpoint." if stage else ""
        tag = tag_of(stage, network_name(stage, self.feed.folder), self.strength)
        return f"In a prompt: {tag}\nFetch it: {fetch_line(stage, self.feed.folder, own_address(os.environ))}"

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        stage = self.stage
        if action in ("log", "back"):
            return ""
        if stage is None:
            return "There is nothing of this run to look at yet."
        if action == "earlier" and self._place == 0:
            return "This is the first step there is something of."
        if action == "later" and self._place == len(self._stages) - 1:
            return "This is the last step there is something of."
        if action == "best" and self._verdict.best_step is None:
            return "No step is known to be the best."
        if action in ("try", "rewind", "install", "export", "copy_tag", "fetch") and stage.checkpoint is None:
            return _UNSAVED
        if action == "grid" and not any(stage.checkpoint for stage in self._stages):
            return "This run has no checkpoint to draw with."
        if action in ("try", "rewind") and self._view.status.is_live:
            return "The run needs the machine; stop it first."
        if action in ("install", "rewind", "export", "report") and self.is_busy("do"):
            return "Something is being done already."
        return ""

    def action_earlier(self) -> None:
        """Choose the step before."""
        self._choose(self._place - 1)

    def action_later(self) -> None:
        """Choose the next step."""
        self._choose(self._place + 1)

    def action_best(self) -> None:
        """Choose the best step."""
        self._choose(next(place for place, stage in enumerate(self._stages) if stage.is_best))

    def _choose(self, place: int) -> None:
        self._step = self._stages[place].step
        self._try_again()
        self._draw()

    def action_compare(self) -> None:
        """Keep the chosen step on the right, to look at others beside it; or take it away again."""
        stage = self.stage
        if self._tryout is not None:
            self._end_tryout()
            self._beside = None
        else:
            self._beside = None if self._beside is not None or stage is None else stage.step
        self._draw()

    def action_stronger(self) -> None:
        """Raise the strength."""
        self._set_strength(self._tenths + 1)

    def action_weaker(self) -> None:
        """Lower the strength."""
        self._set_strength(self._tenths - 1)

    def _set_strength(self, tenths: int) -> None:
        self._tenths = max(WEAKEST, min(STRONGEST, tenths))
        self._try_again()
        self._draw()

    def action_try(self) -> None:
        """Ask for a prompt, then draw it with the chosen step at the strength."""
        before = self._tryout.view.prompt if self._tryout else usual_prompt(self.feed.folder, self._view)

        def answered(changed: dict[str, str] | None) -> None:
            if changed is None:
                return
            prompt = changed.get("prompt", before)
            if prompt.strip():
                self._tryout = self._tryout or Tryout(self.feed.folder, self.feed.number("preview", "seed", 42))
                self._ask(prompt)

        self.app.push_screen(Edit("Try a prompt", try_fields(before), keeps_all=True), answered)

    def _try_again(self) -> None:
        if self._tryout is not None:
            self._ask(self._tryout.view.prompt)

    def _ask(self, prompt: str) -> None:
        stage, tryout, strength = self.stage, self._tryout, self.strength
        if stage is None or stage.checkpoint is None or tryout is None:
            return
        checkpoint, step = stage.checkpoint, stage.step

        def work() -> None:
            tryout.ask(prompt, step, checkpoint, strength)
            self.post_message(Renewed())

        self.in_background(work, "asking for a picture", "ask")

    def _end_tryout(self) -> None:
        tryout, self._tryout = self._tryout, None
        if tryout is not None:
            self.in_background(tryout.close, "closing the drawing process", "close")

    def action_grid(self) -> None:
        """Look at many steps and strengths at once."""
        self._end_tryout()
        self._draw()
        self.post_message(GridWanted(self.feed))

    def take(self, step: int | None, strength: float) -> None:
        """Go on with a step and a strength that were taken elsewhere.

        Args:
            step: The step; None keeps the chosen one.
            strength: The strength; brought to what can be set here.
        """
        self._step = self._step if step is None else step
        self._set_strength(round(10 * strength))

    def action_log(self) -> None:
        """Show the whole log."""
        self.post_message(LogWanted(self.feed))

    def action_back(self) -> None:
        """Leave the results."""
        self.dismiss()


def view_is_whole(view: RunView) -> bool:
    """Tell whether the run's log was read to its end."""
    return view.is_whole and view.status is not Status.STARTING
