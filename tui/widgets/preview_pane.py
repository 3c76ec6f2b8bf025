"""A run's previews: the newest, or an earlier one that the user went back to."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from trainer.run.facts import MadeFile
from trainer.run.folder import RunFolder
from tui.messages import Renewed
from tui.previews import caption, preview_path
from tui.widgets.line import Line
from tui.widgets.picture import Loaded, Picture, load_picture


class PreviewPane(Vertical):
    """One preview with step, seed, size and place; hidden while there is none.

    Args:
        folder: The run.
        plain: Draw pictures with characters only.
    """

    def __init__(self, folder: RunFolder, *, plain: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self.display = False
        self._folder, self._plain = folder, plain
        self._previews: Sequence[MadeFile] = ()
        self._place: int | None = None
        self._wanted: MadeFile | None = None
        self._loaded: tuple[MadeFile, Loaded | None] | None = None

    def compose(self) -> ComposeResult:
        """Lay out picture and caption."""
        yield Picture(plain=self._plain, id="picture")
        yield Line(id="caption", keeps_place=True)

    @property
    def is_newest(self) -> bool:
        """Whether the newest preview is shown, and each new one will be."""
        return self._place is None

    @property
    def is_first(self) -> bool:
        """Whether the first preview is shown."""
        return self._shown_place == 0

    @property
    def _shown_place(self) -> int:
        last = len(self._previews) - 1
        return last if self._place is None else min(self._place, last)

    def show(self, previews: Sequence[MadeFile]) -> None:
        """Show the previews there are now."""
        self._previews = previews
        self.display = bool(previews)
        if not previews:
            return
        made = previews[self._shown_place]
        if made != self._wanted:
            self._wanted = made
            self.run_worker(
                lambda: self._load(made),
                description="reading a preview",
                group="preview",
                thread=True,
                exit_on_error=False,
            )
        self._draw_caption()

    def step(self, by: int) -> None:
        """Go to an earlier (-1) or later (1) preview; after the last one the newest is followed again."""
        place = self._shown_place + by
        self._place = None if place >= len(self._previews) - 1 else max(0, place)
        self.show(self._previews)

    def follow(self) -> None:
        """Show the newest preview, and each new one."""
        self._place = None
        self.show(self._previews)

    def _load(self, made: MadeFile) -> None:
        loaded = load_picture(preview_path(self._folder, made))
        if made == self._wanted:
            self._loaded = made, loaded
            self.post_message(Renewed())

    @on(Renewed)
    def draw(self, message: Renewed) -> None:
        """Show the picture that was read."""
        message.stop()
        if self._loaded is not None:
            loaded = self._loaded[1]
            self.query_one("#picture", Picture).show(loaded.picture if loaded else None)
            self._draw_caption()

    def _draw_caption(self) -> None:
        if self._loaded is None or self._loaded[0] != self._wanted:
            return
        made, loaded = self._loaded
        size = f"{loaded.width}×{loaded.height}   " if loaded else ""
        place = f"◂ {self._shown_place + 1} of {len(self._previews)} ▸"
        self.query_one("#caption", Line).say(f"{caption(made, loaded)}\n{size}{place}")
