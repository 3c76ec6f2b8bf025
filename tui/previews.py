"""A run's previews: where they lie and what they say of themselves."""

import re
from pathlib import Path, PurePosixPath

from trainer.run.facts import MadeFile
from trainer.run.folder import RunFolder
from tui.feed import RunView
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


def usual_prompt(folder: RunFolder, view: RunView) -> str:
    """Return the prompt of a run's previews, else a word at least for what was taught."""
    drawn = "" if view.preview_prompt or not view.state.previews else _prompt_of(folder, view.state.previews[-1])
    return view.preview_prompt or drawn or folder.project_root.name


def _prompt_of(folder: RunFolder, made: MadeFile) -> str:
    loaded = load_picture(preview_path(folder, made))
    return _PROMPT_END.split(loaded.parameters, 1)[0].strip() if loaded else ""
