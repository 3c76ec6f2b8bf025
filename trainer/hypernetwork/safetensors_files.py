"""Hypernetworks as safetensors, our own layout (docs/using-results.md): opened by mapping, safe by construction.

Tensors are called `WIDTH.k.linear.SLOT.weight` and `WIDTH.v.…`, as in A1111's state dicts; all else that an A1111
file holds is JSON in the header's metadata under `hypernetwork`.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.text import printable

KEY = "hypernetwork"
LAYOUT = 1
_HALVES = ("k", "v")


def write_content(path: Path, content: Mapping[Any, Any]) -> None:
    """Write what an A1111 file would hold; `path` is replaced whole."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {"layout": LAYOUT, "widths": []}
    for key, value in content.items():
        if type(key) is not int:
            facts[str(key)] = value
            continue
        facts["widths"].append(key)
        for half, state in zip(_HALVES, value, strict=True):
            tensors |= {f"{key}.{half}.{name}": tensor.contiguous() for name, tensor in state.items()}
    write_atomic(path, save(tensors, metadata={"format": "pt", KEY: json.dumps(facts)}))


def read_content(path: Path, facts_text: str) -> dict[Any, Any]:
    """Return what `write_content` was given.

    Args:
        path: The file.
        facts_text: Its metadata under `KEY`.

    Raises:
        AppError: the file is damaged or of a later layout.
    """
    try:
        facts = json.loads(facts_text)
        widths = facts.pop("widths")
        if facts.pop("layout") != LAYOUT or not all(type(width) is int for width in widths):
            raise ValueError("its layout is unknown")
        modules: dict[int, tuple[OrderedDict[str, Tensor], ...]] = {
            width: tuple(OrderedDict() for _ in _HALVES) for width in widths
        }
        with safe_open(str(path), framework="pt") as file:
            for key in sorted(file.keys(), key=_slot_order):
                width, half, name = key.split(".", 2)
                modules[int(width)][_HALVES.index(half)][name] = file.get_tensor(key)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AppError(
            "Damaged file", f"{printable(path)}: {printable(error, 120)}.", "Copy or convert it again."
        ) from error
    return {**modules, **facts}


def _slot_order(key: str) -> list[Any]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in key.split(".")]
