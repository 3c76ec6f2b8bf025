"""Caption: what each training picture shows, in words; written by captioners and by hand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, TextArea

from trainer.captions.store import Stored, hash_of
from trainer.errors import AppError
from trainer.text import is_hidden, printable, without_options
from tui.caption_text import remark_of, row_text, same_text, summary_text, tokens_text, words_of
from tui.keys import bindings, key_for
from tui.messages import Renewed
from tui.screens.caption_bulk import BulkActions
from tui.screens.caption_form import changes_of, hidden_fields, source_rows
from tui.screens.step import Problem
from tui.widgets.caption_area import CaptionArea
from tui.widgets.filter_input import FilterInput
from tui.widgets.form_dialog import FormDialog
from tui.widgets.line import Line
from tui.widgets.long_list import LongList
from tui.widgets.picture import Loaded, Picture, load_picture
from tui.widgets.report import Report
from tui.words import counted

if TYPE_CHECKING:
    from trainer.project import Project
    from tui.journey import Journey

_LIST_KEYS = ("caption.edit", "caption.write", "caption.replace", "caption.undo", "step.next", "step.back")
_AREA_KEYS = ("step.next", "step.back", "app.help", "app.commands")
_WORK_KEYS = ("caption.cancel", "step.back", "app.help", "app.leave")
_BULK = ("replace", "around", "tags", "sort")
_CHANGING = ("edit", "write", "undo", *_BULK)


class CaptionScreen(BulkActions):
    """Shows training pictures beside their captions, has missing ones written, and edits one or all."""

    @dataclass
    class _Found(Message):
        """What is remarkable about the captions."""

        lines: list[str]

    STEP = "caption"
    CSS_PATH = "caption.tcss"
    AUTO_FOCUS = "#captions"
    PURPOSE: ClassVar[str] = (
        "Say what each picture shows. What a caption names stays free to change; what all pictures share unnamed "
        "is what is learned."
    )
    BINDINGS = bindings(
        "caption.edit", "caption.write", "caption.replace", "caption.around", "caption.tags", "caption.sort",
        "caption.undo", "caption.report", "caption.filter", "caption.cancel", "caption.accept",
    )  # fmt: skip

    def __init__(self, journey: "Journey") -> None:
        super().__init__(journey)
        self._list = LongList(id="captions")
        self._area = CaptionArea(id="area")
        self._names: list[str] = []
        self._edited, self._read_text, self._read_hash = "", "", ""
        self._picture: tuple[str, Loaded | None] | None = None

    def compose_body(self) -> ComposeResult:
        """Lay out counts, progress, list, picture and text."""
        yield Line(id="summary", keeps_place=True)
        yield self._work
        yield FilterInput("line")
        with Horizontal(id="beside"):
            yield self._list
            with Vertical(id="pane"):
                yield Picture(plain=self.journey.plain, id="picture")
                yield self._area
                yield Line(id="tokens", keeps_place=True)

    # What is shown.

    @property
    def _chosen(self) -> Stored | None:
        place = self._list.chosen
        name = self._names[place] if place is not None and place < len(self._names) else ""
        return self._captions.get(name)

    @on(Renewed)
    def _show_list(self) -> None:
        """Show what is known now."""
        if not self._is_read or self.journey.project is None:
            return
        wanted, chosen = self.query_one("#filter", Input).value.casefold(), self._chosen
        same = same_text(self._captions)
        remarks = {name: remark_of(stored, bool(same)) for name, stored in self._captions.items()}

        def draw(name: str, width: int) -> tuple[str, str]:
            return row_text(self._captions[name], remarks[name], width)

        # Quick, as there may be thousands of pictures.
        self._names = [
            name for name, stored in self._captions.items() if not wanted or wanted in words_of(stored, remarks[name])
        ]
        place = self._names.index(chosen.picture.name) if chosen and chosen.picture.name in self._names else 0
        self._list.show_lines(len(self._names), lambda n, width: draw(self._names[n], width), place)
        settings = self._project.config.caption
        self.query_one("#summary", Line).say(
            summary_text(self._captions, settings.source, settings.existing, self._num_beside)
            if self._captions
            else "No training pictures yet: the step before makes them."
        )
        self._show_chosen()

    @on(LongList.Moved)
    def _show_chosen(self) -> None:
        stored = self._chosen
        name = stored.picture.name if stored else ""
        if name != self._edited:
            self._keep_edited()
        if name != self._edited or self._area.text == self._read_text:
            self._load_text(name, stored)
        self._area.disabled = stored is None
        is_new = stored is not None and (self._picture is None or self._picture[0] != name)
        if is_new and not self.is_busy("picture"):
            self.in_background(self._load_picture, "reading a picture", "picture")
        self._draw_picture()
        self._say_tokens()
        self.say_help()
        self.draw_keys()

    def _load_picture(self) -> None:
        """Read the chosen picture; while one was read, another may have been chosen."""
        while (stored := self._chosen) is not None and (not self._picture or self._picture[0] != stored.picture.name):
            self._picture = stored.picture.name, load_picture(stored.picture)
            self._reread_some([stored.picture])  # or an edit made elsewhere would be seen only when it is in the way
            self.post_message(Renewed())

    def _draw_picture(self) -> None:
        stored, shown = self._chosen, self._picture
        is_it = stored is not None and shown is not None and shown[0] == stored.picture.name and shown[1] is not None
        self.query_one("#picture", Picture).show(shown[1].picture if is_it and shown and shown[1] else None)

    @on(TextArea.Changed, "#area")
    def _say_tokens(self) -> None:
        stored = self._chosen
        if stored is None or self._count is None:
            self.query_one("#tokens", Line).say("")
            return
        tokens, line = self._count(self._area.text), self.query_one("#tokens", Line)
        line.set_class(tokens > self._count.room, "warning")
        hidden = any(is_hidden(character) and character != "\n" for character in self._area.text)
        line.say(
            tokens_text(tokens, self._count.room, ("hidden characters", *stored.notes) if hidden else stored.notes)
        )

    def help_of(self, widget: Widget | None) -> str:
        """Say what the keys do."""
        if self._is_looking:
            return "Looking what would change…"
        if widget is self._area:
            return "Type what the picture shows. Page Up and Page Down change the picture, Esc goes back to the list."
        stored = self._chosen
        if stored is None:
            return ""
        missing = sum(not each.is_there for each in self._captions.values())
        told = f"{printable(stored.picture.name, 60)}   "
        if missing and not self._work.is_at_work:
            again = f"Ctrl+N tries the {missing:,} missing again; w chooses another source."
            first = f"Ctrl+N first writes the {counted(missing, 'missing caption')}.   "
            told += again if self._has_failed else first
        return f"{told}\nb before, after   g tags   s sort tags   i findings   / find".strip()

    # One caption.

    def _load_text(self, name: str, stored: Stored | None) -> None:
        """Put a caption into the text area, which stays as it is where it says this already."""
        text = stored.text if stored else ""
        if self._area.text != text:
            self._area.load_text(text)
        self._edited, self._read_text, self._read_hash = name, self._area.text, stored.hash if stored else ""

    def _keep_edited(self) -> None:
        """Write the caption that was edited, if it has another text now."""
        name, text = self._edited, self._area.text.strip()
        if name in self._captions and text != self._read_text.strip():
            known = {name: self._read_hash}
            self._read_text, self._read_hash = self._area.text, hash_of(text)
            self._write({name: text}, f"editing {name}", known)

    def action_edit(self) -> None:
        """Edit the caption."""
        self._area.focus()
        self._area.move_cursor(self._area.document.end)

    @on(CaptionArea.Turned)
    def turn(self, event: CaptionArea.Turned) -> None:
        """Edit the next or previous picture's caption."""
        self._keep_edited()
        self._list.action_move(event.by)
        self.call_after_refresh(self._show_turned)

    def _show_turned(self) -> None:
        self._show_chosen()
        self._area.move_cursor(self._area.document.end)

    def on_descendant_blur(self) -> None:
        """Write what was edited when the text is left."""
        if not self._area.has_focus:
            self._keep_edited()

    def action_back(self) -> None:
        """Leave the text, then the filter, then the step."""
        filter_ = self.query_one(FilterInput)
        if self._area.has_focus:
            self._keep_edited()
            self._list.focus()
        elif filter_.display:
            filter_.drop()
            self._list.focus()
            self._show_list()
        else:
            super().action_back()

    def commit(self, project: "Project | None") -> "Project":
        """Write what was edited; settings were written when they were chosen."""
        assert project is not None
        self._keep_edited()
        return project

    # Going on.

    def problems(self) -> list[Problem]:
        """Return what keeps the user from going on."""
        if self._is_read and not self._captions:
            return [Problem("captions", "There are no training pictures yet. Go back to Crop.")]
        return []

    def action_next(self) -> None:
        """Have missing captions written first."""
        if not self.keep():
            return
        if any(not stored.is_there for stored in self._captions.values()):
            self._goes_on = True
            self._work.start(self._project.root, {})
            self.draw_keys()
        else:
            self.go_on()

    def action_accept(self) -> None:
        """Go on."""
        self.action_next()

    # All captions.

    def action_write(self) -> None:
        """Ask where captions come from."""
        from trainer.captions.captioners import list_captioners

        settings = self._project.config.caption

        def accepted(values: dict[str, str] | None) -> None:
            if values is None:
                return
            try:
                self.journey.project = self._project.update(caption=changes_of(values))
            except AppError as error:
                self.show_trouble(error)
                return
            self._has_failed = False
            self._work.start(self._project.root, {"again": values["again"] == "yes"})
            self._show_list()

        rows = source_rows(settings, list_captioners(settings))
        found = f"Captions found beside the pictures: {self._num_beside:,}. They count as old ones."
        text = found if self._num_beside else ""
        self.app.push_screen(FormDialog("Write captions", rows, text, hidden_fields), accepted)

    def action_undo(self) -> None:
        """Take the last change back."""
        self._undo()

    def action_report(self) -> None:
        """Show what is remarkable."""
        from trainer.captions.check import check_captions

        pictures, count = [stored.picture for stored in self._captions.values()], self._count
        assert count is not None
        long = [
            f"{printable(name, 60)}: {tokens_text(stored.tokens, stored.room)}"
            for name, stored in self._captions.items()
            if stored.is_long
        ]

        def read() -> None:
            remarks = map(without_options, check_captions(pictures, count).remarks)
            self.post_message(self._Found([*remarks, *([""] if long else []), *long] or ["Nothing to remark on."]))

        self.in_background(read, "looking at captions", "report")

    @on(_Found)
    def show_report(self, event: _Found) -> None:
        """Show what was found."""
        self.app.push_screen(Report("What was found on the captions", event.lines))

    def action_cancel(self) -> None:
        """Stop the captioner."""
        self._work.stop()

    def action_filter(self) -> None:
        """Begin to filter."""
        self.query_one(FilterInput).begin()

    @on(Input.Changed, "#filter")
    def show_matching(self) -> None:
        """Show what matches so far."""
        self._show_list()

    @on(Input.Submitted, "#filter")
    def leave_filter(self) -> None:
        """Go on to the list."""
        self._list.focus()

    # Keys.

    def footer(self) -> tuple[str, ...]:
        """Return the keys of what has the focus, or of what is at work."""
        if self._work.is_at_work:
            return _WORK_KEYS
        return _AREA_KEYS if self._area.has_focus else _LIST_KEYS

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        is_at_work = self._work.is_at_work
        if action == "cancel":
            return "" if is_at_work else "Nothing is at work."
        if is_at_work and action in (*_CHANGING, "next", "accept"):
            return f"Captions are being written; {key_for('caption.cancel')} stops it."
        if action in (*_CHANGING, "report", "filter") and not self._captions:
            return "There are no training pictures yet." if self._is_read else "The captions are still being read."
        if action in _BULK and not any(stored.is_there for stored in self._captions.values()):
            return f"There is no caption yet; {key_for('caption.write')} writes them."
        if action == "undo" and not self._last_change:
            return "No change of captions is on record."
        return ""
