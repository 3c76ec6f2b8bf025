"""Frozen layers whose weights are stored in 8 bits, on the host, or both.

Autograd keeps every weight that a product used until backward is over, so that hooks which bring a weight and take
it away again free nothing in training. Here the product is an autograd function of its own: it keeps where the
weight is stored, and gets it once more in backward. Only the gradient of its input exists, as the weights are frozen.

Tensor axes: O output channels, R the rest of a weight's row, G groups of a row, N weights of a group.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from trainer.memory.layers import group_length
from trainer.memory.stream import Streamer

MOST = 127
"""Stored whole numbers go from -127 to 127."""


def pack(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a weight as int8, in its shape, and a float32 scale for each group of a row.

    Symmetric rounding to the nearest; groups keep one large weight from coarsening all others of its row.
    """
    weight_GN = weight.float().reshape(-1, group_length(weight[0].numel()))
    scale_G1 = weight_GN.abs().amax(dim=1, keepdim=True) / MOST
    scale_G1 = scale_G1.clamp(min=torch.finfo(torch.float32).tiny)
    return (weight_GN / scale_G1).round().to(torch.int8).reshape(weight.shape), scale_G1


def unpack(packed: Tensor, scale_G1: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the weight that `pack` stored, in `dtype`; multiplied in float32, rounded once."""
    weight = torch.empty(packed.shape, dtype=dtype, device=packed.device)
    torch.mul(packed.view(len(scale_G1), -1), scale_G1, out=weight.view(len(scale_G1), -1))
    return weight


@dataclass
class StoredWeight:
    """A frozen weight: as it is or packed, on the device or on the host."""

    dtype: torch.dtype
    tensors: tuple[Tensor, ...]
    """The weight, or int8 and scales; empty where they are on the host."""
    streamer: Streamer | None = None
    number: int = 0
    """Of the layer, where it is on the host."""

    @contextmanager
    def there(self) -> Iterator[Tensor]:
        """Have the weight on the device inside this block."""
        if self.streamer is None:
            yield self._wide(self.tensors)
            return
        visitor = self.streamer.fetch(self.number)
        try:
            yield self._wide(visitor.tensors)
        finally:
            self.streamer.release(visitor)

    def _wide(self, tensors: tuple[Tensor, ...]) -> Tensor:
        return unpack(tensors[0], tensors[1], self.dtype) if len(tensors) == 2 else tensors[0]


class StoredLayer(nn.Module):
    """What both kinds of layer share: where the weight is, and the bias, which stays on the device."""

    bias: Tensor | None

    def __init__(self, weight: StoredWeight, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("bias", None if bias is None else bias.detach())

    def _input(self, x: Tensor) -> Tensor:
        # As autocast would convert it: it isn't asked inside an autograd function of ours.
        return x.to(self.weight.dtype) if torch.is_autocast_enabled(x.device.type) else x


class StoredLinear(StoredLayer):
    """`nn.Linear` with a stored weight."""

    def __init__(self, layer: nn.Linear, weight: StoredWeight) -> None:
        super().__init__(weight, layer.bias)
        self.in_features, self.out_features = layer.in_features, layer.out_features

    def forward(self, x: Tensor) -> Tensor:
        """Return x Wᵀ + b."""
        product: Tensor = _Linear.apply(self._input(x), self.weight, self.bias)  # type: ignore[no-untyped-call]
        return product


class StoredConv2d(StoredLayer):
    """`nn.Conv2d` with a stored weight."""

    def __init__(self, layer: nn.Conv2d, weight: StoredWeight) -> None:
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise ValueError(f"padding {layer.padding_mode} {layer.padding} has no place in a UNet")
        super().__init__(weight, layer.bias)
        self.in_channels, self.out_channels = layer.in_channels, layer.out_channels
        self.kernel_size, self.stride, self.padding = layer.kernel_size, layer.stride, layer.padding
        self.dilation, self.groups = layer.dilation, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution."""
        shape = self.stride, self.padding, self.dilation, self.groups
        result: Tensor = _Conv2d.apply(self._input(x), self.weight, self.bias, shape)  # type: ignore[no-untyped-call]
        return result


def frozen_tensors(unet: nn.Module) -> list[Tensor]:
    """Return what a frozen UNet holds on the device: parameters, buffers, packed weights, and the window."""
    layers = [module.weight for module in unet.modules() if isinstance(module, StoredLayer)]
    packed = [tensor for weight in layers for tensor in weight.tensors]
    streamers = {id(weight.streamer): weight.streamer for weight in layers if weight.streamer is not None}
    windows = [streamer.window for streamer in streamers.values()]
    return [*unet.parameters(), *unet.buffers(), *packed, *windows]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: StoredWeight, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        with weight.there() as wide:
            return F.linear(x, wide, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        with ctx.weight.there() as wide:
            return grads[0] @ wide, None, None


class _Conv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: StoredWeight, bias: Tensor | None, shape: tuple[Any, ...]) -> Tensor:
        ctx.weight, ctx.shape, ctx.input_shape = weight, shape, x.shape
        with weight.there() as wide:
            return F.conv2d(x, wide, bias, *shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        with ctx.weight.there() as wide:
            return conv2d_input(ctx.input_shape, wide, grads[0], *ctx.shape), None, None, None
