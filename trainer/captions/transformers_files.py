"""Read captioning models from folders in transformers' layout: local files alone, and no code of theirs."""

import json
from pathlib import Path
from typing import Any

from trainer.errors import AppError
from trainer.text import printable


def load_part(part: Any, folder: Path, **arguments: Any) -> Any:
    """Return `part.from_pretrained(folder)`, with failures told as what is wrong with the folder.

    Args:
        part: A class of transformers.
        folder: The model's folder.
        arguments: Handed on.

    Raises:
        AppError: the folder is damaged, incomplete, or of another kind.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return part.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, **arguments)
    except MemoryError:
        raise
    except RuntimeError as error:
        if "out of memory" in str(error) or "allocate memory" in str(error):
            raise
        raise _damaged(folder, error) from error
    except Exception as error:  # libraries below raise their own types for damaged files, safetensors' among them
        raise _damaged(folder, error) from error


def require_type(folder: Path, wanted: str, captioner: str) -> None:
    """Refuse a folder whose model is of another kind.

    Raises:
        AppError: its `config.json` names another model type, or can't be read.
    """
    try:
        found = json.loads((folder / "config.json").read_bytes())["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    if found != wanted:
        raise AppError(
            "Another kind of model",
            f"{printable(folder)} holds a model of type {printable(found, 40)}; {captioner} needs {wanted}.",
            f"Give a {wanted} model (--set {captioner}.model=FOLDER_OR_HUB_NAME).",
        )


def _damaged(folder: Path, error: Exception) -> AppError:
    said = printable((str(error).splitlines() or [""])[0], 160) or type(error).__name__
    return AppError(
        "Damaged model folder", f"{printable(folder)} cannot be read ({said}).", "Copy or download the folder again."
    )
