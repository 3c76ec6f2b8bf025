"""A run's previews: where they lie and what they say of themselves."""

import re
from pathlib import Path, PurePosixPath

from trainer.run.facts import MadeFile
from trainer.run.folder import RunFolder
from tui.widgets.picture import Loaded, load_picture

_PROMPT_END = re.compile(r"^(?:Negative prompt|Steps): ", re.MULTILINE)
_SEED = re.compile(r"\bSeed: (\d{1,20})\b")


def preview_path(folder: RunFolder, made: MadeFile) -> Path:
    """Return a preview's path: always inside the run's folder, which may have moved since."""
    return folder.images / PurePosixPath(made.path).name


def caption(made: MadeFile, loaded: Loaded | None) -> str:
    """Return what is to be said under a preview: step and seed."""
    step = f"step {made.step:,}"
    if loaded is None:
        return f"{step}: can't be read"
    seeds = _SEED.findall(loaded.parameters)
    return f"{step} · seed {seeds[-1]}" if seeds else step


def prompt_of(folder: RunFolder, made: MadeFile) -> str:
    """Return the prompt that a preview was drawn with; empty where it doesn't say."""
    loaded = load_picture(preview_path(folder, made))
    return _PROMPT_END.split(loaded.parameters, 1)[0].strip() if loaded else ""
