"""Results: which step is best, how it compares, what it draws, and how to take it to where it is used."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from trainer.run.folder import RunFolder
from trainer.run.status import Status
from trainer.verdict import Verdict, judge_training
from tui import carry, jobs
from tui.feed import RunFeed, RunView
from tui.keys import bindings
from tui.messages import LogWanted, Renewed, RunChosen
from tui.results import (
    STRONGEST,
    WEAKEST,
    Stage,
    caption_text,
    download_line,
    head_text,
    network_name,
    shown_preview,
    stages_of,
    tag_of,
    verdict_text,
)
from tui.screens.base import WizardScreen
from tui.screens.results_forms import install_fields, rewind_fields, rewind_settings, try_fields
from tui.tryout import Tryout, try_text
from tui.upload import own_address
from tui.widgets.curve import LossCurve
from tui.widgets.dialogs import Edit, Told
from tui.widgets.filmstrip import Filmstrip
from tui.widgets.keyline import KeyLine
from tui.widgets.line import Line
from tui.widgets.picture import Picture, load_picture

LOOK_S = 0.5
_Loaded = tuple[Path | None, Image.Image | None]
_UNSAVED = "This step has no checkpoint; move to one that has."


@dataclass
class InstallAsked(Message):
    """It is known what to propose for an installation."""

    stage: Stage
    before: dict[str, str]


@dataclass
class InstallDone(Message):
    """A checkpoint was installed."""

    done: carry.Installed


class ResultsScreen(WizardScreen):
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
        "results.try", "results.rewind", "results.install", "results.copy-tag", "results.fetch", "results.log",
        "results.back",
    )  # fmt: skip
    FOOTER = ("results.compare", "results.try", "results.rewind", "results.install", "app.help", "results.back")

    def __init__(self, folder: RunFolder, *, plain: bool = False) -> None:
        super().__init__()
        self.feed = RunFeed(folder)
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
        is_due = not self._view.is_whole or self._view.status.is_live
        if is_due and not self.is_busy("follow"):
            self.in_background(self._advance, "reading the run's log", "follow")
        if self._tryout is not None and self._tryout.view.is_waiting and not self.is_busy("try"):
            self.in_background(self._look_at_try, "waiting for a picture", "try")

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
    def _stage(self) -> Stage | None:
        return self._stages[self._place] if self._stages else None

    @property
    def _strength(self) -> float:
        return self._tenths / 10

    @on(Renewed)
    def _draw(self) -> None:
        if not self.is_current:
            return
        view, width = self._view, max(20, self.size.width - 4)
        self.query_one("#head", Line).say(head_text(self.feed.folder, view.state, view.status, width))
        self.query_one("#verdict", Line).say(verdict_text(self._verdict, 6 if self.size.height >= 30 else 3))
        self.query_one("#strip", Filmstrip).show(self._stages, self._place)
        self.query_one("#curve", LossCurve).show(view.state)
        self._draw_left()
        self._draw_right()
        self.query_one("#use", Line).say(self._use_text())
        self.draw_keys()

    def _draw_left(self) -> None:
        stage = self._stage
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
            self.query_one(f"#{side}-picture", Picture).show(loaded[1])

    def _load_side(self, side: str, path: Path | None) -> None:
        loaded = load_picture(path) if path else None
        self._loaded[side] = path, loaded.picture if loaded else None
        self.post_message(Renewed())

    def _use_text(self) -> str:
        stage = self._stage
        if stage is None or stage.checkpoint is None:
            return "This step has no checkpoint." if stage else ""
        tag = tag_of(stage, network_name(stage, self.feed.folder), self._strength)
        return f"In a prompt: {tag}\nFetch it: {download_line(stage.checkpoint, own_address(os.environ))}"

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        stage = self._stage
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
        if action in ("try", "rewind", "install", "copy_tag", "fetch") and stage.checkpoint is None:
            return _UNSAVED
        if action in ("try", "rewind") and self._view.status.is_live:
            return "The run needs the machine; stop it first."
        if action in ("install", "rewind") and self.is_busy("do"):
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
        stage = self._stage
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
        before = self._tryout.view.prompt if self._tryout else self._view.preview_prompt

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
        stage, tryout, strength = self._stage, self._tryout, self._strength
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

    def action_rewind(self) -> None:
        """Go back to the chosen step and on from there, in a new run."""
        stage = self._stage
        assert stage is not None
        before = {"learning_rate": self._view.learning_rate, "steps": str(self._view.state.steps_total or "")}

        def answered(changed: dict[str, str] | None) -> None:
            if changed is not None:
                self._do(
                    f"Going on from step {stage.step:,}…",
                    lambda: self._rewound(stage.step, rewind_settings(before, changed)),
                )

        title = f"Go on from step {stage.step:,}, in a new run"
        self.app.push_screen(Edit(title, rewind_fields(before, stage.step), keeps_all=True), answered)

    def _rewound(self, step: int, settings: dict[str, dict[str, object]]) -> None:
        from trainer.rewind import rewind

        new = rewind(self.feed.folder, step, settings)
        jobs.watch_start(new, lambda: get_current_worker().is_cancelled)
        self.post_message(RunChosen(new))

    def action_install(self) -> None:
        """Put the chosen step into a drawing program."""
        stage = self._stage
        assert stage is not None
        name = network_name(stage, self.feed.folder)

        def look() -> None:
            self.post_message(InstallAsked(stage, {"folder": carry.likely_folder(), "name": name}))

        self.in_background(look, "looking for A1111 and ComfyUI", "ask-install")

    @on(InstallAsked)
    def ask_where(self, message: InstallAsked) -> None:
        """Ask for folder and name, then install."""

        def answered(wanted: dict[str, str] | None) -> None:
            if wanted is not None:
                self._do("Installing…", lambda: self._install(message.stage, wanted))

        title = f"Install step {message.stage.step:,}"
        self.app.push_screen(Edit(title, install_fields(message.before), keeps_all=True), answered)

    def _install(self, stage: Stage, wanted: dict[str, str]) -> None:
        assert stage.checkpoint is not None
        self.post_message(InstallDone(carry.install(stage.checkpoint, wanted["folder"], wanted["name"])))

    @on(InstallDone)
    def show_installed(self, message: InstallDone) -> None:
        """Say where it lies, and copy its tag."""
        done = message.done
        tag = done.tag.replace(":1>", f":{self._strength:g}>")
        self.app.copy_to_clipboard(tag)
        lines = [f"In a prompt: {tag}", "(copied, if your terminal allows it)", "", done.path, "", *done.notes]
        self.app.push_screen(Told("Already there" if done.was_there else "Installed", "\n".join(lines)))

    def _do(self, text: str, work: Callable[[], object]) -> None:
        self.notify(text, markup=False)
        self.in_background(work, text, "do")

    def action_copy_tag(self) -> None:
        """Copy the tag of the chosen step."""
        stage = self._stage
        assert stage is not None
        self._copy(tag_of(stage, network_name(stage, self.feed.folder), self._strength))

    def action_fetch(self) -> None:
        """Copy the line that fetches the chosen checkpoint."""
        stage = self._stage
        assert stage is not None
        assert stage.checkpoint is not None
        self._copy(download_line(stage.checkpoint, own_address(os.environ)))

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied, if your terminal allows it: {text}", markup=False)

    def action_log(self) -> None:
        """Show the whole log."""
        self.post_message(LogWanted(self.feed))

    def action_back(self) -> None:
        """Leave the results."""
        self.dismiss()


def view_is_whole(view: RunView) -> bool:
    """Tell whether the run's log was read to its end."""
    return view.is_whole and view.status is not Status.STARTING
