"""Going on from what was kept: whether a state fits, and the moments of a network that a run starts from."""

from pathlib import Path

import torch

from trainer.errors import AppError
from trainer.hypernetwork import Hypernetwork, load_optimizer
from trainer.hypernetwork.optimizer_files import optimizer_name
from trainer.preparation import Prepared
from trainer.resume_state import ResumeState
from trainer.run.folder import RunFolder
from trainer.text import printable


def check_fits(state: ResumeState, prepared: Prepared, folder: RunFolder) -> None:
    """Refuse a state that belongs to another model or network.

    Raises:
        AppError: it does.
    """
    if state.facts.get("model", prepared.model_key) != prepared.model_key:
        raise AppError(
            "Base model changed",
            f"{printable(prepared.config.model.path)} is not the model that this run began with.",
            "Put the old file back, or start a new run from a checkpoint (--set network.start_from=CHECKPOINT.pt).",
        )
    present = {name: tensor.shape for name, tensor in prepared.net.state_dict().items()}
    if present != {name: tensor.shape for name, tensor in state.weights.items()}:
        raise AppError(
            "State doesn't fit",
            f"The network in {printable(folder.config_file)} is not the one of the saved state.",
            "Undo the change under [network], or start a new run.",
        )


def take_earlier_optimizer(optimizer: torch.optim.Optimizer, net: Hypernetwork, start_from: str) -> list[str]:
    """Go on with the moments of the network that the run starts from, where they were kept; return what to warn of."""
    if not start_from:
        return []
    saved = load_optimizer(Path(start_from), net)
    if saved.state is not None and saved.optimizer_name == optimizer_name(optimizer):
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({**saved.state, "param_groups": groups})
        return [saved.reason] if saved.reason else []
    reason = saved.reason or f"it was made by {saved.optimizer_name}."
    return [f"The optimizer starts cold, so the first steps may jump: {reason}"]
