"""Which base model is meant: a path, a name on the Hub, or the newest of an A1111 installation."""

from collections.abc import Callable
from pathlib import Path

from trainer.base_model.find import default_model, find_a1111_folders
from trainer.base_model.hub import Progress, download_model, looks_like_repo_id
from trainer.base_model.recognise import ModelInfo, inspect_model, require_trainable
from trainer.errors import AppError
from trainer.text import printable


def choose_model(
    text: str, progress: Progress | None = None, say: Callable[[str], None] = lambda line: None
) -> ModelInfo:
    """Return the model that a user means, looked into and found trainable.

    Args:
        text: A file, a diffusers folder, OWNER/NAME on the Hub; empty takes A1111's newest.
        progress: Told (bytes here, bytes in all) during a download.
        say: Told what was chosen or is being fetched.

    Raises:
        AppError: there is no such model, it cannot be read, or it cannot be trained on.
    """
    if not text:
        path = _newest()
        say(f"Taking the newest base model found: {printable(path)}")
    elif looks_like_repo_id(text):
        say(f"Downloading {printable(text)} from the Hub; files that are complete are kept if it is interrupted.")
        path = download_model(text, progress)
    else:
        path = Path(text).expanduser().resolve()
    info = inspect_model(path)
    require_trainable(info)
    return info


def _newest() -> Path:
    found = [model for folder in find_a1111_folders() if (model := default_model(folder))]
    if not found:
        raise AppError(
            "No base model",
            "No A1111 installation with a checkpoint was found here.",
            "Give one: a .safetensors file, a diffusers folder, or OWNER/NAME on the Hub (--model).",
        )
    return max(found, key=lambda path: path.stat().st_mtime)
