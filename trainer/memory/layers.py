"""Which layers of a UNet are stored in 8 bits, or kept on the host: those that hold nearly all of its weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from trainer.memory.table import GROUP, FrozenFigures
from trainer.memory.ways import Offload

BLOCKS = ("down_blocks", "mid_block", "up_blocks")
"""The first and last convolution and the time embedding weigh little and matter most; they stay as they are."""


@dataclass(frozen=True)
class Layer:
    """A Linear or a convolution, and where it hangs."""

    parent: nn.Module
    name: str
    module: nn.Linear | nn.Conv2d

    def replace(self, module: nn.Module) -> None:
        """Put another module in its place."""
        setattr(self.parent, self.name, module)


def block_layers(unet: Any) -> list[Layer]:
    """Return the Linear layers and convolutions of a UNet's blocks."""
    return [
        Layer(parent, name, module)
        for block in BLOCKS
        for parent in getattr(unet, block).modules()
        for name, module in parent.named_children()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]


def offloaded(layers: list[Layer], offload: Offload) -> Iterator[bool]:
    """Tell for each layer whether it stays on the host; "half" takes turns, so that fetching is spread evenly."""
    total = away = 0
    for layer in layers:
        total += layer.module.weight.numel()
        goes = offload == "all" or (offload == "half" and 2 * away < total)
        away += goes * layer.module.weight.numel()
        yield goes


def group_length(row: int) -> int:
    """Return how many weights of a row of so many share a scale: the largest divisor up to `GROUP`."""
    return next(length for length in range(min(GROUP, row), 0, -1) if row % length == 0)


def figures(unet: Any) -> FrozenFigures:
    """Return what a plan must know of a UNet's layers."""
    layers = block_layers(unet)
    away = list(offloaded(layers, "half"))
    counts = [layer.module.weight.numel() for layer in layers]
    scales = [
        count // group_length(count // len(layer.module.weight)) for count, layer in zip(counts, layers, strict=True)
    ]
    return FrozenFigures(
        parameters=sum(counts),
        scales=sum(scales),
        half_parameters=sum(n for n, goes in zip(counts, away, strict=True) if goes),
        half_scales=sum(n for n, goes in zip(scales, away, strict=True) if goes),
        largest=max(counts),
    )
