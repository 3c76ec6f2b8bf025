"""The state from which a run goes on as if it had never stopped.

As every step's inputs are a function of its number, the state is small: weights, AdamW's moments,
the gradient scaler and the number of finished steps. One safetensors file, two kept.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.text import printable

KEPT = 2


@dataclass(frozen=True)
class ResumeState:
    """All that a run needs to go on after `step` finished steps."""

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    """AdamW's state, "<parameter index>.<name>"."""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON values: the scaler, changes made while running, the best validation so far."""


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer with one parameter group as named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned; the learning rate stays the optimizer's own."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def write_state(folder: Path, state: ResumeState) -> Path:
    """Write a state atomically, then remove all but the newest two."""
    tensors = {f"weights.{k}": v for k, v in state.weights.items()} | {
        f"optimizer.{k}": v for k, v in state.optimizer.items()
    }
    facts = json.dumps({"step": state.step, **state.facts})
    path = folder / f"state-{state.step:08d}.safetensors"
    write_atomic(path, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, {"facts": facts}))
    for old in state_files(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def read_state(folder: Path) -> tuple[ResumeState | None, list[str]]:
    """Return the newest readable state, and a warning for each newer one that is damaged.

    Raises:
        AppError: there are states, but none can be read.
    """
    warnings: list[str] = []
    for path in state_files(folder):
        try:
            return _read(path), warnings
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            warnings.append(
                f"{printable(path.name)} cannot be read ({printable(error, 100)}); the state before it is taken."
            )
    if warnings:
        raise AppError(
            "State damaged",
            f"None of the states in {printable(folder)} can be read.",
            "Start a new run from its last checkpoint (--set network.start_from=FILE.pt).",
        )
    return None, []


def state_files(folder: Path) -> list[Path]:
    """Return the states, the newest first."""
    return sorted(folder.glob("state-*.safetensors"), reverse=True)


def _read(path: Path) -> ResumeState:
    with safe_open(str(path), framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    return ResumeState(facts.pop("step"), parts["weights"], parts["optimizer"], facts)
