"""One source picture with the frame of its crop, read outside the interface."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from trainer.errors import AppError
from trainer.pictures.decode import PictureError
from trainer.pictures.geometry import Frame
from trainer.pictures.options import CropOptions
from trainer.pictures.propose import Proposal, by_hand, propose
from trainer.text import without_options
from tui.crop_text import frame_text
from tui.messages import Renewed
from tui.widgets.framed_picture import FramedPicture
from tui.widgets.line import Line

_KEPT = 48
"""Pictures kept in memory, of some 300 KB each."""
Asked = tuple[Path, str, Frame | None]


@dataclass(frozen=True)
class Wanted:
    """A picture and how it is framed."""

    path: Path
    options: CropOptions
    frame: Frame | None
    mode: str
    """How it is framed, in a word."""

    @property
    def key(self) -> Asked:
        """What the proposal depends on."""
        return self.path, self.options.recipe(None), self.frame


class FramePane(Vertical):
    """Picture, frame and two lines on both.

    Args:
        plain: Draw with characters only.
    """

    class Shown(Message):
        """A proposal was read, or can't be."""

    def __init__(self, *, plain: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._picture, self._line = FramedPicture(plain=plain, id="frame"), Line(id="framed", keeps_place=True)
        self._wanted: Wanted | None = None
        self._known: OrderedDict[Asked, Proposal | str] = OrderedDict()
        self._seen: OrderedDict[Path, Proposal] = OrderedDict()

    def compose(self) -> ComposeResult:
        """Lay out picture and lines."""
        yield self._picture
        yield self._line

    @property
    def proposal(self) -> Proposal | None:
        """What is shown; None while it is being read, or where it can't be."""
        known = self._known.get(self._wanted.key) if self._wanted else None
        return known if isinstance(known, Proposal) else None

    @property
    def reason(self) -> str:
        """Why there is no frame, as a phrase; empty where there is one or it is still being read."""
        known = self._known.get(self._wanted.key) if self._wanted else None
        return known if isinstance(known, str) else ""

    @property
    def is_active(self) -> bool:
        """Whether the picture has the focus."""
        return self._picture.has_focus

    def focus_frame(self) -> None:
        """Let the arrows move the frame."""
        self._picture.focus()

    def forget(self) -> None:
        """Read every picture anew, as files may have changed."""
        self._known.clear()
        self._seen.clear()

    def show(self, wanted: Wanted | None) -> None:
        """Show another picture, or another frame on it."""
        self._wanted = wanted
        if wanted is not None and wanted.key not in self._known:
            self._put_frame_on_known_picture(wanted)
        if wanted is not None and wanted.key not in self._known:
            self._read()
        self.draw()

    def _put_frame_on_known_picture(self, wanted: Wanted) -> None:
        seen = self._seen.get(wanted.path)
        if seen is not None and wanted.frame is not None:
            self._keep(wanted, lambda: by_hand(seen, wanted.options, wanted.frame or Frame(0, 0, 1, 1)))

    def _read(self) -> None:
        if not any(worker.group == "frame" and not worker.is_finished for worker in self.workers):
            self.run_worker(
                self._read_wanted, description="reading a picture", group="frame", thread=True, exit_on_error=False
            )

    def _read_wanted(self) -> None:
        """Read what is wanted now; while one was read, another may have been chosen."""
        while (wanted := self._wanted) is not None and wanted.key not in self._known:
            self._keep(wanted, lambda wanted=wanted: propose(wanted.path, wanted.options, wanted.frame))  # type: ignore[misc]
            self.post_message(Renewed())

    def _keep(self, wanted: Wanted, make: Callable[[], Proposal]) -> None:
        try:
            proposal = make()
        except PictureError as error:
            self._known[wanted.key] = str(error)
        except AppError as error:
            self._known[wanted.key] = without_options(f"{error.message} {error.hint}")
        else:
            self._known[wanted.key] = self._seen[wanted.path] = proposal
        for kept in (self._known, self._seen):
            while len(kept) > _KEPT:
                kept.popitem(last=False)

    @on(Renewed)
    def _take(self, message: Renewed) -> None:
        message.stop()
        self.draw()
        self.post_message(self.Shown())

    def draw(self) -> None:
        """Draw what is known of the picture."""
        picture, line, wanted = self._picture, self._line, self._wanted
        if wanted is None:
            picture.show(None)
            line.say("")
            return
        proposal = self.proposal
        if proposal is None:
            seen = None if self.reason else self._seen.get(wanted.path)
            picture.show(seen.picture if seen else None)
            picture.show_frames((), active=False)
            line.say(f"Not usable: {self.reason}." if self.reason else "reading…")
            return
        width, height = proposal.header.width, proposal.header.height
        picture.show(proposal.picture)
        boxes = [cut.frame.box for cut in proposal.cuts]
        shares = [(box[0] / width, box[1] / height, box[2] / width, box[3] / height) for box in boxes]
        picture.show_frames(shares, active=self.is_active)
        line.say(frame_text(wanted.path.name, proposal, wanted.mode))
