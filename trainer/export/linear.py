"""A linear hypernetwork as one matrix and one bias for each projection.

Axes: D context width, R rank.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from trainer.errors import AppError
from trainer.export.exactness import why_not_exact
from trainer.hypernetwork.modules import ContextModule, Hypernetwork
from trainer.hypernetwork.structure import Structure

RANK_TOLERANCE = 1e-7
"""Singular values below this share of the largest are rounding."""

Projection = Literal["k", "v"]


@dataclass(frozen=True)
class LinearMap:
    """f(x) = matrix · x + bias, in float64 on the CPU."""

    matrix_DD: Tensor
    bias_D: Tensor

    def scaled(self, strength: float) -> "LinearMap":
        """Return the map times a strength."""
        return LinearMap(self.matrix_DD * strength, self.bias_D * strength)


def why_not_linear(structure: Structure) -> str:
    """Say what keeps a network from being a linear map; empty where nothing does."""
    return why_not_exact(
        structure.layer_structure,
        structure.activation_func,
        activate_output=structure.activate_output,
        is_layer_norm=structure.is_layer_norm,
    )


def linear_maps(net: Hypernetwork) -> dict[tuple[int, Projection], LinearMap]:
    """Return the maps of a linear network by context width and projection.

    Raises:
        AppError: the network is not linear.
    """
    reason = why_not_linear(net.structure)
    if reason:
        raise AppError(
            "Not exact",
            f"This hypernetwork cannot become a change of weights: {reason}.",
            "The closest change can be taken instead, with its error measured (--approximate).",
        )
    maps: dict[tuple[int, Projection], LinearMap] = {}
    for dim in net.dims:
        pair = net.pair(dim)
        assert pair is not None
        maps[dim, "k"], maps[dim, "v"] = _collapsed(pair[0], dim), _collapsed(pair[1], dim)
    return maps


@torch.no_grad()
def _collapsed(module: ContextModule, dim: int) -> LinearMap:
    matrix, bias = torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    for layer in module.linear:
        if isinstance(layer, nn.Linear):
            weight = layer.weight.detach().cpu().double()
            matrix, bias = weight @ matrix, weight @ bias + layer.bias.detach().cpu().double()
    return LinearMap(matrix, bias)


def linear_network(maps: dict[tuple[int, Projection], LinearMap], like: Hypernetwork) -> Hypernetwork:
    """Return a hypernetwork of one layer per module that computes these maps."""
    net = Hypernetwork(list(dict.fromkeys(dim for dim, _ in maps)), Structure(layer_structure=(1, 1)), like.name)
    for dim in net.dims:
        for module, projection in zip(net.pair(dim) or (), ("k", "v"), strict=True):
            found = maps[dim, "k" if projection == "k" else "v"]
            state = {"weight": found.matrix_DD.float(), "bias": found.bias_D.float()}
            module.linear[0].load_state_dict(state, assign=True)
    net.step, net.sd_checkpoint, net.sd_checkpoint_name = like.step, like.sd_checkpoint, like.sd_checkpoint_name
    return net
