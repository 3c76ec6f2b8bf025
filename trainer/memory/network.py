"""What a hypernetwork weighs, from its structure and widths alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from trainer.config.model import NetworkSettings
from trainer.hypernetwork.structure import Structure
from trainer.memory.table import BYTES, Architecture, Precision

_SAVE_THEIR_OUTPUT = {"relu", "tanh", "sigmoid"}
"""Activations whose backward needs the output, which the next Linear keeps anyway; others keep their input."""
REFERENCE = Structure((1, 2, 1))
"""The structure that the table of peaks is made with; others are computed from it."""


@dataclass(frozen=True)
class NetworkSize:
    """A hypernetwork as far as memory is concerned."""

    dims: tuple[int, ...]
    structure: Structure
    file_bytes: int = 0
    """Size of the file it goes on from, whose structure then counts; 0 for a new network."""

    @classmethod
    def of(cls, settings: NetworkSettings, architecture_dims: Sequence[int]) -> "NetworkSize":
        """Take the network that the settings describe, or the size of the file they go on from."""
        structure = Structure(
            layer_structure=settings.layer_structure,
            activation_func=settings.activation,
            is_layer_norm=settings.layer_norm,
            activate_output=settings.activate_output,
            use_dropout=any(settings.dropout_structure),
            dropout_structure=settings.dropout_structure,
        )
        path = Path(settings.start_from)
        size = path.stat().st_size if settings.start_from and path.is_file() else 0
        return cls(settings.widths or tuple(architecture_dims), structure, size)

    @cached_property
    def parameters(self) -> int:
        """Number of parameters, keys' and values' modules of all widths."""
        if self.file_bytes:
            return self.file_bytes // 4
        return sum(parameters_of(self.structure, dim) for dim in self.dims)

    @property
    def weight_bytes(self) -> int:
        """Of the weights, which are float32; gradients take as much, AdamW's two moments twice as much."""
        return 4 * self.parameters

    def beyond_reference(self, architecture: Architecture, precision: Precision, area: float, *, one: bool) -> float:
        """Return activation bytes for one picture beyond those of the table's own structure (or below).

        Args:
            architecture: Whose layers it is attached to.
            precision: Of the computation.
            area: Of the picture in pixels.
            one: Count only the largest layer: with checkpointing the others are not alive at the same time.
        """

        def beyond(dim: int) -> float:
            kept = saved_bytes(self.structure, dim, precision) if dim in self.dims else 0
            return kept - saved_bytes(REFERENCE, dim, precision)

        layers = [
            (kind.count, architecture.tokens_of(kind, area) * beyond(kind.width)) for kind in architecture.attention
        ]
        text = architecture.tokens * beyond(architecture.context_dim)
        if one:
            return max(value for _, value in layers) + text
        # With dropout each layer transforms the text for itself.
        times = sum(count for count, _ in layers) if self.structure.drops else 1
        return sum(count * value for count, value in layers) + times * text

    def half_copies_beyond_reference(self, architecture: Architecture) -> int:
        """Return bytes of the copies of weights that autocast makes, beyond those of the table's own structure."""
        return 2 * (self.parameters - sum(parameters_of(REFERENCE, dim) for dim in architecture.dims))


def parameters_of(structure: Structure, dim: int) -> int:
    """Return the parameters of the pair of modules of one width."""
    widths = structure.widths(dim)
    total = 0
    for kind, layer in structure.slots():
        if kind == "linear":
            total += widths[layer] * widths[layer + 1] + widths[layer + 1]
        elif kind == "norm":
            total += 2 * widths[layer + 1]
        elif kind == "activation":
            total += structure.activation_func == "prelu"
    return 2 * total


def saved_bytes(structure: Structure, dim: int, precision: Precision) -> int:
    """Return what the pair of modules of one width keeps for backward per token, its first input left out.

    A tensor that two layers keep counts once. Autocast gives Linears copies in half precision and norms copies
    in float32. Dropout keeps a mask of the computation's type, as on the CPU; on CUDA it is a byte.
    """
    widths, item = structure.widths(dim), BYTES[precision]
    kept: dict[int, int] = {0: 0}
    current, current_item, made = 0, item, 0
    for kind, layer in structure.slots():
        width = widths[layer + 1]
        wanted_item = {"linear": item, "norm": 4}.get(kind, current_item)
        if wanted_item != current_item:
            current = made = made + 1
            current_item = wanted_item
        if kind == "dropout":
            made += 1
            kept[made] = item * width
        elif kind != "activation" or structure.activation_func not in _SAVE_THEIR_OUTPUT:
            kept.setdefault(current, current_item * (widths[layer] if kind == "linear" else width))
        current = made = made + 1
        if kind == "activation" and structure.activation_func in _SAVE_THEIR_OUTPUT:
            kept[current] = current_item * width
    return 2 * sum(kept.values())
