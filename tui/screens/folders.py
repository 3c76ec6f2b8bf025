"""Folders: the pictures, the subject's name, and the base model."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from trainer.errors import AppError
from tui.draft import Draft, load_draft
from tui.folders import A_FILE, PicturesLook, folders_text, gpu_choices, look_at_pictures, name_from, name_problem
from tui.journey import Journey
from tui.keys import bindings
from tui.messages import Renewed
from tui.paths import short_path, tilde, typed_path
from tui.screens.folders_work import FoldersWork
from tui.screens.step import Problem
from tui.upload import own_address, upload_lines
from tui.widgets.browse import Browse
from tui.widgets.dialogs import Confirm
from tui.widgets.fields import Accepted, ChoiceField, FieldChanged, FieldRow, TextField
from tui.widgets.line import Line
from tui.widgets.list_field import ListField
from tui.widgets.model_choice import MODEL_SUFFIXES, ModelChoice
from tui.widgets.path_field import PathField

if TYPE_CHECKING:
    from trainer.devices import Gpu
    from trainer.project import Project

LOOK_S = 1.0


class FoldersScreen(FoldersWork):
    """Asks for pictures, name and base model, and makes the project."""

    STEP = "folders"
    CSS_PATH = "folders.tcss"
    PURPOSE = "Which pictures teach, and which model learns? Neither is changed by it."
    HELP = (
        "The pictures: 10 to 50 of one subject or style, on this machine. When they are still on another computer, "
        "type where they should go here; the line that brings them is shown, and they are counted as they arrive.\n"
        "The base model: the Stable Diffusion model that you will use the hypernetwork with, or the one it descends "
        "from. Those found in AUTOMATIC1111 folders and in the Hub's cache are listed, the newest first."
    )
    BINDINGS = bindings("folders.browse", "folders.empty", "folders.copy")
    FOOTER = ("step.next", "step.back", "folders.browse", "folders.empty", "app.help", "app.leave")

    def __init__(self, journey: Journey) -> None:
        super().__init__(journey)
        self._pictures = PicturesLook("")
        self._gpus: tuple[Gpu, ...] | None = None
        self._own_name = ""

    def compose_body(self) -> ComposeResult:
        """Lay out the fields, each with its consequence."""
        yield Line(id="begun")
        yield FieldRow(
            "Pictures",
            PathField(
                "Folder of the pictures on this machine. Tab completes, Ctrl+O browses.",
                self._pictures_problem, id="pictures", placeholder="e.g. ~/pictures/gollum",
            ),
        )  # fmt: skip
        yield Line(id="pictures-say", keeps_place=True)
        yield Line(id="upload")
        yield FieldRow(
            "Name",
            TextField("What the pictures show; names the folder and the hypernetwork.", self._name_problem, id="name"),
        )
        yield Line(id="makes", keeps_place=True)
        yield ModelChoice(id="model-choice")
        yield FieldRow("Computed on", ChoiceField("The card that computes the run.", id="gpu"), id="gpu-row")

    def on_mount(self) -> None:
        """Begin to look at the disk."""
        self.query_one("#gpu-row").display = False
        self.set_interval(LOOK_S, self._look)

    # What the project's file, or the draft, says.

    def load(self, project: "Project | None") -> None:
        """Fill the fields; focus the first one that is to be filled or mended."""
        draft = load_draft() if project is None else None
        pictures, name, model = self._values("pictures"), self._values("name"), self._values("model")
        if project is not None:
            pictures.set_quietly(tilde(project.pictures))
            name.set_quietly(project.name)
            name.disabled = True
            self._first_model = Path(project.settings().model.path) if project.settings().model.path else None
        elif draft is not None:
            self._kept = draft
            pictures.set_quietly(draft.pictures)
            name.set_quietly(draft.name)
            model.set_quietly(draft.model)
            self._own_name = draft.name if draft.name != name_from(draft.pictures) else ""
        is_begun = draft not in (None, Draft())
        self.query_one("#begun", Line).say("Going on with what you began; Ctrl+R empties it." if is_begun else "")
        self._look()
        self._models.search(self._first_model)
        self._draw()
        wrong = self._wrong_at_once() if pictures.value else []
        if wrong:
            self.show_problem(wrong[0])
        else:
            self.set_focus(self._models.list if pictures.value else pictures)

    def _wrong_at_once(self) -> list[Problem]:
        """Return what is wrong, but for what a folder holds: to count that takes too long here; a thread does."""
        if not os.path.isdir(typed_path(self._values("pictures").meant)):
            return list(self.problems()[:1])
        # Models are still being looked for: an empty field is no mistake yet.
        filled = [each for each in (self._values("name"), self._values("model")) if each.value]
        return [Problem(str(each.id), each.problem) for each in filled if each.validate_now()]

    # Looking at the disk.

    def _look(self) -> None:
        if not self.is_seen or self.is_busy("look"):
            return
        text, draft = self._values("pictures").meant, self._draft()

        def look() -> None:
            self._pictures = look_at_pictures(text)
            if self.journey.project is None and draft != self._kept:
                draft.save()
                self._kept = draft
            if self._gpus is None:
                from trainer.devices import read_gauges

                self._gpus = read_gauges().gpus
            self.post_message(Renewed())

        self.in_background(look, "looking at the pictures", "look")

    @on(Renewed)
    def _draw(self) -> None:
        name = self._values("name")
        if self.journey.project is None:
            self.query_one("#makes", Line).say(folders_text(name.value.strip()))
        else:
            self.query_one("#makes", Line).say(f"Its folder is {short_path(self.journey.project.root)}.")
        self._draw_pictures()
        self._draw_gpus()

    def _draw_pictures(self) -> None:
        look = self._pictures
        current = look.text == self._values("pictures").meant
        self.query_one("#pictures-say", Line).say(look.says if current else "…")
        needs = current and look.path is not None and not look.count and not look.problem
        lines = upload_lines(look.path, own_address(os.environ)) if needs and look.path else ()
        told = ["To bring them here, on the computer that has them (Ctrl+Y copies the first):", *lines]
        self.query_one("#upload", Line).say("\n".join(told) if lines else "")

    def _draw_gpus(self) -> None:
        field, row = self.query_one("#gpu", ChoiceField), self.query_one("#gpu-row")
        if self._gpus and len(self._gpus) > 1 and not row.display:
            device = self.journey.project.settings().memory.device if self.journey.project else "auto"
            field.offer(gpu_choices(self._gpus), device)
            row.display = True

    # What is typed.

    @on(FieldChanged, "#pictures")
    def suggest_name(self) -> None:
        """Name the subject as its folder while the user has not named it otherwise."""
        if self.journey.project is None and not self._own_name:
            self._values("name").set_quietly(name_from(self._values("pictures").meant))
        self._draw()
        self._look()

    @on(FieldChanged, "#name")
    def keep_name(self) -> None:
        """Leave the name alone from now on, unless it is emptied."""
        self._own_name = self._values("name").value
        self._draw()

    def help_of(self, widget: Widget | None) -> str:
        """Return the help of the list."""
        return widget.help_text if isinstance(widget, ListField) else ""

    def _pictures_problem(self, text: str) -> str:
        if not text.strip():
            return "Type the folder that holds the pictures, or where they should go."
        return A_FILE if os.path.isfile(typed_path(text)) else ""

    def _name_problem(self, text: str) -> str:
        return name_problem(text) if self.journey.project is None else ""

    @on(Accepted)
    def make_folder(self) -> None:
        """Offer to make a pictures folder that isn't there."""
        if self.focused is self._values("pictures"):
            self._offer_folder()

    def _offer_folder(self) -> None:
        path = typed_path(self._values("pictures").meant)
        if path.exists():
            return

        def answered(yes: bool | None) -> None:
            if yes:
                try:
                    path.mkdir(parents=True, mode=0o700)
                except OSError as error:
                    self.show_trouble(AppError("Cannot make the folder", f"{short_path(path)}: {error.strerror}."))
                self._look()

        text = f"{short_path(path)} does not exist. It is made empty; the line that brings pictures into it is shown."
        self.app.push_screen(Confirm("Make the folder?", text, "Make it"), answered)

    def action_browse(self) -> None:
        """Choose the folder of pictures, or a model, by walking through folders."""
        from trainer.pictures.formats import FORMAT_OF_EXTENSION

        is_model = self._models.has_focus_within
        field = self._values("model" if is_model else "pictures")
        start = typed_path(field.meant) if field.value.strip() else Path.cwd() if is_model else Path.home()

        def chosen(path: Path | None) -> None:
            if path is not None:
                field.set_quietly(tilde(path))
                field.post_message(FieldChanged(field))
                field.focus()

        title = "A model file; Space takes a diffusers folder" if is_model else "The folder of your pictures"
        suffixes = MODEL_SUFFIXES if is_model else ()
        self.app.push_screen(Browse(title, start, suffixes, () if is_model else tuple(FORMAT_OF_EXTENSION)), chosen)

    def action_empty(self) -> None:
        """Forget what was typed."""
        for id_ in ("pictures", "name", "model"):
            self._values(id_).set_quietly("")
        self._own_name = ""
        self.query_one("#begun", Line).say("")
        self._look()
        self._draw()
        self.set_focus(self._values("pictures"))

    def action_copy(self) -> None:
        """Copy the line that brings pictures here."""
        look = self._pictures
        if look.path is not None:
            self.app.copy_to_clipboard(upload_lines(look.path, own_address(os.environ))[0])
            self.notify("Copied, if your terminal allows it; else select the line.", markup=False)

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        if action == "copy" and self._pictures.path is None:
            return "Type first where the pictures should go."
        if action == "empty" and self.journey.project is not None:
            return "The project is made; change what is to be another."
        if action in ("next", "empty") and self.is_busy("check"):
            return "The model is being looked at; Esc stops a download."
        return super().why_not(action)
