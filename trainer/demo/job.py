"""The demo: the whole job on the embedded model, as a user would do it."""

from collections.abc import Callable

from trainer.captions.folder import caption_folder
from trainer.demo.assets import demo_model_dir, demo_pictures_dir
from trainer.errors import AppError
from trainer.pictures.crop import CropOptions
from trainer.pictures.folder import crop_folder
from trainer.project import PROJECT_FILE, Project, create_project, open_project, projects_root

NAME = "demo"


def prepare_demo(say: Callable[[str], None]) -> Project:
    """Make the demo project where it isn't there yet, crop and caption its pictures; a second time nothing is left to do.

    Args:
        say: Told each line of progress.
    """
    root = projects_root() / NAME
    if (root / PROJECT_FILE).is_file():
        project = open_project(root)
        if project.config.preset != NAME:
            raise AppError(
                "Name taken",
                f"{root} is a project of yours called {NAME}.",
                "Run the demo in another folder, or set HYPERNET_PROJECTS.",
            )
        # The package may have moved since the project was made.
        project = project.update(
            pictures=str(demo_pictures_dir("style")), settings={"model": {"path": str(demo_model_dir())}}
        )
    else:
        project = create_project(NAME, demo_pictures_dir("style"), str(demo_model_dir()), NAME)
    size = project.settings().data.size
    report = crop_folder(project.pictures, project.processed, CropOptions(size))
    say(f"Cropped   {len(report.results)} pictures to {size}x{size} px in {project.processed}")
    captions = caption_folder(project.processed, project.pictures)
    say(f"Captioned {len(captions.results)} pictures")
    return project
