"""Where a project's captions come from: file names, one text, captioners, joined in the order asked for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.captions.filename import words_of
from trainer.captions.folder import Make, Unusable, each
from trainer.captions.record import recipe_of
from trainer.config.captioning import CAPTIONERS
from trainer.errors import AppError
from trainer.pictures.decode import PictureError, decode
from trainer.project import Project

if TYPE_CHECKING:
    from PIL import Image

    from trainer.captions.load import Told

Say = Callable[[str], None]


def caption_maker(project: Project, tell: "Told", say: Say) -> Make:
    """Return what gives the new captions of training pictures, by the project's settings; captioners are loaded.

    Args:
        project: Whose settings decide.
        tell: Told about downloads and loading.
        say: Told what had to be changed.

    Raises:
        AppError: the text is missing, or a captioner's files are, or it cannot be loaded.
    """
    settings = project.config.caption
    if "text" in settings.sources and not settings.text.strip():
        raise AppError("Captions", "There is no text to write.", 'Give it (--with text --text "a caption").')
    if not any(name in CAPTIONERS for name in settings.sources):
        return each(lambda crop: ", ".join(filter(None, (_plain(name, crop, project) for name in settings.sources))))
    return _looking_maker(project, tell, say)


def caption_recipe(project: Project) -> str:
    """Return a hash of every setting that shapes the captions."""
    settings, data = project.config.caption, project.settings().data
    used = {name: getattr(settings, name).model_dump(mode="json") for name in settings.sources if name in CAPTIONERS}
    plain = {"source": settings.source, "existing": settings.existing, "extension": settings.extension}
    if "text" in settings.sources:
        plain["text"] = settings.text
    if "filename" in settings.sources:
        plain |= {"regex": data.filename_regex, "join": data.filename_join}
    return recipe_of(plain | used)


def _looking_maker(project: Project, tell: "Told", say: Say) -> Make:
    from trainer.captions.captioners import require_captioners

    require_captioners(project.config.caption)
    from trainer.captions.engine import JOIN, Engine
    from trainer.captions.load import load_captioners

    settings = project.config.caption
    names = [name for name in settings.sources if name in CAPTIONERS]
    captioners = dict(zip(names, load_captioners(settings, tell, say), strict=True))
    engine = Engine(settings.batch_size, say)

    def write(paths: list[Path], pictures: "list[Image.Image]") -> list[str]:
        parts = [
            engine.write(captioners[name], pictures)
            if name in captioners
            else [_plain(name, path, project) for path in paths]
            for name in settings.sources
        ]
        return [JOIN.join(filter(None, map(str.strip, texts))) for texts in zip(*parts, strict=True)]

    def make(crops: list[Path]) -> Iterator[str | Unusable]:
        place = 0
        while place < len(crops):
            batch = crops[place : place + engine.batch_size]
            place += len(batch)
            opened = {crop: _opened(crop) for crop in batch}
            good = {crop: picture for crop, picture in opened.items() if not isinstance(picture, Unusable)}
            texts = dict(zip(good, write(list(good), list(good.values())), strict=True)) if good else {}
            for crop, picture in opened.items():
                yield picture if isinstance(picture, Unusable) else texts[crop]

    return make


def _opened(path: Path) -> "Image.Image | Unusable":
    try:
        return decode(path).rgb
    except PictureError as error:
        return Unusable(str(error))


def _plain(source: str, crop: Path, project: Project) -> str:
    """Return what a source that looks at no picture says of one."""
    if source == "text":
        return project.config.caption.text.strip()
    if source == "files":
        return ""
    data = project.settings().data
    return words_of(crop.stem, data.filename_regex, data.filename_join)
