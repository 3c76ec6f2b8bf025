"""Hypernetwork files from one layout to another, and the average of several."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from trainer.errors import AppError
from trainer.hypernetwork import Hypernetwork, load, save
from trainer.hypernetwork.names import check_name
from trainer.text import printable

SUFFIXES = (".pt", ".safetensors")


def convert(
    sources: Sequence[Path], out: Path, *, shares: Sequence[float] = (), portable: bool = False, overwrite: bool = False
) -> Hypernetwork:
    """Write one file of one or several, in the layout that its name asks for, and return what was written.

    Args:
        sources: Files of any layout; several are averaged.
        out: NAME.pt in A1111's present layout, or NAME.safetensors in ours; the network is called NAME.
        shares: The weight of each source in the average; alike when left out.
        portable: Leave dropout out.
        overwrite: Replace a file that is there.

    Raises:
        AppError: a source cannot be read, they differ in structure, or something is in the way.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise AppError("Unknown layout", f"{printable(out)} ends in neither .pt nor .safetensors.", "Name it so.")
    if out.exists() and not overwrite:
        raise AppError(
            "File exists", f"{printable(out)} is there already.", "Name another file (--out; --overwrite replaces it)."
        )
    name = check_name(out.stem)
    nets = [load(source) for source in sources]
    net = nets[0] if len(nets) == 1 else average(nets, shares)
    net.name = name
    save(net, out, portable=portable)
    return net


@torch.no_grad()
def average(nets: Sequence[Hypernetwork], shares: Sequence[float] = ()) -> Hypernetwork:
    """Return a network whose weights are the (weighted) mean of several; steps are those of the furthest.

    Args:
        nets: Of one structure and the same widths, such as checkpoints of one run.
        shares: Any numbers with a sum above 0.

    Raises:
        AppError: they do not go together.
    """
    first = nets[0]
    for net in nets[1:]:
        if _bare(net) != _bare(first) or set(net.dims) != set(first.dims):
            raise AppError(
                "Different networks",
                f"{printable(net.name)} (step {net.step}) is built otherwise than {printable(first.name)}.",
                "Average checkpoints of one run, or of runs of the same structure and widths.",
            )
    shares = shares or [1.0] * len(nets)
    if len(shares) != len(nets) or sum(shares) <= 0:
        why = f"{len(shares)} shares with the sum {sum(shares):g} for {len(nets)} files."
        raise AppError("Bad shares", why, "Give one number for each file, with a sum above 0.")
    whole = first.restructured(first.structure)
    states = [net.state_dict() for net in nets]
    total = sum(shares)
    mean = {
        key: sum((state[key].double() * (share / total) for state, share in zip(states, shares, strict=True)), start=0)
        for key in states[0]
    }
    for key, parameter in whole.named_parameters():
        parameter.data = torch.as_tensor(mean[key]).to(torch.float32)
    whole.step = max(net.step for net in nets)
    return whole


def _bare(net: Hypernetwork) -> object:
    """Return what must be alike: everything but how the weights began."""
    return replace(net.structure, weight_initialization="Normal")
