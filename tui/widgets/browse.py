"""Choosing a folder or a file by walking through folders with the keyboard."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from trainer.text import printable
from tui.keys import bindings
from tui.messages import Renewed
from tui.paths import Entry, entries, short_path
from tui.widgets.dialogs import Dialog
from tui.widgets.filter_input import FilterInput
from tui.widgets.rows import Row, RowList

PARENT = ".."


class Browse(Dialog[Path | None]):
    """Lists a folder; closes with what was chosen, or None.

    Args:
        title: What to choose.
        start: Where to begin; the nearest folder above it that exists.
        suffixes: Of files that may be chosen; without any a folder is chosen.
        counted: Suffixes of files whose number is told of each folder that is entered.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "browse.open", "browse.choose", "browse.parent", "browse.filter", "browse.hidden", "dialog.cancel"
    )

    def __init__(self, title: str, start: Path, suffixes: Sequence[str] = (), counted: Sequence[str] = ()) -> None:
        super().__init__()
        self._title, self._suffixes, self._counted = title, suffixes, counted
        self._folder = next((folder for folder in (start, *start.parents) if folder.is_dir()), Path("/"))
        self._entries: list[Entry] = []
        self._num_counted = 0
        self._hidden = False
        self._came_from: Path | None = None

    def compose(self) -> ComposeResult:
        """Show title, folder, list and keys."""
        with Vertical(classes="dialog browse"):
            yield Static(Content(self._title), classes="title")
            yield Static(id="where")
            yield FilterInput("name")
            yield RowList(id="entries")
            choose = "Enter takes a file" if self._suffixes else "Space takes this folder"
            keys = f"Enter opens, Left goes up, {choose}, / finds, . shows hidden, Esc cancels"
            yield Static(Content(keys), classes="hint")

    def on_mount(self) -> None:
        """List the first folder."""
        self.query_one(RowList).focus()
        self._enter(self._folder)

    def _enter(self, folder: Path) -> None:
        self._folder = folder

        def look() -> None:
            found = entries(folder, self._suffixes, hidden=self._hidden)
            files = entries(folder, self._counted) if self._counted else []
            if folder == self._folder:
                self._entries, self._num_counted = found, sum(not entry.is_folder for entry in files)
                self.post_message(Renewed())

        self.run_worker(look, group="browse", exclusive=True, thread=True, description="listing a folder")

    def on_renewed(self) -> None:
        """Show the folder."""
        count = f"   {self._num_counted:,} pictures in it" if self._counted else ""
        self.query_one("#where", Static).update(Content(short_path(self._folder) + count))
        wanted = self.query_one("#filter", Input).value.casefold().strip()
        up = [Row(PARENT, "../")] if self._folder != self._folder.parent and not wanted else []
        found = [(n, entry) for n, entry in enumerate(self._entries) if wanted in entry.path.name.casefold()]
        listed = self.query_one(RowList)
        nothing = Row("", "Nothing here has that in its name." if wanted else "There is nothing here.")
        listed.show_rows([*up, *(Row(str(n), entry.label) for n, entry in found)] or [nothing])
        place = next((place for place, (_, entry) in enumerate(found) if entry.path == self._came_from), None)
        if place is not None:
            listed.highlighted = len(up) + place

    def _chosen(self) -> Entry | None:
        id_ = self.query_one(RowList).chosen
        return None if not id_ else Entry(self._folder.parent, True) if id_ == PARENT else self._entries[int(id_)]

    def on_option_list_option_selected(self) -> None:
        """Open what was clicked."""
        self.action_open()

    def action_open(self) -> None:
        """Go into the chosen folder, or close with the chosen file."""
        entry = self._chosen()
        if entry is not None and not entry.is_folder:
            self.dismiss(entry.path)
        elif entry is not None:
            self._go(entry.path)

    def action_choose(self) -> None:
        """Close with this folder, or where files are wanted with the chosen file."""
        entry = self._chosen()
        if not self._suffixes:
            self.dismiss(self._folder)
        elif entry is not None and not entry.is_folder:
            self.dismiss(entry.path)
        else:
            # A diffusers model is a folder.
            self.dismiss(self._folder if (self._folder / "model_index.json").is_file() else None)

    def action_parent(self) -> None:
        """Go to the folder above."""
        self._go(self._folder.parent)

    def action_hidden(self) -> None:
        """Show hidden names, or hide them again."""
        self._hidden = not self._hidden
        self._enter(self._folder)

    def action_filter(self) -> None:
        """Begin to show only what matches."""
        self.query_one(FilterInput).begin()

    @on(Input.Changed, "#filter")
    def show_matching(self) -> None:
        """Show what matches so far."""
        self.on_renewed()

    @on(Input.Submitted, "#filter")
    def go_to_list(self) -> None:
        """Go on to the list."""
        self.query_one(RowList).focus()

    def action_cancel(self) -> None:
        """Show all again where some are left out, else close without a choice."""
        if self.query_one("#filter").display:
            self._show_all()
        else:
            self.dismiss(None)

    def _show_all(self) -> None:
        self.query_one(FilterInput).drop()
        self.query_one(RowList).focus()

    def _go(self, folder: Path) -> None:
        self._show_all()
        rows = self.query_one(RowList)
        rows.show_rows([])
        self._entries, self._came_from = [], self._folder
        self.query_one("#where", Static).update(Content(f"{printable(folder)}…"))
        self._enter(folder)
