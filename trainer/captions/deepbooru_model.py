"""DeepDanbooru's network "resnet_custom_v3" in the layout of TorchDeepDanbooru's published file.

The file's names are `n_Conv_0` to `n_Conv_178` in the order of computation: a stem, six groups of residual
blocks of three convolutions each, and a 1x1 convolution that gives a score for each tag.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from trainer.errors import AppError
from trainer.safe_pickle import read_pickle
from trainer.text import printable

BASE = 64
"""Channels of the published file's stem; all other widths are multiples."""

SIDE_PX = 512
"""Side of the square it looks at."""


@dataclass(frozen=True)
class _Group:
    """Residual blocks of one width; widths as multiples of the stem's."""

    middle: int
    out: int
    blocks: int
    halves: bool = True
    """The first block halves the picture's sides."""
    shortcut_last: bool = False
    """The first block's shortcut is numbered behind its other convolutions, not before them."""


GROUPS = (
    _Group(1, 4, 3, halves=False),
    _Group(2, 8, 8),
    _Group(4, 16, 20),
    _Group(4, 16, 20, shortcut_last=True),
    _Group(8, 32, 3),
    _Group(16, 64, 3),
)


class _Block(nn.Module):
    """A residual block; its convolutions belong to the network, which gives them their names."""

    def __init__(self, convolutions: list[nn.Conv2d], shortcut: nn.Conv2d | None) -> None:
        super().__init__()
        self._parts = convolutions
        self._shortcut = shortcut

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return relu(shortcut(x) + branch(x))."""
        narrow, wide, back = self._parts
        kept = x_BCHW if self._shortcut is None else self._shortcut(x_BCHW)
        x_BCHW = F.relu(narrow(x_BCHW))
        # TensorFlow's "same": what is halved is padded at the right and below only.
        x_BCHW = F.pad(x_BCHW, (0, 1, 0, 1) if wide.stride == (2, 2) else (1, 1, 1, 1))
        return F.relu(back(F.relu(wide(x_BCHW))) + kept)


class DeepDanbooru(nn.Module):
    """The network.

    Args:
        tags: Names of its outputs.
        base: Channels of the stem.
    """

    def __init__(self, tags: list[str], base: int = BASE) -> None:
        super().__init__()
        self.tags = tags
        self._count = 0
        self._convolution(3, base, 7, 2)
        # A plain list: the blocks' weights are registered under the file's names already.
        self._blocks: list[_Block] = []
        width = base
        for group in GROUPS:
            for number in range(group.blocks):
                self._blocks.append(self._block(group, number == 0, width, base))
                width = group.out * base
        self._convolution(width, len(tags), 1, bias=False)

    def _block(self, group: _Group, first: bool, width: int, base: int) -> _Block:
        stride = 2 if first and group.halves else 1
        out, middle = group.out * base, group.middle * base
        shortcut = None
        if first and not group.shortcut_last:
            shortcut = self._convolution(width, out, 1, stride)
        parts = [
            self._convolution(width, middle, 1),
            self._convolution(middle, middle, 3, stride),
            self._convolution(middle, out, 1),
        ]
        if first and group.shortcut_last:
            shortcut = self._convolution(width, out, 1, stride)
        return _Block(parts, shortcut)

    def _convolution(self, inside: int, out: int, kernel: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
        convolution = nn.Conv2d(inside, out, kernel, stride, bias=bias)
        self.add_module(f"n_Conv_{self._count}", convolution)
        self._count += 1
        return convolution

    def forward(self, pixels_BHWC: torch.Tensor) -> torch.Tensor:
        """Return the score of each tag, 0 to 1 (BT), for pictures of colours 0 to 1."""
        first, last = self.get_submodule("n_Conv_0"), self.get_submodule(f"n_Conv_{self._count - 1}")
        x_BCHW = F.relu(first(F.pad(pixels_BHWC.permute(0, 3, 1, 2), (2, 3, 2, 3))))
        x_BCHW = F.max_pool2d(F.pad(x_BCHW, (0, 1, 0, 1), value=float("-inf")), 3, 2)
        for block in self._blocks:
            x_BCHW = block(x_BCHW)
        return torch.sigmoid(last(x_BCHW).mean((2, 3)))


def read_deepdanbooru(path: Path) -> DeepDanbooru:
    """Read the published file: a dictionary of tensors and the list "tags".

    Raises:
        AppError: it is damaged, unsafe, or another model's.
    """
    tree = read_pickle(path, mmap=True)
    if not isinstance(tree, Mapping) or not isinstance(tree.get("tags"), list):
        raise _other(path, 'has no list "tags"')
    tags, stem = [str(tag) for tag in tree["tags"]], tree.get("n_Conv_0.weight")
    if not isinstance(stem, torch.Tensor) or stem.dim() != 4:
        raise _other(path, "has no n_Conv_0.weight")
    with torch.device("meta"):
        model = DeepDanbooru(tags, stem.shape[0])
    tensors: dict[str, Any] = {name: value for name, value in tree.items() if isinstance(value, torch.Tensor)}
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wrong = [name for name, shape in wanted.items() if name not in tensors or tuple(tensors[name].shape) != shape]
    if wrong:
        raise _other(path, f"lacks {printable(wrong[0], 60)} of shape {wanted[wrong[0]]}, among {len(wrong)}")
    model.load_state_dict({name: tensors[name].float() for name in wanted}, assign=True)
    return model.eval().requires_grad_(False)


def _other(path: Path, what: str) -> AppError:
    return AppError(
        "Not Deepbooru's model", f"{printable(path)} {what}.", "Fetch model-resnet_custom_v3.pt of TorchDeepDanbooru."
    )
