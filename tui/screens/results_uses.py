"""What can be done with a step of a finished run: go on from it, install it, export it, fetch it."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from textual import on
from textual.message import Message
from textual.worker import get_current_worker

from trainer.errors import AppError
from trainer.text import duration_text, printable
from tui import carry, jobs
from tui.feed import RunFeed
from tui.messages import RunChosen
from tui.results import Stage, download_line, fetch_line, network_name, tag_of
from tui.screens.base import WizardScreen
from tui.screens.results_forms import (
    export_order,
    export_rows,
    hidden_in_export,
    install_fields,
    rewind_fields,
    rewind_settings,
    why_not_exact,
)
from tui.upload import own_address
from tui.widgets.dialogs import Confirm, Edit, Told
from tui.widgets.form_dialog import FormDialog


@dataclass
class InstallAsked(Message):
    """It is known what to propose for an installation."""

    stage: Stage
    before: dict[str, str]


@dataclass
class InstallTaken(Message):
    """Another file of the name is there."""

    stage: Stage
    wanted: dict[str, str]
    text: str


@dataclass
class InstallRefused(Message):
    """Nothing was installed."""

    stage: Stage
    wanted: dict[str, str]
    error: AppError


@dataclass
class InstallDone(Message):
    """A checkpoint was installed."""

    done: carry.Installed


@dataclass
class ExportRefused(Message):
    """Nothing was exported."""

    stage: Stage
    wanted: dict[str, str]
    error: AppError


@dataclass
class Made(Message):
    """Something was written."""

    title: str
    text: str


class ResultUses(WizardScreen):
    """A screen that shows a run's steps, one of them chosen, and uses that one.

    Args:
        feed: The run.
    """

    def __init__(self, feed: RunFeed) -> None:
        super().__init__()
        self.feed = feed
        self._doing = "", 0.0

    @property
    def stage(self) -> Stage | None:
        """The chosen step."""
        raise NotImplementedError

    @property
    def strength(self) -> float:
        """The strength of the tag."""
        raise NotImplementedError

    def action_rewind(self) -> None:
        """Go back to the chosen step and on from there, in a new run."""
        stage = self.stage
        assert stage is not None
        state = self.feed.view.state
        rate = self.feed.settings_at(state.log, stage.step)["learning_rate"]
        before = {"learning_rate": rate, "steps": str(state.steps_total or "")}

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
        jobs.watch_start(new, _cancelled())
        self.post_message(RunChosen(new))

    def action_install(self) -> None:
        """Put the chosen step into a drawing program."""
        stage = self.stage
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

    def _install(self, stage: Stage, wanted: dict[str, str], *, overwrite: bool = False) -> None:
        assert stage.checkpoint is not None
        place = wanted["folder"], wanted["name"]
        try:
            done = carry.install(stage.checkpoint, *place, _cancelled(), overwrite=overwrite)
        except AppError as error:
            if carry.offers_overwrite(error):
                self.post_message(InstallTaken(stage, wanted, error.message))
            else:
                self.post_message(InstallRefused(stage, wanted, error))
        else:
            self.post_message(InstallDone(done))

    @on(InstallTaken)
    def ask_to_overwrite(self, message: InstallTaken) -> None:
        """Ask whether to replace the file of the same name."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._do("Installing…", lambda: self._install(message.stage, message.wanted, overwrite=True))

        text = f"{message.text} It is lost when it is overwritten; else install under another name."
        self.app.push_screen(Confirm("Overwrite it?", text, "Overwrite"), answered)

    @on(InstallRefused)
    def ask_again(self, message: InstallRefused) -> None:
        """Say what is wrong, and ask again with what was typed."""
        self.show_trouble(message.error, lambda _: self.ask_where(InstallAsked(message.stage, message.wanted)))

    @on(InstallDone)
    def show_installed(self, message: InstallDone) -> None:
        """Say where it lies, and copy its tag."""
        done = message.done
        tag = done.tag.replace(":1>", f":{self.strength:g}>")
        self.app.copy_to_clipboard(tag)
        lines = [f"In a prompt: {tag}", "(copied, if your terminal allows it)", "", done.path, "", *done.notes]
        self.app.push_screen(Told("Already there" if done.was_there else "Installed", "\n".join(lines)))

    def action_export(self) -> None:
        """Write the chosen step for programs that know no hypernetworks."""
        stage = self.stage
        assert stage is not None
        self._ask_export(stage, {})

    def _ask_export(self, stage: Stage, before: Mapping[str, str]) -> None:
        inexact = why_not_exact(self.feed.section("network"))

        def answered(wanted: dict[str, str] | None) -> None:
            if wanted is not None:
                self._do("Exporting…", lambda: self._export(stage, wanted, approximate=bool(inexact)))

        rows = export_rows(before)
        self.app.push_screen(FormDialog(f"Export step {stage.step:,}", rows, inexact, hidden_in_export), answered)

    def _export(self, stage: Stage, wanted: dict[str, str], *, approximate: bool) -> None:
        assert stage.checkpoint is not None
        order = export_order(stage.checkpoint, self.feed.text("model", "path"), wanted, approximate=approximate)
        try:
            lines = carry.export(order, _cancelled())
        except AppError as error:
            self.post_message(ExportRefused(stage, wanted, error))
        else:
            self.post_message(Made("Exported", "\n".join(lines)))

    @on(ExportRefused)
    def ask_export_again(self, message: ExportRefused) -> None:
        """Say what is wrong, and ask again with what was answered."""
        self.show_trouble(message.error, lambda _: self._ask_export(message.stage, message.wanted))

    def action_report(self) -> None:
        """Write the run's report."""

        def work() -> None:
            from trainer.report import write_report

            path = write_report(self.feed.folder)
            fetch = download_line(path, own_address(os.environ))
            self.post_message(Made("Report", f"{printable(path, 1000)}\n\nFetch it: {fetch}"))

        self._do("Writing the report…", work)

    @on(Made)
    def show_made(self, message: Made) -> None:
        """Say what was made and where."""
        self.app.push_screen(Told(message.title, message.text))

    @property
    def doing(self) -> str:
        """What is being done, and for how long already; empty when nothing is."""
        text, since = self._doing
        return f"{text} {duration_text(time.monotonic() - since)}" if self.is_busy("do") else ""

    def _do(self, text: str, work: Callable[[], object]) -> None:
        self._doing = text, time.monotonic()
        self.in_background(work, text, "do")

    def action_copy_tag(self) -> None:
        """Copy the tag of the chosen step."""
        stage = self.stage
        assert stage is not None
        self._copy(tag_of(stage, network_name(stage, self.feed.folder), self.strength))

    def action_fetch(self) -> None:
        """Copy the line that fetches the chosen checkpoint."""
        stage = self.stage
        assert stage is not None
        self._copy(fetch_line(stage, self.feed.folder, own_address(os.environ)))

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied, if your terminal allows it: {text}", markup=False)


def _cancelled() -> Callable[[], bool]:
    """Return what tells the present thread that nobody waits for it any more."""
    worker = get_current_worker()
    return lambda: worker.is_cancelled
