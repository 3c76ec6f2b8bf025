"""Where a project's captions come from: file names, one text, or the files beside the sources."""

from collections.abc import Callable
from pathlib import Path

from trainer.captions.filename import words_of
from trainer.errors import AppError
from trainer.project import Project
from trainer.text import printable


def caption_maker(project: Project) -> Callable[[Path], str]:
    """Return what gives the new caption of a training picture, by the project's settings.

    Raises:
        AppError: the source is unknown, or has no text.
    """
    settings, data = project.config.caption, project.settings().data
    if settings.source == "text" and not settings.text.strip():
        raise AppError("Captions", "--with text and --text go together.", 'Write: --with text --text "a caption"')
    if settings.source == "text":
        return lambda crop: settings.text
    if settings.source == "files":
        return lambda crop: ""
    if settings.source != "filename":
        raise AppError(
            "Unknown source of captions",
            f"caption.source is {printable(settings.source, 40)}.",
            "Choose one: --with filename, --with text or --with files.",
        )
    return lambda crop: words_of(crop.stem, data.filename_regex, data.filename_join)
