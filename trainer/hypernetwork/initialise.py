"""The first weights of a new hypernetwork, as A1111 draws them (hypernetwork.py:77-97 at v1.10.1)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.errors import AppError
from trainer.hypernetwork.structure import Structure

_NORMAL_STD = 0.01


def _xavier_uniform(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.xavier_uniform_(weight, generator=generator)


def _xavier_normal(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.xavier_normal_(weight, generator=generator)


def _kaiming_uniform(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)


def _kaiming_normal(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def _normal(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.normal_(weight, 0.0, _NORMAL_STD, generator=generator)


_DRAW: dict[str, Callable[[Tensor, torch.Generator], None]] = {
    "Normal": _normal,
    "XavierUniform": _xavier_uniform,
    "XavierNormal": _xavier_normal,
    "KaimingUniform": _kaiming_uniform,
    "KaimingNormal": _kaiming_normal,
}


@torch.no_grad()
def initialise(layers: nn.Sequential, structure: Structure, generator: torch.Generator) -> None:
    """Draw the weights of one module in place; biases are 0.

    LayerNorm weights are N(0, 0.01²) whatever the option, not ones: that keeps a fresh network small.
    """
    for layer in layers:
        if isinstance(layer, nn.Linear):
            _DRAW[structure.weight_initialization](layer.weight, generator)
            layer.bias.zero_()
        elif isinstance(layer, nn.LayerNorm):
            _normal(layer.weight, generator)
            layer.bias.zero_()
        elif isinstance(layer, nn.PReLU):
            layer.weight.fill_(0.25)


@torch.no_grad()
def zero_output(layers: nn.Sequential, structure: Structure) -> None:
    """Make the module's output 0, so that the hypernetwork starts as the identity and still learns.

    Raises:
        AppError: the output's activation is not 0 at 0, so that no weights can do it.
    """
    last = [layer for layer in layers if isinstance(layer, nn.Linear | nn.LayerNorm)][-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    behind = list(layers)[list(layers).index(last) + 1 :]
    output = nn.Sequential(*behind).eval()(torch.zeros(2, 2, 2))
    if output.any():
        raise AppError(
            "Cannot start as the identity",
            f"The activation {structure.activation_func} on the output is not 0 at 0.",
            "Turn activate_output off, or don't zero the last layer.",
        )
