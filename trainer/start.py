"""From a project to a run that goes on by itself."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from trainer.base_model.choose import choose_model
from trainer.captions.templates import template_names
from trainer.config import RunConfig, config_toml
from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.memory import fitted
from trainer.memory.recognise import is_pickle
from trainer.pictures.look import picture_files
from trainer.project import Project
from trainer.run.folder import RunFolder
from trainer.run.launch import start_worker
from trainer.text import printable


def start_run(project: Project, config: RunConfig, say: Callable[[str], None] = lambda text: None) -> RunFolder:
    """Make a run's folder and start its worker.

    Args:
        project: What to train.
        config: With which settings; where they don't fit the GPU and aren't pinned, the run takes the least
            costly rung that does.
        say: Told of what the run does differently from `config`.

    Raises:
        AppError: there is nothing to train on, no base model, or the folder can't be written.
    """
    if not config.model.path:
        raise AppError(
            "No base model",
            f"{printable(project.name)} has no base model.",
            "Give it one (--set model.path=FILE).",
        )
    training_folder = project.root / config.data.folder
    if not training_folder.is_dir() or not picture_files(training_folder):
        raise AppError(
            "No training pictures",
            f"{printable(training_folder)} holds no pictures.",
            f"Crop first (`hypernet crop {printable(project.name)}`), or set data.folder.",
        )
    config, note = fitted(project, settled(config))
    if note:
        say(note)
    try:
        folder = RunFolder.create(project.output, config.name, date.today())
        write_atomic(folder.config_file, config_toml(config))
    except OSError as error:
        raise AppError(
            "Cannot make the run's folder",
            f"{printable(error.filename or project.output)}: {error.strerror}.",
            "Make room, or choose a place you may write to.",
        ) from None
    start_worker(folder)
    return folder


def settled(config: RunConfig) -> RunConfig:
    """Return the configuration with every path absolute, since the worker runs in the project's folder.

    A model's name on the Hub becomes the path of its download.

    Raises:
        AppError: the model can't be had or can't be trained on.
    """
    template = config.data.template
    model = config.model.model_copy(
        update={"path": str(_model_path(config.model.path)), "vae": _absolute(config.model.vae)}
    )
    network = config.network.model_copy(update={"start_from": _absolute(config.network.start_from)})
    known = template.removesuffix(".txt") in template_names()
    data = config.data.model_copy(update={"template": template if known else _absolute(template)})
    return config.model_copy(update={"model": model, "network": network, "data": data})


def _model_path(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists() and is_pickle(path):
        # Looking into a pickle takes torch, which the worker loads anyway; it refuses what can't be trained on.
        return path.resolve()
    return choose_model(text).path


def _absolute(text: str) -> str:
    return str(Path(text).expanduser().absolute()) if text else ""
