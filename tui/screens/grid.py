"""Grid: one prompt drawn by several steps at several strengths, looked at one picture at a time."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from trainer.grids import DrawnGrid, checkpoints_of, choose_cell, chosen_cell, latest_grid, read_grid
from trainer.text import printable
from tui.feed import RunFeed
from tui.grids import axis_text, grid_fields, grid_request, head_text, short_labels, step_of, strength_of
from tui.keys import bindings, key_for
from tui.messages import CellTaken, Renewed
from tui.previews import usual_prompt
from tui.screens.base import WizardScreen
from tui.widgets.dialogs import Edit
from tui.widgets.job_line import JobLine, ending_error
from tui.widgets.keyline import KeyLine
from tui.widgets.line import Line
from tui.widgets.picture import Picture, load_picture


@dataclass
class _Found(Message):
    """The newest grid was read for the first time."""

    is_new_wanted: bool


class GridScreen(WizardScreen):
    """Browses the newest grid of a run, and has new ones drawn.

    Args:
        feed: The run.
        plain: Draw pictures with characters only.
    """

    CSS_PATH = "grid.tcss"
    PURPOSE = (
        "One prompt, drawn with the same seed by several steps at several strengths: walk through the pictures and "
        "take the one you like best; the results go on with its step and strength."
    )
    HELP = (
        "The pictures are drawn by a process of its own: leave, and it goes on. Pictures that are drawn already are "
        "kept, so the same grid begun again goes on where it was. The folder of the grid also holds one picture of all."
    )
    BINDINGS = bindings(
        "grid.earlier",
        "grid.later",
        "grid.stronger",
        "grid.weaker",
        "grid.take",
        "grid.new",
        "grid.cancel",
        "grid.back",
    )
    FOOTER = ("grid.later", "grid.stronger", "grid.take", "grid.new", "app.help", "grid.back")

    def __init__(self, feed: RunFeed, *, plain: bool = False) -> None:
        super().__init__()
        self.feed = feed
        self._plain = plain
        self._job = JobLine("grid", id="job")
        self._prompt = ""
        self._folder: Path | None = None
        self._grid: DrawnGrid | None = None
        self._taken: tuple[int, int] | None = None
        self._row, self._column = 0, 0
        self._wanted: Path | None = None
        self._loaded: tuple[Path | None, Image.Image | None] = (None, None)
        self._shown: object = None

    def compose(self) -> ComposeResult:
        """Lay out head, picture and the two axes."""
        yield Line(id="head")
        yield Static(id="prompt")
        yield Picture(plain=self._plain, id="picture")
        yield Static(id="caption")
        yield Line(id="rows")
        yield Line(id="columns")
        yield self._job
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Look for a grid; where there is none, ask what to draw."""
        self._job.attach(self.feed.folder.project_root)
        self.in_background(lambda: self._read(is_first=True), "reading the grid", "read")
        self._draw()

    def on_resize(self) -> None:
        """Fit the lines."""
        self.call_after_refresh(self._draw)

    def _read(self, *, is_first: bool = False) -> None:
        self._prompt = self._prompt or usual_prompt(self.feed.folder, self.feed.view)
        folder = latest_grid(self.feed.folder)
        grid = read_grid(folder) if folder is not None else None
        if grid is not None and (folder != self._folder or self._grid is None):
            self._taken = chosen_cell(folder, grid) if folder is not None else None
            self._row, self._column = self._taken or (len(grid.rows) - 1, len(grid.columns) - 1)
        self._folder, self._grid = folder, grid
        self.post_message(_Found(grid is None) if is_first else Renewed())

    @on(_Found)
    def show_found(self, message: _Found) -> None:
        """Show the grid, or ask for one."""
        self._draw()
        if message.is_new_wanted and not self._job.is_at_work and not self.why_not("new"):
            self.action_new()

    @on(Renewed)
    def _draw(self) -> None:
        if not self.is_mounted:
            return
        width, grid = max(20, self.size.width - 4), self._grid
        self.query_one("#head", Line).say(head_text(self.feed.folder.name, grid, width))
        self.query_one("#prompt", Static).update(Content(printable(grid.title, 300) if grid else self.PURPOSE))
        path = grid.pictures.get((self._row, self._column)) if grid else None
        self._show_picture(path)
        self.query_one("#caption", Static).update(Content(self._caption(path)))
        for id_, labels, place in (
            ("#rows", grid.rows if grid else (), self._row),
            ("#columns", grid.columns if grid else (), self._column),
        ):
            title, short = short_labels(labels)
            self.query_one(id_, Line).say(axis_text(title, short, place, width) if labels else "")
        self.draw_keys()

    def _caption(self, path: Path | None) -> str:
        grid = self._grid
        if grid is None:
            return "There is no grid of this run yet; n has one drawn."
        mark = "   ★ taken" if self._taken == (self._row, self._column) else ""
        told = f"{printable(grid.rows[self._row], 60)}, {grid.columns[self._column]}{mark}"
        return told if path is not None else f"{told}   not drawn yet"

    def _show_picture(self, path: Path | None) -> None:
        if path != self._wanted:
            self._wanted = path
            self.run_worker(
                lambda: self._load(path),
                description="reading a picture",
                group="picture",
                exclusive=True,
                thread=True,
                exit_on_error=False,
            )
        if self._loaded[0] == path and self._shown is not self._loaded:
            self._shown = self._loaded
            self.query_one(Picture).show(self._loaded[1])

    def _load(self, path: Path | None) -> None:
        loaded = load_picture(path) if path else None
        self._loaded = path, loaded.picture if loaded else None
        self.post_message(Renewed())

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        grid = self._grid
        if action == "new":
            if self._job.is_at_work:
                return f"A grid is being drawn; {key_for('grid.cancel')} stops it."
            return "The run needs the machine; stop it first." if self.feed.view.status.is_live else ""
        if action == "cancel":
            return "" if self._job.is_at_work else "No grid is being drawn."
        if action == "back":
            return ""
        if grid is None:
            return "There is no grid yet; n has one drawn."
        at_end = {
            "earlier": self._row == 0,
            "later": self._row == len(grid.rows) - 1,
            "stronger": self._column == len(grid.columns) - 1,
            "weaker": self._column == 0,
        }
        return "There is no further picture that way." if at_end.get(action) else ""

    def action_earlier(self) -> None:
        """Look at the row before: an earlier step."""
        self._go(self._row - 1, self._column)

    def action_later(self) -> None:
        """Look at the next row."""
        self._go(self._row + 1, self._column)

    def action_stronger(self) -> None:
        """Look at the next column: a higher strength."""
        self._go(self._row, self._column + 1)

    def action_weaker(self) -> None:
        """Look at the column before."""
        self._go(self._row, self._column - 1)

    def _go(self, row: int, column: int) -> None:
        self._row, self._column = row, column
        self._draw()

    def action_take(self) -> None:
        """Mark this picture as the best, and go on in the results with its step and strength."""
        grid, folder = self._grid, self._folder
        assert grid is not None
        assert folder is not None
        cell = self._row, self._column

        def work() -> None:
            choose_cell(folder, *cell)
            self.post_message(CellTaken(step_of(grid, cell[0]), strength_of(grid, cell[1])))

        self.in_background(work, "marking the picture", "take")

    def action_new(self) -> None:
        """Ask what to draw, and have it drawn."""
        run = self.feed.folder
        steps = [step for step, _ in checkpoints_of(run)]

        def answered(wanted: dict[str, str] | None) -> None:
            if wanted is not None:
                self._job.start(run.project_root, grid_request(str(run.path), wanted))
                self._draw()

        fields = grid_fields(steps, self._prompt)
        self.app.push_screen(Edit("Draw a grid of this run", fields, keeps_all=True), answered)

    def action_cancel(self) -> None:
        """Stop drawing; what is drawn stays."""
        self._job.stop()

    @on(JobLine.Progressed)
    def take_drawn(self) -> None:
        """Show what has been drawn so far."""
        if not self.is_busy("read"):
            self.in_background(self._read, "reading the grid", "read")

    @on(JobLine.Ended)
    def end_drawing(self, event: JobLine.Ended) -> None:
        """Show the whole, or why it isn't whole."""
        self.in_background(self._read, "reading the grid", "read")
        if error := ending_error(event.view):
            self.show_trouble(error)

    @on(JobLine.Failed)
    def tell_failed(self, event: JobLine.Failed) -> None:
        """Say why nothing is drawn."""
        self.show_trouble(event.error)
        self._draw()

    def action_back(self) -> None:
        """Back to the results; the drawing goes on."""
        self.dismiss()
