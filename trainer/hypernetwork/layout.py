"""Find out from the tensors how a stored hypernetwork is built; its flags only fill the gaps.

Slots without tensors (activation, dropout) show as gaps in the numbering `linear.<slot>.weight`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from trainer.errors import AppError
from trainer.hypernetwork.structure import DEFAULT_DROPOUT, Number, Structure
from trainer.text import printable

_KEY = re.compile(r"linear\.(\d{1,4})\.(weight|bias)")
_FIRST_GENERATION = {"linear1": "linear.0", "linear2": "linear.1"}
"""Names until October 2022, NovelAI's originals included."""

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class FoundLayer:
    """One Linear and what follows it."""

    widths: tuple[int, int]
    """In and out."""
    has_activation_weight: bool = False
    """A PReLU, the only activation with a tensor."""
    has_norm: bool = False
    free_before_norm: int = 0
    """Slots without tensors between the Linear and its LayerNorm."""
    free: int = 0
    """Slots without tensors up to the next Linear; up to the last tensor behind the last Linear."""


@dataclass(frozen=True)
class FoundModule:
    """One K or V module as it lies in a file."""

    layers: tuple[FoundLayer, ...]
    tensors: tuple[Tensors, ...]
    """The tensors of each weighted layer in order, named as in its own state dict."""

    @property
    def pattern(self) -> tuple[tuple[object, ...], ...]:
        """What must be alike in all modules of a file: everything but the widths."""
        return tuple((x.has_activation_weight, x.has_norm, x.free_before_norm, x.free) for x in self.layers)

    @property
    def widths(self) -> list[int]:
        """Widths in front of, between and behind the Linears."""
        return [self.layers[0].widths[0], *(layer.widths[1] for layer in self.layers)]


def find_module(state: Mapping[str, Tensor], dim: int) -> FoundModule:
    """Read the layers of one module.

    Raises:
        AppError: the names or shapes are not those of a hypernetwork of this width.
    """
    slots = _by_slot(state)
    layers: list[FoundLayer] = []
    previous = -1
    for slot, tensors in sorted(slots.items()):
        layers = _extended(layers, tensors, slot - previous - 1)
        previous = slot
    widths = [layer.widths for layer in layers]
    joined = all(before[1] == after[0] for before, after in pairwise(widths))
    if not layers or not joined or widths[0][0] != dim or widths[-1][1] != dim:
        raise _unusual(f"its layers {widths} do not lead from width {dim} back to {dim}")
    return FoundModule(tuple(layers), tuple(slots[slot] for slot in sorted(slots)))


def infer_structure(modules: Mapping[int, Sequence[FoundModule]], stated: Structure) -> Structure:
    """Return the structure that the tensors show, taking from `stated` what they cannot.

    Args:
        modules: For each context width its K and V module.
        stated: What the file's flags say.

    Raises:
        AppError: the modules are built differently, or the gaps cannot be explained.
    """
    found = [module for pair in modules.values() for module in pair]
    layers = found[0].layers
    if any(module.pattern != found[0].pattern for module in found):
        raise _unusual("its modules are not all built alike")
    norms = {layer.has_norm for layer in layers}
    if len(norms) > 1:
        raise _unusual("only some of its layers have a layer norm")
    activation = _activation(layers, stated.activation_func)
    return Structure(
        layer_structure=_factors(modules, stated.layer_structure),
        activation_func=activation,
        is_layer_norm=norms.pop(),
        weight_initialization=stated.weight_initialization,
        activate_output=_activates_output(layers[-1], activation, stated.activate_output),
        use_dropout=stated.use_dropout,
        dropout_structure=_dropout(layers, activation, stated.dropout_structure),
    )


def _by_slot(state: Mapping[str, Tensor]) -> dict[int, Tensors]:
    slots: dict[int, Tensors] = {}
    for key, tensor in state.items():
        first, _, rest = str(key).partition(".")
        match = _KEY.fullmatch(f"{_FIRST_GENERATION.get(first, first)}.{rest}")
        if match is None or not isinstance(tensor, Tensor):
            raise _unusual(f"it holds {printable(key, 80)}, which no module of A1111 has")
        slots.setdefault(int(match[1]), {})[match[2]] = tensor
    return slots


def _extended(layers: list[FoundLayer], tensors: Tensors, gap: int) -> list[FoundLayer]:
    """Add one slot with tensors, `gap` empty slots behind the last one."""
    weight, bias = tensors.get("weight"), tensors.get("bias")
    if weight is not None and bias is not None and weight.ndim == 2 and bias.shape == weight.shape[:1]:
        done = [*layers[:-1], _with(layers[-1], free=layers[-1].free + gap)] if layers else []
        if not layers and gap:
            raise _unusual("its first layer is missing")
        return [*done, FoundLayer((weight.shape[1], weight.shape[0]))]
    if weight is None or not layers or layers[-1].has_norm:
        raise _unusual("a tensor is missing")
    last = layers[-1]
    if bias is None and weight.numel() == 1 and not last.has_activation_weight:
        return [*layers[:-1], _with(last, has_activation_weight=True, free=last.free + gap)]
    if bias is not None and weight.shape == bias.shape == (last.widths[1],):
        free = last.free + gap
        return [*layers[:-1], _with(last, has_norm=True, free=free, free_before_norm=free)]
    raise _unusual(f"a tensor has the shape {tuple(weight.shape)} where none of A1111's layers has it")


def _with(layer: FoundLayer, **changes: int) -> FoundLayer:
    return FoundLayer(**{**vars(layer), **changes})


def _activation(layers: Sequence[FoundLayer], stated: str) -> str:
    inner = layers[:-1]
    weights = {layer.has_activation_weight for layer in inner}
    if len(weights) > 1 or (weights == {False} and layers[-1].has_activation_weight):
        raise _unusual("only some of its layers have an activation")
    if layers[0].has_activation_weight:
        return "prelu"
    name = stated if all(layer.free for layer in inner) else "linear"
    if any(layer.free > 1 + (name != "linear") for layer in inner):
        raise _unusual("it leaves room for an activation that it does not name")
    return name


def _activates_output(last: FoundLayer, activation: str, stated: bool) -> bool:
    if activation == "prelu":
        return last.has_activation_weight
    return last.free_before_norm > 0 if last.has_norm and activation != "linear" else stated


def _dropout(layers: Sequence[FoundLayer], activation: str, stated: Sequence[Number]) -> tuple[Number, ...]:
    """Return the probabilities: what is stated, 0 where no slot is, A1111's old 0.3 where only the slot is."""
    activation_slots = 0 if activation in ("linear", "prelu") else 1
    found = list(stated[: len(layers) + 1]) + [0] * (len(layers) + 1 - len(stated))
    for position, layer in enumerate(layers[:-1], start=1):
        if layer.free == activation_slots:
            found[position] = 0
        elif not found[position]:
            found[position] = DEFAULT_DROPOUT
    return tuple(found)


def _factors(modules: Mapping[int, Sequence[FoundModule]], stated: Sequence[Number]) -> tuple[Number, ...]:
    """Return width multipliers that give the widths found at every context width."""
    widths = {dim: pair[0].widths for dim, pair in modules.items()}
    for dim, pair in modules.items():
        if any(module.widths != widths[dim] for module in pair):
            raise _unusual("its K and V modules have different widths")
    if all([int(dim * f) for f in stated] == found for dim, found in widths.items()):
        return tuple(stated)
    count = len(next(iter(widths.values())))
    return tuple(_factor({dim: found[i] for dim, found in widths.items()}) for i in range(count))


def _factor(widths: Mapping[int, int]) -> Number:
    # Widths are truncated products, so a half is added where the plain quotient falls short.
    for dim, width in widths.items():
        for factor in (width // dim, width / dim, (width + 0.5) / dim):
            if factor and all(int(d * factor) == w for d, w in widths.items()):
                return factor
    raise _unusual("its layer widths are not multiples of the context widths")


def _unusual(why: str) -> AppError:
    return AppError("Not a hypernetwork that A1111 could load", f"In this file {why}.", "Get it in A1111's own format.")
