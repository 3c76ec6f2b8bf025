"""A1111's `.pt.optim` files (hypernetwork.py:234-241,275-289,552-566 at v1.10.1).

A dictionary of `optimizer_name`, `hash` and `optimizer_state_dict`. Parameters are numbered in the order of
`Hypernetwork.parameters()`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.errors import AppError
from trainer.files import sha256_of
from trainer.hypernetwork.archive import write_archive
from trainer.hypernetwork.modules import Hypernetwork
from trainer.safe_pickle import read_pickle
from trainer.text import printable

_HASH_DIGITS = 10
_OLD_HASH_DIGITS = 8
_OLD_HASH_RANGE = (0x100000, 0x10000)
"""Offset and length in the `.pt` of what A1111 hashed until January 2023."""


@dataclass(frozen=True)
class SavedOptimizer:
    """What an `.optim` file offers."""

    state: dict[str, Any] | None
    """For `Optimizer.load_state_dict`; None where nothing fits. It brings its old learning rate along: set `lr`
    in every group after loading it."""
    reason: str
    """Why there is none, or what to know before using it; empty where all is well."""
    optimizer_name: str = "AdamW"


def optimizer_path(path_pt: Path) -> Path:
    """Return the `.optim` path that belongs to a `.pt`."""
    return path_pt.with_name(path_pt.name + ".optim")


def save_optimizer(path_pt: Path, optimizer: torch.optim.Optimizer, net: Hypernetwork) -> None:
    """Write the optimizer's state beside the finished `.pt`, whose hash it records.

    Raises:
        ValueError: the optimizer's parameters are not those of `net`, in their order.
        OSError: the `.pt` cannot be read or the folder not be written.
    """
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    if len(optimizer.param_groups) != 1 or held != [id(parameter) for parameter in net.parameters()]:
        raise ValueError("the optimizer must hold the hypernetwork's parameters in one group, in their order")
    content: dict[object, object] = {
        "optimizer_name": optimizer_name(optimizer),
        "hash": sha256_of(path_pt)[:_HASH_DIGITS],
        "optimizer_state_dict": _plain(optimizer.state_dict()),
    }
    write_archive(optimizer_path(path_pt), content)


def optimizer_name(optimizer: torch.optim.Optimizer) -> str:
    """Return the name that A1111 knows an optimizer by, wherever it keeps its state."""
    return "AdamW" if isinstance(optimizer, torch.optim.AdamW) else type(optimizer).__name__


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Leave out how the updates were computed, which an older torch may not know."""
    return {**state, "param_groups": [{**group, "fused": None} for group in state["param_groups"]]}


def load_optimizer(path_pt: Path, net: Hypernetwork) -> SavedOptimizer:
    """Read the `.optim` beside a `.pt`, if there is one and it fits `net`.

    A1111 records a wrong hash beside its checkpoints, so a file of another hash is offered where all shapes
    fit, with the reason to look twice.
    """
    path = optimizer_path(path_pt)
    if not path.exists():
        return SavedOptimizer(None, f"{printable(path.name)} is not there.")
    try:
        content = read_pickle(path)
    except AppError as error:
        return SavedOptimizer(None, str(error))
    if not isinstance(content, Mapping) or not isinstance(content.get("optimizer_state_dict"), Mapping):
        return SavedOptimizer(None, f"{printable(path.name)} holds no optimizer state.")
    state = content["optimizer_state_dict"]
    misfit = _misfit(state, net)
    if misfit:
        return SavedOptimizer(None, f"{printable(path.name)} belongs to another network: {misfit}.")
    name = content.get("optimizer_name")
    known = isinstance(name, str) and isinstance(getattr(torch.optim, name, None), type)
    reason = (
        ""
        if _hash_matches(path_pt, content.get("hash"))
        else (f"{printable(path.name)} was written for another save of this network (other hash), but all shapes fit.")
    )
    return SavedOptimizer(dict(state), reason, str(name) if known else "AdamW")


def _misfit(state: Mapping[str, Any], net: Hypernetwork) -> str:
    shapes = [parameter.shape for parameter in net.parameters()]
    groups, entries = state.get("param_groups"), state.get("state")
    if not isinstance(groups, list) or not isinstance(entries, Mapping):
        return "its layout is unknown"
    if len(groups) != 1 or len(groups[0].get("params", ())) != len(shapes):
        return f"it does not number {len(shapes)} tensors"
    for index, entry in entries.items():
        moments = [value for value in entry.values() if isinstance(value, Tensor) and value.ndim]
        if type(index) is not int or not 0 <= index < len(shapes) or any(m.shape != shapes[index] for m in moments):
            return f"the shapes of tensor {printable(index, 20)} differ"
        if not all(bool(m.isfinite().all()) for m in moments):
            return f"tensor {index} is not finite"
    return ""


def _hash_matches(path_pt: Path, stored: object) -> bool:
    if not isinstance(stored, str):
        return False
    if len(stored) == _OLD_HASH_DIGITS:
        with open(path_pt, "rb") as file:
            file.seek(_OLD_HASH_RANGE[0])
            return hashlib.sha256(file.read(_OLD_HASH_RANGE[1])).hexdigest().startswith(stored)
    return sha256_of(path_pt).startswith(stored) and len(stored) == _HASH_DIGITS
