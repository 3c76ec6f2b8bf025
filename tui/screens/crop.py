"""Crop: every source picture with its verdict, and the frame that becomes the training picture."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from trainer.pictures.adjust import rounded
from trainer.pictures.faces import NO_FACE
from trainer.pictures.options import Mode
from trainer.text import printable
from tui.crop_answers import NO_FACES, Answers
from tui.crop_text import FACELESS, MODES, UNSEEN, report_lines, row_text, row_words, summary_text
from tui.keys import bindings, key_for, key_of
from tui.screens.crop_form import hidden_options, option_rows
from tui.screens.crop_frame import FRAME_ACTIONS, FRAME_KEYS, Adjust, FrameActions
from tui.screens.crop_work import CropWork
from tui.widgets.fields import Accepted
from tui.widgets.filter_input import FilterInput
from tui.widgets.form_dialog import FormDialog
from tui.widgets.frame_pane import FramePane, Wanted
from tui.widgets.line import Line
from tui.widgets.long_list import LongList
from tui.widgets.report import Report
from tui.words import fit

if TYPE_CHECKING:
    from tui.journey import Journey

_LIST_KEYS = ("crop.leave_out", "crop.options", "crop.report", "crop.undo", "step.next", "step.back")
_FRAME_KEYS = ("crop.closer", "crop.wider", "crop.reset", "crop.undo", "step.next", "step.back")
_WORK_KEYS = ("crop.cancel", "step.back", "app.help", "app.leave")
_HELP_KEYS = ("crop.center", "crop.focal", "crop.face", "crop.same")
_ON_ONE = ("center", "focal", "face", "reset", "same", "leave_out")


class CropScreen(FrameActions, CropWork):
    """Shows source pictures with verdict and frame, and has them cropped on the way to the next step."""

    @dataclass
    class _Found(Message):
        """All that is to be said on the pictures."""

        lines: list[str]

    STEP = "crop"
    CSS_PATH = "crop.tcss"
    AUTO_FOCUS = "#pictures"
    PURPOSE: ClassVar[str] = (
        "Training pictures must be square. Move the frame to where the subject is; "
        "nothing in your source folder changes."
    )
    BINDINGS: ClassVar[list[BindingType]] = FRAME_KEYS + bindings(
        "crop.later", "crop.earlier",
        "crop.center", "crop.focal", "crop.face", "crop.reset", "crop.same", "crop.flip", "crop.leave_out",
        "crop.undo", "crop.options", "crop.report", "crop.filter", "crop.cancel", "crop.accept",
    )  # fmt: skip

    def __init__(self, journey: "Journey") -> None:
        super().__init__(journey)
        self._list = LongList(id="pictures")
        self._places: list[int] = []

    def compose_body(self) -> ComposeResult:
        """Lay out counts, progress, list and picture."""
        summary = Line(id="summary", keeps_place=True)
        summary.say("Looking at the pictures…")
        yield summary
        yield self._check
        yield self._work
        yield FilterInput("line")
        with Horizontal(id="crop"):
            yield self._list
            yield self._pane

    # The list.

    @property
    def _chosen(self) -> Path | None:
        place = self._list.chosen
        return self._paths[self._places[place]] if place is not None and place < len(self._places) else None

    def _show_list(self) -> None:
        if self._history is None:
            return
        wanted, answers = self.query_one("#filter", Input).value.casefold(), self._asked
        chosen = self._places[self._list.chosen or 0] if self._places else 0
        # Quick, as there may be thousands of pictures.
        self._places = [place for place, name in enumerate(self._names) if not wanted or wanted in self._words(name)]
        place = self._places.index(chosen) if chosen in self._places else 0
        self._list.show_lines(len(self._places), lambda n, width: self._row(self._paths[self._places[n]], width), place)
        left_out = answers.choices.left_out
        counts = Counter(self._verdicts.get(name, UNSEEN).status for name in self._names if name not in left_out)
        self.query_one("#summary", Line).say(
            summary_text(counts, len(self._names) - counts.total(), answers.text)
            if self._paths
            else f"No pictures yet in {printable(self._project.pictures, 200)}"
        )
        self._show_chosen()

    def _show_changed(self) -> None:
        """Show what was changed on one picture; quicker than all anew, where there are thousands."""
        self._list.refresh()
        self._show_chosen()

    def _row(self, path: Path, width: int) -> tuple[str, str]:
        answers, name = self._asked, path.name
        verdict = self._verdicts.get(name, UNSEEN)
        return row_text(name, verdict, self._mode_word(name), name in answers.choices.left_out, width)

    def _mode_word(self, name: str) -> str:
        word = self._asked.mode_word(name)
        return FACELESS if word == MODES["face"] and name in self._faceless else word

    def _words(self, name: str) -> str:
        """Return what a filter looks at."""
        answers = self._asked
        verdict = self._verdicts.get(name, UNSEEN)
        return f"{name} {row_words(verdict, self._mode_word(name), name in answers.choices.left_out)}".casefold()

    @on(LongList.Moved)
    def _show_chosen(self) -> None:
        path = self._chosen
        if path is None:
            self._pane.show(None)
        else:
            answers, name = self._asked, path.name
            self._pane.show(Wanted(path, answers.options_of(name), answers.frame_of(name), answers.mode_word(name)))
        self.say_help()
        self.draw_keys()

    @on(FramePane.Shown)
    def tell_of_frame(self) -> None:
        """Say what is to be said of the picture that was read."""
        path, proposal = self._chosen, self._pane.proposal
        if path is not None and proposal is not None and NO_FACE in proposal.notes:
            self._faceless.add(path.name)
            self._list.refresh()
        self.say_help()
        self.draw_keys()

    def on_descendant_focus(self) -> None:
        """Show what the arrows move; the base class, called as well, says it."""
        self._pane.draw()

    def help_of(self, widget: Widget | None) -> str:
        """Say what is remarkable about the picture, and what the keys do."""
        path = self._chosen
        if path is None:
            return "" if self._history is None else "No picture to show."
        proposal = self._pane.proposal
        remark = self._verdicts.get(path.name, UNSEEN).remark
        if proposal is not None and proposal.notes:
            remark = printable("; ".join(proposal.notes), 400)
        told = fit(f"{remark[0].upper()}{remark[1:]}.", self.size.width - 4).rstrip() + "\n" if remark else ""
        if self._pane.is_active:
            return f"{told}Arrows move the frame, with Shift a little; + - zoom; j k next picture."
        keys = "  ".join(f"{key_for(id_)} {key_of(id_).description}" for id_ in _HELP_KEYS)
        return f"{told}{keys}  Tab: to the frame"

    def action_later(self) -> None:
        """Choose the next picture."""
        self._list.action_move(1)

    def action_earlier(self) -> None:
        """Choose the picture before."""
        self._list.action_move(-1)

    def action_accept(self) -> None:
        """Go from the list to the frame, from there on."""
        self.post_message(Accepted())

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

    def action_back(self) -> None:
        """Drop the filter, else go one step back."""
        filter_ = self.query_one(FilterInput)
        if filter_.display:
            filter_.drop()
            self._list.focus()
            self._show_list()
        else:
            super().action_back()

    # Keys.

    def footer(self) -> tuple[str, ...]:
        """Return the keys of what has the focus, or of what is at work."""
        if self._work.is_at_work:
            return _WORK_KEYS
        return _FRAME_KEYS if self._pane.is_active else _LIST_KEYS

    def name_of(self, id_: str) -> str:
        """Return what the last line calls an action at present."""
        if id_ == "crop.leave_out" and self._is_left_out():
            return "take back"
        return super().name_of(id_)

    def _is_left_out(self) -> bool:
        path = self._chosen
        return self._history is not None and path is not None and path.name in self._asked.choices.left_out

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        is_cropping = self._work.is_at_work
        if action == "cancel":
            return "" if is_cropping or self._check.is_at_work else "Nothing is at work."
        if is_cropping and action not in ("report", "filter", "back", "accept", "help", "commands", "leave"):
            return f"The pictures are being cropped; {key_for('crop.cancel')} stops it."
        if self._history is None and action in (
            *FRAME_ACTIONS,
            *_ON_ONE,
            "undo",
            "options",
            "report",
            "flip",
            "filter",
        ):
            return "The pictures are still being looked at."
        if action == "undo":
            return "" if self._history and self._history.last else "Nothing was changed yet."
        if action == "report":
            return "" if self._report else "The pictures are still being looked at."
        if action in (*_ON_ONE, *FRAME_ACTIONS) and self._chosen is None:
            return "There is no picture."
        if action == "face" and not self._has_faces:
            return NO_FACES
        if action.removesuffix("_fine") in FRAME_ACTIONS and self._pane.proposal is None:
            return f"No frame: {self._pane.reason}." if self._pane.reason else "The picture is still being read."
        return ""

    def action_center(self) -> None:
        """Frame the picture by its middle."""
        self._set_mode("center")

    def action_focal(self) -> None:
        """Frame the picture by its focal point."""
        self._set_mode("focal")

    def action_face(self) -> None:
        """Frame the picture by its faces."""
        self._set_mode("face")

    def action_reset(self) -> None:
        """Frame the picture as all others."""
        self._set_mode(None)

    def _set_mode(self, mode: Mode | None) -> None:
        if (path := self._chosen) is not None:
            self.change(self._asked.with_mode(path.name, mode), f"framing of {printable(path.name, 60)}")

    def action_same(self) -> None:
        """Frame all pictures by this one's mode."""
        if (path := self._chosen) is not None:
            mode = self._asked.options_of(path.name).mode
            self.change(self._asked.with_mode_for_all(mode), "framing of all pictures")
            instead = ", those without one by their focal point" if mode == "face" else ""
            self.notify(f"All pictures: {MODES[mode]}{instead}. Frames made by hand stay.", markup=False)

    def action_flip(self) -> None:
        """Add mirrored copies, or no longer."""
        options = self._asked.options
        values = {"size": str(options.size), "mode": options.mode, "shape": "own" if options.keep_aspect else "square"}
        self.change(self._asked.with_form({**values, "flip": "no" if options.flip else "yes"}), "mirrored copies")

    def action_leave_out(self) -> None:
        """Leave the picture out, or take it back."""
        if (path := self._chosen) is not None:
            answers = self._asked
            choices = answers.choices.with_left_out(path.name, not self._is_left_out())
            self.change(Answers(answers.options, choices), f"leaving out {printable(path.name, 60)}")

    def action_undo(self) -> None:
        """Take the last change back."""
        assert self._history is not None
        before = self._asked
        what = self._history.undo()
        self.notify(f"Undone: {what}.", markup=False)
        self._after_change(before)

    def action_report(self) -> None:
        """Show all that was found."""
        report = self._report
        if report is not None:
            self.in_background(
                lambda: self.post_message(self._Found(report_lines(report) or ["Nothing to remark on."])),
                "gathering what was found",
                "report",
            )

    @on(_Found)
    def show_report(self, event: _Found) -> None:
        """Show what was found."""
        self.app.push_screen(Report("What was found on the pictures", event.lines))

    def action_options(self) -> None:
        """Ask how all pictures are cropped."""

        def accepted(values: dict[str, str] | None) -> None:
            if values is not None:
                self.change(self._asked.with_form(values), "options of all pictures")

        rows = option_rows(self._asked.options, self._has_faces)
        self.app.push_screen(FormDialog("How all pictures are cropped", rows, hidden=hidden_options), accepted)

    def adjust(self, make: Adjust, what: str) -> None:
        """Put an adjusted frame on the chosen picture."""
        path, proposal = self._chosen, self._pane.proposal
        if path is None or proposal is None:
            return
        cut, header = proposal.cuts[0], proposal.header
        frame = rounded(make(cut.frame, header.width, header.height, (cut.out_width, cut.out_height)))
        if frame != cut.frame:
            self.change(self._asked.with_frame(path.name, frame), f"{what} on {printable(path.name, 60)}")
