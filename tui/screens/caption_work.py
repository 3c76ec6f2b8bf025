"""What the Caption step knows of captions, and what it has written; `caption.py` shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from textual import on
from textual.message import Message

from trainer.captions.store import Stored, hash_of, read_one, read_stored, write_changes
from trainer.errors import AppError
from trainer.text import printable
from tui.caption_text import change_lines
from tui.messages import Renewed
from tui.screens.step import StepScreen
from tui.widgets.dialogs import Confirm
from tui.widgets.job_line import JobLine, ending_error
from tui.widgets.preview_changes import PreviewChanges
from tui.words import counted

if TYPE_CHECKING:
    from trainer.captions.tokens import TokenCounter
    from trainer.project import Project
    from tui.journey import Journey


class CaptionWork(StepScreen):
    """The part of the step without its list, picture and keys."""

    @dataclass
    class _Written(Message):
        """Captions were written; those in conflict are others on disk than were read."""

        conflicts: dict[Path, str]
        what: str

    @dataclass
    class _Undone(Message):
        """The last change was taken back."""

        text: str

    def __init__(self, journey: "Journey") -> None:
        super().__init__(journey)
        # The line of keys asks for it for the first time before it is on the screen.
        self._work = JobLine("caption", id="work")
        self._captions: dict[str, Stored] = {}
        self._count: TokenCounter | None = None
        self._is_read = False
        self._num_items = self._num_beside = 0
        self._goes_on = self._is_looking = self._has_failed = False
        self._last_change = ""
        self._write_lock = Lock()

    def _show_list(self) -> None:
        """Show what is known now."""
        raise NotImplementedError

    @property
    def _project(self) -> "Project":
        assert self.journey.project is not None
        return self.journey.project

    # Reading.

    def load(self, project: "Project | None") -> None:
        """Read the captions, and whether they are being written."""
        if project is not None:
            self._work.attach(project.root)
            self._reread()

    def _reread(self) -> None:
        project = self._project

        def read() -> None:
            from trainer.captions.tokens import TokenCounter
            from trainer.captions.undo import last_change
            from trainer.jobs.caption import count_beside

            if self._count is None:
                config = project.settings()
                self._count = TokenCounter(config.model.path, emphasis=config.model.emphasis)
            self._captions = read_stored(project.processed, self._count)
            self._num_beside = count_beside(project)
            self._last_change = last_change(project.processed) if self._captions else ""
            self._is_read = True
            self.post_message(Renewed())

        self.in_background(read, "reading captions", "captions")

    def _reread_some(self, pictures: list[Path]) -> None:
        """Read single captions again, in the thread that changed them."""
        from trainer.captions.undo import last_change

        assert self._count is not None
        fresh = {picture.name: read_one(picture, self._count) for picture in pictures}
        self._captions = {name: fresh.get(name, stored) for name, stored in self._captions.items()}
        self._last_change = last_change(self._project.processed)

    @on(JobLine.Progressed)
    def take_written(self, event: JobLine.Progressed) -> None:
        """Show captions as they come."""
        event.stop()
        items = self._work.view.state.items
        if self._work.is_at_work and len(items) != self._num_items:
            self._num_items = len(items)
            if not self.is_busy("captions"):
                self._reread()

    @on(JobLine.Ended)
    def end_writing(self, event: JobLine.Ended) -> None:
        """Show what was written, and go on where that was wanted."""
        goes_on, self._goes_on, self._num_items = self._goes_on, False, 0
        error = ending_error(event.view)
        self._has_failed = error is not None
        self._reread()
        if error is not None and self.is_current:
            hint = f"{error.hint}\nw chooses another source, Ctrl+N tries this one again."
            self.show_trouble(AppError(error.title, error.message, hint.strip()))
        elif error is None and goes_on and self.is_current and event.view.state.results:
            self.go_on()
        self.draw_keys()
        self.look_behind()

    @on(JobLine.Failed)
    def tell_failed(self, event: JobLine.Failed) -> None:
        """Say why captions couldn't be written."""
        self._goes_on = False
        self.show_trouble(event.error)
        self.draw_keys()

    # Writing.

    def _write(self, changes: Mapping[str, str], what: str, known: Mapping[str, str] | None = None) -> None:
        """Write captions in a thread.

        Args:
            changes: New texts by picture's file name.
            what: The change, as a phrase.
            known: Hashes of the caption files that the texts were made from; where there is none, what others changed
                meanwhile is written over. Those of the captions as they are shown when left out.
        """
        before = self._captions
        texts = {before[name].picture: text for name, text in changes.items() if name in before}
        if known is None:
            known = {name: before[name].hash for name in changes}
        hashes = {picture: known[picture.name] for picture in texts if picture.name in known}
        # Shown as if written, so that the next change builds on this one.
        self._captions = {n: self._as_changed(stored, changes.get(n)) for n, stored in before.items()}

        def write() -> None:
            with self._write_lock:
                _written, conflicts = write_changes(texts, hashes, what)
                self._reread_some(list(texts))
            self.post_message(self._Written({picture: texts[picture] for picture in conflicts}, what))

        self.in_background(write, "writing captions", "write")
        self._show_list()

    def _as_changed(self, stored: Stored, text: str | None) -> Stored:
        if text is None or self._count is None:
            return stored
        return Stored(stored.picture, text.strip(), hash_of(text), self._count(text), self._count.room)

    @on(_Written)
    def tell_written(self, event: _Written) -> None:
        """Show what was written; ask what to do about captions that others changed."""
        self._show_list()
        self.draw_keys()
        if not event.conflicts:
            return
        mine = event.conflicts
        picture, text = next(iter(mine.items()))
        theirs = self._captions[picture.name].text
        more = f"\nSo were {len(mine) - 1} others." if len(mine) > 1 else ""

        def answered(yes: bool | None) -> None:
            if yes:
                self._write({path.name: each for path, each in mine.items()}, event.what, {})

        told = (
            f"The caption of {printable(picture.name, 60)} was changed elsewhere since it was read.{more}\n"
            f"There: {printable(theirs, 200) or '(empty)'}\nYours: {printable(text, 200) or '(empty)'}"
        )
        self.app.push_screen(Confirm("Changed elsewhere", told, "Write mine over it"), answered)

    def _offer(self, changes: Mapping[str, str], what: str, yes: str) -> None:
        """Show what would change in many captions, and change it when agreed to."""
        if not changes:
            self.notify("No caption would change.", title=what, markup=False)
            return

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._write(changes, what)

        title = f"{counted(len(changes), 'caption')} would change"
        self.app.push_screen(PreviewChanges(title, change_lines(self._captions, changes), yes), answered)

    @property
    def _texts(self) -> dict[str, str]:
        """All captions that are there, by picture's file name."""
        return {name: stored.text for name, stored in self._captions.items() if stored.is_there}

    def _undo(self) -> None:
        folder = self._project.processed

        def undo() -> None:
            from trainer.captions.undo import undo_last

            undone = undo_last(folder)
            kept = (
                f" {counted(len(undone.changed_since), 'caption')} changed since stay." if undone.changed_since else ""
            )
            restored = counted(len(undone.restored), "caption")
            self.post_message(self._Undone(f"Undone: {printable(undone.what, 80)}. {restored} as before.{kept}"))

        self.in_background(undo, "taking a change back", "write")

    @on(_Undone)
    def tell_undone(self, event: _Undone) -> None:
        """Say what was taken back, and show it."""
        self.notify(event.text, markup=False)
        self._reread()
