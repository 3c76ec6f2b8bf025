"""A row of small previews, the chosen step in sight: how a run grew."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from tui.messages import Renewed
from tui.results import Stage
from tui.widgets.picture import Picture, load_picture

SLOT_CELLS = 11
MOST_SLOTS = 16
THUMB_PX = 64
KEPT = 128


class Filmstrip(Horizontal):
    """Shows as many stages around the chosen one as there is room for.

    Args:
        plain: Draw pictures with characters only.
    """

    def __init__(self, *, plain: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._plain = plain
        self._stages: Sequence[Stage] = ()
        self._chosen = 0
        self._thumbs: dict[Path, Image.Image | None] = {}

    def compose(self) -> ComposeResult:
        """Lay out the slots."""
        for number in range(MOST_SLOTS):
            with Vertical(id=f"slot-{number}", classes="slot"):
                yield Picture(plain=self._plain)
                yield Static()

    def on_resize(self) -> None:
        """Show as many as fit now."""
        self.call_after_refresh(self._draw)

    def show(self, stages: Sequence[Stage], chosen: int) -> None:
        """Show other stages, or choose another one."""
        self._stages, self._chosen = stages, chosen
        self._draw()

    def _window(self) -> range:
        count = min(len(self._stages), MOST_SLOTS, max(1, self.size.width // SLOT_CELLS))
        first = max(0, min(self._chosen - count // 2, len(self._stages) - count))
        return range(first, first + count)

    @on(Renewed)
    def redraw(self, message: Renewed) -> None:
        """Show what was read."""
        message.stop()
        self._draw()

    def _draw(self) -> None:
        window = list(self._window())
        for number in range(MOST_SLOTS):
            slot = self.query_one(f"#slot-{number}", Vertical)
            slot.display = number < len(window)
            if slot.display:
                self._fill(slot, window[number])
        missing = [path for place in window if (path := self._stages[place].preview) and path not in self._thumbs]
        if missing:
            self.run_worker(
                lambda: self._load(missing),
                description="reading previews",
                group="thumbs",
                exclusive=True,
                thread=True,
                exit_on_error=False,
            )

    def _fill(self, slot: Vertical, place: int) -> None:
        stage = self._stages[place]
        mark = "▸ " if place == self._chosen else ""
        slot.set_class(place == self._chosen, "chosen")
        slot.query_one(Static).update(Content(f"{mark}{stage.label}"))
        thumb = self._thumbs.get(stage.preview) if stage.preview else None
        instead = "no preview" if stage.preview is None else "unreadable" if stage.preview in self._thumbs else ""
        slot.query_one(Picture).show(thumb, instead if thumb is None else "")

    def _load(self, paths: Sequence[Path]) -> None:
        for path in paths:
            loaded = load_picture(path)
            thumb = loaded.picture.copy() if loaded else None
            if thumb is not None:
                thumb.thumbnail((THUMB_PX, THUMB_PX))
            if len(self._thumbs) >= KEPT:
                self._thumbs.pop(next(iter(self._thumbs)))
            self._thumbs[path] = thumb
        self.post_message(Renewed())
