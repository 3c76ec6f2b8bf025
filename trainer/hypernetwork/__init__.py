"""Hypernetworks as AUTOMATIC1111 has them: the maths, the files, the way into a UNet.

Names are loaded on first use, so that `prompt_tags`, `names` and `structure` do not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.hypernetwork.attention import attach, unet_dims
    from trainer.hypernetwork.files import load, save
    from trainer.hypernetwork.modules import Hypernetwork
    from trainer.hypernetwork.names import check_name
    from trainer.hypernetwork.optimizer_files import load_optimizer, save_optimizer
    from trainer.hypernetwork.prompt_tags import parse_prompt
    from trainer.hypernetwork.structure import Structure

__all__ = [
    "Hypernetwork",
    "Structure",
    "attach",
    "check_name",
    "load",
    "load_optimizer",
    "parse_prompt",
    "save",
    "save_optimizer",
    "unet_dims",
]

_HOME = {
    "Hypernetwork": "modules",
    "Structure": "structure",
    "attach": "attention",
    "check_name": "names",
    "load": "files",
    "load_optimizer": "optimizer_files",
    "parse_prompt": "prompt_tags",
    "save": "files",
    "save_optimizer": "optimizer_files",
    "unet_dims": "attention",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
