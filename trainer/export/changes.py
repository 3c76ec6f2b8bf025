"""What a linear hypernetwork changes in each attention layer of a UNet, and the proof that it is the same.

Axes: B batch, L tokens, D context width, O output width, R rank.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.export.linear import LinearMap, Projection
from trainer.hypernetwork.attention import HypernetworkProcessor
from trainer.hypernetwork.modules import Hypernetwork

CHECK_TOKENS = 16

Maps = Mapping[tuple[int, Projection], LinearMap]


@dataclass(frozen=True)
class LayerChange:
    """The changes of one attention layer, to be added to its weights; float64 on the CPU."""

    name: str
    """The layer in diffusers' names, e.g. down_blocks.0.attentions.0.transformer_blocks.0.attn1."""
    key_OD: Tensor
    value_OD: Tensor
    out_bias_O: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return the changes by the names of the weights that they change."""
        return {
            f"{self.name}.to_k.weight": self.key_OD,
            f"{self.name}.to_v.weight": self.value_OD,
            f"{self.name}.to_out.0.bias": self.out_bias_O,
        }


def attention_layers(unet: Any) -> dict[str, Any]:
    """Return the attention layers of a UNet by name."""
    return {
        name: module for name, module in unet.named_modules() if hasattr(module, "to_k") and hasattr(module, "to_out")
    }


def layer_changes(unet: Any, maps: Maps) -> Iterator[LayerChange]:
    """Yield the change of each layer whose context width the network covers.

    Args:
        unet: Gives the weights, whatever their type; it is not changed.
        maps: Those of the network, with its strength in them.
    """
    for name, layer in attention_layers(unet).items():
        dim = layer.to_k.in_features
        if (dim, "k") not in maps:
            continue
        key, value = maps[dim, "k"], maps[dim, "v"]
        value_weight_OD = layer.to_v.weight.detach().cpu().double()
        out_weight = layer.to_out[0].weight.detach().cpu().double()
        yield LayerChange(
            name,
            layer.to_k.weight.detach().cpu().double() @ key.matrix_DD,
            value_weight_OD @ value.matrix_DD,
            out_weight @ (value_weight_OD @ value.bias_D),
        )


@torch.no_grad()
def check_layers(unet: Any, net: Hypernetwork, strength: float, changes: Mapping[str, Tensor]) -> float:
    """Compare attention with the network against attention with changed weights, in every layer on random input.

    Args:
        unet: The unchanged UNet; float32.
        net: The network, in eval mode.
        strength: Its strength.
        changes: What is added to each weight, by its name in the UNet, as read back from what was written.

    Returns:
        The largest difference, as a share of what the network changes in that layer.
    """
    worst = 0.0
    generator = torch.Generator().manual_seed(0)
    for name, layer in attention_layers(unet).items():
        if net.pair(layer.to_k.in_features) is None:
            continue
        wanted_BLD, plain_BLD, found_BLD = _outputs(name, layer, net, strength, changes, generator)
        effect = float((wanted_BLD - plain_BLD).norm())
        if effect:
            worst = max(worst, float((found_BLD - wanted_BLD).norm()) / effect)
    return worst


def _outputs(
    name: str,
    layer: Any,
    net: Hypernetwork,
    strength: float,
    changes: Mapping[str, Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a layer's output with the network, without it, and with changed weights."""
    hidden_BLD = torch.randn(1, CHECK_TOKENS, layer.to_q.in_features, generator=generator)
    context_BLD = torch.randn(1, CHECK_TOKENS, layer.to_k.in_features, generator=generator)
    inputs = (hidden_BLD, context_BLD if layer.is_cross_attention else None)
    working = deepcopy(layer).float()
    working.processor = HypernetworkProcessor(())
    plain_BLD = working(*inputs)
    working.processor = HypernetworkProcessor(((net, strength),))
    wanted_BLD = working(*inputs)
    working.processor = HypernetworkProcessor(())
    for parameter_name, parameter in working.named_parameters():
        change = changes.get(f"{name}.{parameter_name}")
        if change is not None:
            parameter += change.to(parameter.dtype)
    return wanted_BLD, plain_BLD, working(*inputs)
