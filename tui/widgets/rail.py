"""The first line of a step: whose project it is, which steps there are, which are done and which is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from tui.words import fit

DONE, HERE = "✓", "●"
MOST_NAME = 24
LEAST_NAME = 8


@dataclass(frozen=True)
class Stop:
    """One step of the rail."""

    number: int
    title: str
    is_done: bool
    is_here: bool

    def text(self, short: bool = False, gap: str = " ") -> str:
        """Return e.g. "2 Crop ●"; without the title when short, unless the user is here.

        Args:
            short: Whether to leave out the title.
            gap: Before the mark.
        """
        mark = f"{gap}{HERE}" if self.is_here else f"{gap}{DONE}" if self.is_done else ""
        return f"{self.number}{mark}" if short and not self.is_here else f"{self.number} {self.title}{mark}"


class Rail(Static):
    """Draws the stops in one line; where there is less room, marks move closer, then those done lose their titles, then
    all others; in the end only the present one is left."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = ""
        self._stops: Sequence[Stop] = ()

    def show(self, name: str, stops: Sequence[Stop]) -> None:
        """Show other stops."""
        if (name, stops) != (self._title, self._stops):
            self._title, self._stops = name, stops
            self._draw()

    def on_resize(self) -> None:
        """Fit the line."""
        self._draw()

    def _draw(self) -> None:
        width = self.content_size.width
        least = min(LEAST_NAME, cell_len(self._title))
        stops, texts = self._stops, [""]
        for gap, shortened in ((" ", ()), ("", ()), (" ", (True,)), (" ", (True, False))):
            texts = [stop.text(stop.is_done in shortened, gap) for stop in stops]
            if least + sum(cell_len(text) + 2 for text in texts) <= width:
                break
        else:
            stops = [stop for stop in stops if stop.is_here]
            texts = [stop.text() for stop in stops]
        room = width - sum(cell_len(text) + 2 for text in texts)
        parts = [Content.styled(fit(self._title, max(0, min(cell_len(self._title), MOST_NAME, room))), "bold $primary")]
        parts += [
            Content.styled(text, "bold $primary" if stop.is_here else "$text-muted")
            for stop, text in zip(stops, texts, strict=True)
        ]
        self.update(Content("  ").join(parts))
