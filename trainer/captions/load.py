"""Load captioners by name, their files fetched where need be."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from trainer.captions.captioners import needed_by
from trainer.captions.engine import Captioner, Say, place
from trainer.captions.model_files import provide
from trainer.captions.transformers_files import require_type
from trainer.config.captioning import CAPTIONERS, CaptionSettings
from trainer.faults import is_out_of_memory
from trainer.placement import empty_cache

_MODEL_TYPES = {"blip": "blip", "blip2": "blip-2", "florence2": "florence2"}

Told = Callable[[str, int, int], None]
"""Called with what is done, and how far it is."""


def load_captioners(settings: CaptionSettings, tell: Told, say: Say) -> list[Captioner]:
    """Return the captioners of `settings.source`, in its order; what has no model (text, filename) is left out.

    Args:
        settings: Which, and how they work.
        tell: Told about downloads and loading.
        say: Told what had to be changed.

    Raises:
        AppError: files are missing or damaged, or the device isn't there.
    """
    names = [name for name in settings.sources if name in CAPTIONERS]
    paths = {name: provide(needed_by(name, settings), partial(tell, f"fetching {name}")) for name in names}
    device, dtype = place(settings)
    loaded = []
    for number, name in enumerate(names):
        tell("loading", number, len(names))
        loaded.append(_load_anywhere(name, paths[name], settings, device, dtype, say))
    return loaded


def _load_anywhere(
    name: str, path: Path, settings: CaptionSettings, device: torch.device, dtype: torch.dtype, say: Say
) -> Captioner:
    """Load a captioner on the device, or on the CPU where the device's memory is too small for it."""
    try:
        return _load(name, path, settings, device, dtype)
    except Exception as error:
        if device.type == "cpu" or not is_out_of_memory(error):
            raise
    empty_cache(device)
    say(f"{name} does not fit the device's memory; it works on the CPU, which is slow.")
    return _load(name, path, settings, torch.device("cpu"), torch.float32)


def _load(name: str, path: Path, settings: CaptionSettings, device: torch.device, dtype: torch.dtype) -> Captioner:
    if name in _MODEL_TYPES:
        require_type(path, _MODEL_TYPES[name], name)
    if name == "blip":
        from trainer.captions.blip import Blip

        return Blip(path, settings.blip, device, dtype)
    if name == "deepbooru":
        from trainer.captions.deepbooru import Deepbooru

        return Deepbooru(path, settings.deepbooru, device, dtype)
    if name == "wd":
        from trainer.captions.wd import WdTagger

        return WdTagger(path, settings.wd, device)
    from trainer.captions.describers import Blip2, Florence2

    if name == "blip2":
        return Blip2(path, settings.blip2, device, dtype)
    return Florence2(path, settings.florence2, device, dtype)
