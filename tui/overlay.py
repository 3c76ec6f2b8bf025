"""Real pictures over the half blocks, where the terminal knows a protocol for them.

The half blocks below are drawn all the same: they show until a picture is ready, and wherever it can't be.
"""

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from textual.app import App
from textual.css.query import NoMatches
from textual.errors import NoWidget
from textual.geometry import Region

from tui.picture_bytes import kitty_bytes, kitty_erasure, sixel_bytes
from tui.terminal_pictures import Drawing, Protocol
from tui.widgets.picture import KEPT_PX, Picture

if TYPE_CHECKING:
    from PIL import Image

IN_FRONT = "Toast, Tooltip"
"""What may lie over a picture on the same screen."""


@dataclass(frozen=True)
class _Look:
    """What a picture looks like: the count of its changes, and how many cells it takes."""

    version: int
    columns: int
    rows: int


@dataclass
class _Shown:
    id: int
    region: Region | None = None
    look: _Look | None = None
    data: str = ""
    """The bytes of `look`."""
    is_encoding: bool = False


class Overlay:
    """Keeps the pictures on the terminal as the widgets below want them.

    Args:
        app: Whose pictures.
        drawing: The protocol.
    """

    def __init__(self, app: App[None], drawing: Drawing) -> None:
        self._app, self._drawing = app, drawing
        self._known: dict[Picture, _Shown] = {}
        self._ids = count(1)

    def draw(self) -> None:
        """Take away what is gone and show what is new or was painted over; to be called after each frame."""
        wanted = self._wanted()
        for picture in list(self._known):
            if picture not in wanted:
                self._take_away(picture)
        for picture, region in wanted.items():
            self._show(picture, region)

    def _wanted(self) -> dict[Picture, Region]:
        screen = self._app.screen
        in_front = [widget.region for widget in screen.query(IN_FRONT) if widget.display]
        wanted = {}
        for picture in screen.query(Picture):
            area = picture.drawn_area
            if area is None:
                continue
            try:
                place = screen.find_widget(picture)
            except (NoWidget, NoMatches):
                continue
            is_whole = place.clip.contains_region(area) and place.visible_region.contains_region(area)
            if is_whole and not any(region.overlaps(area) for region in in_front):
                wanted[picture] = area
        return wanted

    def _take_away(self, picture: Picture) -> None:
        shown = self._known[picture]
        if shown.region is not None and self._drawing.protocol is Protocol.KITTY:
            self._write(kitty_erasure(shown.id))
        shown.region = None
        if not picture.is_attached:
            del self._known[picture]

    def _show(self, picture: Picture, region: Region) -> None:
        shown = self._known.setdefault(picture, _Shown(next(self._ids)))
        look = _Look(picture.version, region.width, region.height)
        if shown.look != look:
            self._encode(picture, shown, look)
        elif shown.region != region or picture.is_repainted:
            self._write(f"\x1b7\x1b[{region.y + 1};{region.x + 1}H{shown.data}\x1b8")
            shown.region, picture.is_repainted = region, False

    def _encode(self, picture: Picture, shown: _Shown, look: _Look) -> None:
        """Make the bytes in a thread; the newest look is taken up when one is done."""
        if shown.is_encoding:
            return
        drawn = picture.pixels(*self._size(look))
        if drawn is None:
            return
        shown.is_encoding = True

        def done(data: str) -> None:
            shown.is_encoding, shown.look, shown.data, picture.is_repainted = False, look, data, True
            self.draw()

        def work() -> None:
            self._app.call_later(done, self._encoded(drawn, shown.id, look))

        self._app.run_worker(
            work, description="making a picture for the terminal", group="overlay", thread=True, exit_on_error=False
        )

    def _size(self, look: _Look) -> tuple[int, int]:
        """Return how large a picture is to be sent; kitty enlarges by itself."""
        width, height = look.columns * self._drawing.cell[0], look.rows * self._drawing.cell[1]
        shrink = min(1.0, KEPT_PX / max(width, height)) if self._drawing.protocol is Protocol.KITTY else 1.0
        return max(1, round(width * shrink)), max(1, round(height * shrink))

    def _encoded(self, drawn: "Image.Image", id_: int, look: _Look) -> str:
        if self._drawing.protocol is Protocol.KITTY:
            return kitty_bytes(drawn, id_, look.columns, look.rows)
        return sixel_bytes(drawn)

    def _write(self, data: str) -> None:
        driver = self._app._driver
        if driver is not None and not self._app.is_headless:
            driver.write(data)
            driver.flush()
