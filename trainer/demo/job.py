"""The demo project: the whole job on the embedded model, prepared as a user would do it."""

from collections.abc import Callable

from trainer.captions.filename import words_of
from trainer.captions.folder import caption_folder, each
from trainer.demo.assets import demo_model_dir, demo_pictures_dir
from trainer.errors import AppError
from trainer.pictures.folder import crop_folder
from trainer.pictures.look import picture_files
from trainer.pictures.manifest import read_manifest
from trainer.pictures.options import CropOptions
from trainer.project import PROJECT_FILE, Project, create_project, open_project, projects_root
from trainer.text import printable

NAME = "demo"


def prepare_demo(say: Callable[[str], None]) -> Project:
    """Make the demo project where it isn't there yet, then crop and caption its pictures.

    What an earlier demo left is used again, so a second one starts at once.

    Args:
        say: Told each line of progress.

    Raises:
        AppError: a project of the user's has the demo's name, or the folder can't be written.
    """
    project = _demo_project()
    size = project.settings().data.size
    report = crop_folder(project.pictures, project.processed, CropOptions(size), workers=1)
    say(f"Cropped {len(report.results)} pictures to {size}×{size} px in {report.seconds:.1f} s")
    sources = read_manifest(project.processed).source_of()
    captions = caption_folder(
        picture_files(project.processed),
        each(lambda crop: words_of(crop.stem)),
        source_of={crop: project.pictures / source for crop, source in sources.items()},
    )
    say(f"Captioned them: {len(captions.written)} new captions, {len(captions.unchanged)} kept")
    return project


def _demo_project() -> Project:
    pictures, model = demo_pictures_dir("style"), demo_model_dir()
    root = projects_root() / NAME
    if not (root / PROJECT_FILE).is_file():
        return create_project(NAME, pictures, str(model), NAME)
    project = open_project(root)
    if project.config.preset != NAME:
        raise AppError(
            "Name taken",
            f"{printable(root)} is a project of yours called {NAME}.",
            "Run the demo in another folder, or set HYPERNET_PROJECTS to another one.",
        )
    # The package may have moved since the project was made.
    return project.update(pictures=str(pictures), settings={"model": {"path": str(model)}})
