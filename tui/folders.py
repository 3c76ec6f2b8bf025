"""What the Folders step knows of pictures and cards, and what it makes; no widget in sight."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import AppError
from trainer.text import printable, size_text
from tui.models import ModelLook
from tui.paths import short_path
from tui.widgets.fields import Choice
from tui.words import counted

if TYPE_CHECKING:
    from trainer.devices import Gpu
    from trainer.project import Project


A_FILE = "This is a file. Type the folder that it lies in."


@dataclass(frozen=True)
class PicturesLook:
    """A folder of source pictures at one moment."""

    text: str
    """The path as it was typed."""
    path: Path | None = None
    exists: bool = False
    count: int = 0
    size_bytes: int = 0
    problem: str = ""

    @property
    def says(self) -> str:
        """What there is in it, in words."""
        if self.path is None:
            return ""
        if self.problem:
            return self.problem
        if not self.exists:
            return "There is no such folder yet; Enter makes it."
        return f"{counted(self.count, 'picture')}, {size_text(self.size_bytes)}" if self.count else "No pictures yet."


def look_at_pictures(text: str) -> PicturesLook:
    """Count the pictures of a typed folder."""
    from trainer.pictures.look import picture_files
    from tui.paths import typed_path

    if not text.strip():
        return PicturesLook(text)
    path = typed_path(text)
    if not path.exists():
        return PicturesLook(text, path)
    if path.is_file():
        return PicturesLook(text, path, problem=A_FILE)
    try:
        files = picture_files(path)
        return PicturesLook(text, path, True, len(files), sum(file.stat().st_size for file in files))
    except AppError as error:
        return PicturesLook(text, path, path.is_dir(), problem=error.message)
    except OSError as error:
        return PicturesLook(text, path, path.is_dir(), problem=printable(error))


def name_from(pictures: str) -> str:
    """Return a subject's name made of a pictures folder's: letters and digits that any program takes."""
    name = Path(pictures.strip().rstrip("/")).name
    kept = "".join(c if c.isalnum() or c in "._- " else "-" for c in name).strip(" .-_")
    return kept.encode()[:100].decode(errors="ignore")


def name_problem(name: str) -> str:
    """Return what is wrong with a new project's name, and what to type; empty where nothing is."""
    from trainer.config import RunConfig
    from trainer.config.read import validated
    from trainer.project import PROJECT_FILE, projects_root

    if not name.strip():
        return "Type a name for what the pictures show, such as gollum."
    try:
        validated(RunConfig, {"name": name})
    except AppError:
        return "A name may hold letters, digits, dot, underscore, hyphen and space, up to 100 bytes, e.g. gollum."
    if (projects_root() / name / PROJECT_FILE).exists():
        return f"There is a project {printable(name, 40)} already. Type another name, or open that one (Esc)."
    return ""


def gpu_choices(gpus: Sequence["Gpu"]) -> list[Choice]:
    """Return what the run may be computed on."""
    cards = [Choice(f"cuda:{gpu.index}", _card(gpu), "All of the run is computed on this card.") for gpu in gpus]
    most_free = "The card with the most free memory is taken when the run starts."
    return [Choice("auto", "automatic", most_free), *cards]


def _card(gpu: "Gpu") -> str:
    name = printable(gpu.name or "card", 24).removeprefix("NVIDIA ").removeprefix("GeForce ")
    free = "" if gpu.vram_free_bytes is None else f", {size_text(gpu.vram_free_bytes)} free"
    return f"{gpu.index} {name}{free}"


def folders_text(name: str) -> str:
    """Return which folders will be made for a project; empty where none can be of this name."""
    from trainer.project import projects_root

    if name and name_problem(name):
        return ""
    root = short_path(projects_root() / (name or "NAME"))
    return f"Makes {root}/ with processed/ (crops, captions), cache/ and output/ (runs)."


def new_project(name: str, pictures: Path, model: ModelLook) -> "Project":
    """Make a project for a model, with pictures of the size it was made for; its runs ask when something goes wrong.

    Raises:
        AppError: it can't be made.
    """
    from trainer.project import create_project

    project = create_project(name, pictures, str(model.path))
    settings: dict[str, object] = {"recovery": {"on_oom": "ask"}}
    if model.native_size_px not in (0, project.settings().data.size):
        settings["data"] = {"size": model.native_size_px}
    return project.update(settings=settings)
