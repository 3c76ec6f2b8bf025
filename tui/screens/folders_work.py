"""What the Folders step does with its answers: a draft, a model that is here and fit, a project; `folders.py` asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.message import Message
from textual.worker import Worker, WorkerState, get_current_worker

from trainer.errors import AppError
from trainer.text import size_text
from tui.draft import Draft, drop_draft
from tui.fetch import Cancelled, fetch_model
from tui.folders import look_at_pictures, new_project
from tui.models import ModelLook, look_at_model
from tui.paths import short_path, typed_path
from tui.screens.step import Problem, StepScreen
from tui.widgets.fields import ChoiceField, TextField
from tui.widgets.model_choice import ModelChoice
from tui.words import bar

if TYPE_CHECKING:
    from trainer.project import Project
    from tui.journey import Journey


@dataclass
class _Checked(Message):
    """The model is here and can be trained on."""

    look: ModelLook


@dataclass
class _Arriving(Message):
    """Bytes of a download have arrived."""

    name: str
    done: int
    total: int


class FoldersWork(StepScreen):
    """The part of the step without its layout and what is said beside the fields."""

    def __init__(self, journey: "Journey") -> None:
        super().__init__(journey)
        self._first_model: Path | None = None
        self._kept = Draft()
        self._checked: ModelLook | None = None

    def _values(self, id_: str) -> TextField:
        return self.query_one(f"#{id_}", TextField)

    @property
    def _models(self) -> ModelChoice:
        return self.query_one(ModelChoice)

    def problems(self) -> Sequence[Problem]:
        """Return what is missing."""
        found = []
        pictures = self._values("pictures")
        if pictures.validate_now():
            return [Problem("pictures", pictures.problem)]
        look = look_at_pictures(pictures.meant)
        if not look.count:
            message = look.problem or (
                f"{short_path(look.path or Path())} holds no pictures yet. Bring some, or type another folder."
                if look.exists
                else "There is no such folder. Type one that exists, or press Enter here to make it."
            )
            found.append(Problem("pictures", message))
        for id_ in ("name", "model"):
            problem = self._values(id_).validate_now()
            found += [Problem(id_, problem)] if problem else []
        if not self._models.text:
            found.append(Problem("model", "Type a base model: a file, a folder, or OWNER/NAME on the Hub."))
        return found

    def action_next(self) -> None:
        """Look at the model, downloading it first where it is on the Hub; then make the project and go on."""
        problems = self.problems()
        if problems:
            self.show_problem(problems[0])
            return
        text = self._models.text

        def check() -> None:
            from trainer.base_model.hub import looks_like_repo_id

            worker = get_current_worker()
            try:
                if looks_like_repo_id(text):
                    path = fetch_model(text, partial(self._tell, text), lambda: worker.is_cancelled)
                else:
                    path = typed_path(text)
            except Cancelled:
                return
            look = look_at_model(path)
            if look.problem:
                raise AppError("Not a model to train on", look.problem, "Choose another one.")
            self.post_message(_Checked(look))

        self.in_background(check, "looking at the model", "check")

    def _tell(self, name: str, done: int, total: int) -> None:
        self.post_message(_Arriving(name, done, total))

    @on(_Arriving)
    def show_download(self, message: _Arriving) -> None:
        """Show how far a download is."""
        total = size_text(message.total) if message.total else "?"
        share = message.done / message.total if message.total else 0.0
        self.explain(f"{message.name}  {bar(share, 20)}  {size_text(message.done)} of {total}.  Esc stops it.")

    @on(_Checked)
    def finish(self, message: _Checked) -> None:
        """Make the project, or change it, and go on."""
        self._checked = message.look
        if self._commit():
            self.go_on()

    def commit(self, project: "Project | None") -> "Project":
        """Make the project, or put the answers into it."""
        pictures = typed_path(self._values("pictures").meant)
        device = self.query_one("#gpu", ChoiceField).value
        if project is None:
            assert self._checked is not None
            project = new_project(self._values("name").value.strip(), pictures, self._checked)
            drop_draft()
            self._first_model = self._checked.path
            self._values("name").disabled = True
        settings: dict[str, object] = {"memory": {"device": device}} if device else {}
        if self._checked is not None and str(self._checked.path) != project.settings().model.path:
            settings["model"] = {"path": str(self._checked.path)}
        if pictures != project.pictures:
            project = project.update(pictures=str(pictures))
        return project.update(settings=settings) if settings else project

    def action_back(self) -> None:
        """Stop a download; else go back, keeping what was typed."""
        if self.is_busy("check"):
            self.workers.cancel_group(self, "check")
            self.explain("Stopped. Files that are complete are kept.")
            return
        super().action_back()

    def put_aside(self) -> bool:
        """Keep what was typed as a draft, or in the project's file."""
        if self.journey.project is not None:
            return super().put_aside()
        draft = self._draft()
        if draft != self._kept:
            self._kept = draft
            self.in_background(draft.save, "keeping what was typed", "draft")
        return True

    def _draft(self) -> Draft:
        return Draft(*(self._values(id_).meant for id_ in ("pictures", "name", "model")))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Grey or free the keys; the base class, called as well, tells of work that failed."""
        if event.worker.group == "check" and event.state is not WorkerState.PENDING:
            self.draw_keys()
        if event.worker.group == "check" and isinstance(event.worker.error, AppError):
            self._blame_model(event.worker.error)

    def _blame_model(self, error: AppError) -> None:
        """Go to the model that can't be had or trained on."""
        field = self._models.field
        if field.value.strip():
            field.blame(f"{error.title}. Try again (Ctrl+N), or type another model.")
        self.set_focus(field if field.value.strip() else self._models.list)
