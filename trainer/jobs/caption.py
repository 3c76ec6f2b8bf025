"""The job "caption": write a caption file beside each training picture of a project.

What is written and where it comes from are the project's settings under [caption].
Request: `again` (write those too that were written with the same settings before).
"""

from pathlib import Path

from trainer.captions.files import caption_path
from trainer.captions.folder import caption_folder
from trainer.captions.source import caption_maker, caption_recipe
from trainer.errors import AppError
from trainer.jobs.job import Done, Job
from trainer.pictures.look import picture_files
from trainer.pictures.manifest import read_manifest
from trainer.project import Project
from trainer.text import printable


def run(job: Job) -> Done:
    """Write the captions; the report is a `CaptionReport`."""
    project = job.project
    settings = project.config.caption
    crops, source_of = training_pictures(project)
    make = caption_maker(project, job.phase, job.warn)

    def progress(done: int, total: int, crop: Path, status: str, text: str) -> None:
        job.item(crop.name, status, text)
        if status != "unchanged" or done == total:
            job.phase("captioning", done, total)
        else:
            job.check()

    report = caption_folder(
        crops,
        make,
        existing=settings.existing,
        source_of=source_of,
        extension=settings.extension,
        recipe=caption_recipe(project),
        again=bool(job.request.get("again")),
        progress=progress,
    )
    for warning in report.warnings:
        job.warn(warning)
    counts = {
        "written": len(report.written),
        "unchanged": len(report.unchanged),
        "without": len(report.without),
        "failed": len(report.failed),
    }
    return Done({"counts": counts, "results": [project.processed]}, report)


def training_pictures(project: Project) -> tuple[list[Path], dict[str, Path]]:
    """Return a project's training pictures, and each one's source by its file name.

    Raises:
        AppError: there are none yet.
    """
    crops = picture_files(project.processed) if project.processed.is_dir() else []
    if not crops:
        raise AppError(
            "No training pictures",
            f"{printable(project.processed)} holds none yet.",
            f"Run: hypernet crop {printable(project.name)}",
        )
    sources = read_manifest(project.processed).source_of()
    return crops, {name: project.pictures / source for name, source in sources.items()}


def count_beside(project: Project) -> int:
    """Return for how many training pictures there is a caption file beside the source."""
    sources = read_manifest(project.processed).source_of().values()
    extension = project.config.caption.extension
    return sum(caption_path(project.pictures / source, extension).is_file() for source in sources)
