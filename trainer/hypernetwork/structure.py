"""What a hypernetwork is made of, without torch.

The layer order and the defaults are AUTOMATIC1111's (modules/hypernetworks/hypernetwork.py at v1.10.1).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from trainer.errors import AppError
from trainer.text import nearest, printable

Number = int | float
Kind = Literal["linear", "activation", "norm", "dropout"]

COMFYUI_ACTIVATIONS = ("linear", "relu", "leakyrelu", "elu", "swish", "tanh", "sigmoid", "softsign", "mish")
"""Those that ComfyUI knows too; `swish` is Hardswish in both."""
ACTIVATION_NAMES = (
    *COMFYUI_ACTIVATIONS,
    *("celu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "logsigmoid", "logsoftmax", "prelu"),
    *("relu6", "rrelu", "selu", "silu", "softmax", "softmax2d", "softmin", "softplus", "softshrink", "tanhshrink"),
)
"""Every activation that A1111 can run."""
INITIALISATIONS = ("Normal", "XavierUniform", "XavierNormal", "KaimingUniform", "KaimingNormal")
_MAX_FACTOR = 100
DEFAULT_DROPOUT = 0.3
"""What the flags meant before probabilities were stored."""


@dataclass(frozen=True)
class Structure:
    """The layers of one module; all modules of a hypernetwork share it.

    Raises:
        AppError: a value is out of bounds or unknown.
    """

    layer_structure: tuple[Number, ...] = (1, 2, 1)
    """Widths as multiples of the context's; first and last are 1."""
    activation_func: str = "linear"
    """One of `ACTIVATION_NAMES`, after every Linear but the last."""
    is_layer_norm: bool = False
    """LayerNorm after each Linear and its activation, the last one included."""
    weight_initialization: str = "Normal"
    """One of `INITIALISATIONS`."""
    activate_output: bool = False
    """Activation after the last Linear too."""
    use_dropout: bool = False
    """The stored flag; what counts is `dropout_structure`."""
    dropout_structure: tuple[Number, ...] = ()
    """Probability after the Linear that makes each width; the first is unused. Empty means all zero."""

    def __post_init__(self) -> None:
        dropout = self.dropout_structure or (0,) * len(self.layer_structure)
        object.__setattr__(self, "layer_structure", tuple(self.layer_structure))
        object.__setattr__(self, "dropout_structure", tuple(dropout))
        _check_widths(self.layer_structure)
        _check_dropout(self.dropout_structure, len(self.layer_structure))
        _check_name("activation", self.activation_func, ACTIVATION_NAMES)
        _check_name("weight initialisation", self.weight_initialization, INITIALISATIONS)

    @property
    def last_layer_dropout(self) -> bool:
        """Whether the last inner width is dropped, as A1111 derives the flag when it saves."""
        return self.dropout_structure[-2] != 0

    @property
    def drops(self) -> bool:
        """Whether any layer draws random numbers while training."""
        return any(self.dropout_structure[1:]) or self.activation_func == "rrelu"

    @property
    def comfyui_problems(self) -> list[str]:
        """What makes ComfyUI show other pictures than A1111, even after a portable export."""
        problems = []
        if self.activation_func not in COMFYUI_ACTIVATIONS:
            problems.append(f"ComfyUI does not know the activation {self.activation_func} and ignores the file.")
        if self.is_layer_norm and self.activation_func != "linear":
            problems.append("ComfyUI adds an activation to the output where layer norm is on.")
        return problems

    def widths(self, dim: int) -> list[int]:
        """Return the width in front of, between and behind the Linears, truncated as A1111 does."""
        return [int(dim * factor) for factor in self.layer_structure]

    def slots(self) -> Iterator[tuple[Kind, int]]:
        """Yield the kind of each slot of the `Sequential` with the index of the Linear it belongs to."""
        last = len(self.layer_structure) - 2
        for layer in range(last + 1):
            yield "linear", layer
            if self.activation_func != "linear" and (layer < last or self.activate_output):
                yield "activation", layer
            if self.is_layer_norm:
                yield "norm", layer
            if self.dropout_structure[layer + 1] > 0:
                yield "dropout", layer


def dropout_from_flags(num_widths: int, use_dropout: bool, last_layer_dropout: bool) -> tuple[Number, ...]:
    """Return the probabilities that a file means which holds only the two flags."""
    if not use_dropout:
        return (0,) * num_widths
    inner = (DEFAULT_DROPOUT,) * max(0, num_widths - 3)
    probabilities = (0, *inner, DEFAULT_DROPOUT if last_layer_dropout else 0, 0)
    return probabilities[-num_widths:]


def _check_widths(factors: Sequence[Number]) -> None:
    if len(factors) < 2 or factors[0] != 1 or factors[-1] != 1 or not all(0 < f <= _MAX_FACTOR for f in factors):
        raise AppError(
            "Bad layer structure",
            f"{printable(list(factors))} must begin and end with 1, and stay above 0 and up to {_MAX_FACTOR}.",
            "Write e.g. 1, 2, 1.",
        )


def _check_dropout(probabilities: Sequence[Number], num_widths: int) -> None:
    if len(probabilities) != num_widths or not all(0 <= p < 1 for p in probabilities):
        raise AppError(
            "Bad dropout structure",
            f"{printable(list(probabilities))} must hold {num_widths} values, one for each width, from 0 to below 1.",
            "Write e.g. 0, 0.1, 0 for the layer structure 1, 2, 1.",
        )


def _check_name(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise AppError(
            f"Unknown {what}",
            f"{printable(name)} is not one that can be used here.{nearest(str(name), known)}",
            f"Choose one of: {', '.join(known)}.",
        )
