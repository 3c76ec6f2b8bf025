"""The maths of a hypernetwork: y = x + strength · f(x), one pair (f_K, f_V) for each context width.

Axes: B batch, L tokens, D context width.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Self, cast

import torch
from torch import Tensor, nn

from trainer.errors import AppError
from trainer.hypernetwork.initialise import initialise, zero_output
from trainer.hypernetwork.structure import Structure

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "elu": nn.ELU,
    "swish": nn.Hardswish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "celu": nn.CELU,
    "gelu": nn.GELU,
    "hardshrink": nn.Hardshrink,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "hardtanh": nn.Hardtanh,
    "logsigmoid": nn.LogSigmoid,
    # A1111 sets no axis, which means the first one of a 3-D input: the batch.
    "logsoftmax": partial(nn.LogSoftmax, dim=0),
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu6": nn.ReLU6,
    "rrelu": nn.RReLU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "softmax": partial(nn.Softmax, dim=0),
    "softmax2d": nn.Softmax2d,
    "softmin": partial(nn.Softmin, dim=0),
    "softplus": nn.Softplus,
    "softshrink": nn.Softshrink,
    "softsign": nn.Softsign,
    "tanhshrink": nn.Tanhshrink,
}


class ContextModule(nn.Module):
    """One f: changes the context that one projection (K or V) sees."""

    def __init__(self, dim: int, structure: Structure) -> None:
        super().__init__()
        widths = structure.widths(dim)
        if min(widths) < 1:
            raise AppError(
                "Layer too narrow",
                f"A factor of {list(structure.layer_structure)} leaves no channel at width {dim}.",
                "Use a larger factor in the layer structure.",
            )
        self.linear = nn.Sequential(*(_layer(kind, i, widths, structure) for kind, i in structure.slots()))

    def forward(self, x_BLD: Tensor, strength: float = 1.0) -> Tensor:
        """Return x + strength · f(x), shape and dtype of x.

        In training mode strength counts as 1, as in A1111. Strength 0 returns x itself. The product runs in
        the weights' dtype, or in autocast's where that is on.
        """
        if self.training:
            strength = 1.0
        elif strength == 0:
            return x_BLD
        inner_BLD = x_BLD
        if not torch.is_autocast_enabled(x_BLD.device.type):
            inner_BLD = x_BLD.to(cast(nn.Linear, self.linear[0]).weight.dtype)
        return torch.add(x_BLD, self.linear(inner_BLD), alpha=strength).to(x_BLD.dtype)

    def weighted_layers(self) -> list[nn.Module]:
        """Return the layers that have weights, in order."""
        return [layer for layer in self.linear if any(True for _ in layer.parameters())]


class Hypernetwork(nn.Module):
    """Pairs of modules for the context widths of a UNet, and what a file says about them.

    `parameters()` runs through the widths in order, K before V: the order of A1111's `.optim` files.
    Networks are made and loaded in eval mode; call `train()` before training.
    """

    def __init__(self, dims: Sequence[int], structure: Structure, name: str = "") -> None:
        super().__init__()
        if not dims or len(set(dims)) != len(dims) or min(dims) < 1:
            why = f"{list(dims)} must be different numbers above 0."
            raise AppError("Bad context widths", why, "Use e.g. 768, 320, 640, 1280.")
        self.structure = structure
        self.name = name
        self.step = 0
        """Optimizer steps done."""
        self.sd_checkpoint: str | None = None
        """First 10 hex digits of the base model's SHA-256."""
        self.sd_checkpoint_name: str | None = None
        self.optional_info: str | None = None
        self.warnings: list[str] = []
        """What was unusual in the file this came from."""
        # Storage comes with the weights: initialising here would cost time and disturb the global generator.
        with torch.device("meta"):
            self.pairs = nn.ModuleDict(
                {str(dim): nn.ModuleList([ContextModule(dim, structure) for _ in "KV"]) for dim in dims}
            )
        self.eval()

    @classmethod
    def create(
        cls,
        dims: Sequence[int],
        structure: Structure | None = None,
        *,
        seed: int,
        zero_last_layer: bool = False,
        name: str = "",
    ) -> Self:
        """Make a new network on the CPU in float32.

        Args:
            dims: Context widths, e.g. [768, 320, 640, 1280] for SD 1.x; their order is that of the file.
            structure: Layers; A1111's defaults (1, 2, 1 without activation) if left out.
            seed: The same seed gives the same weights.
            zero_last_layer: Start as the identity instead of as a small random change.
            name: What `<hypernet:NAME:1>` shall say.

        Raises:
            AppError: the widths or the structure cannot be built.
        """
        net = cls(dims, structure or Structure(), name)
        net.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        for module in net.context_modules():
            initialise(module.linear, net.structure, generator)
            if zero_last_layer:
                zero_output(module.linear, net.structure)
        return net

    @property
    def dims(self) -> list[int]:
        """Context widths, in file order."""
        return [int(dim) for dim in self.pairs]

    @property
    def draws_randomly(self) -> bool:
        """Whether two calls with the same context can differ now (dropout in training mode)."""
        return self.training and self.structure.drops

    def pair(self, dim: int) -> tuple[ContextModule, ContextModule] | None:
        """Return the K and V modules of a context width, or None."""
        if str(dim) not in self.pairs:
            return None
        key_module, value_module = self.pairs[str(dim)].children()
        return cast(ContextModule, key_module), cast(ContextModule, value_module)

    def context_modules(self) -> Iterator[ContextModule]:
        """Yield all modules in the order of the file: for each width K, then V."""
        for dim in self.dims:
            yield from self.pair(dim) or ()

    def transform(self, context_BLD: Tensor, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return the contexts that the key and the value projection see, in the dtype of the given one.

        A width without a pair comes back unchanged.
        """
        return self.transform_pair(context_BLD, context_BLD, strength)

    def transform_pair(
        self, key_context_BLD: Tensor, value_context_BLD: Tensor, strength: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Transform what another network has transformed before: K and V go separate ways."""
        pair = self.pair(key_context_BLD.shape[-1])
        if pair is None:
            return key_context_BLD, value_context_BLD
        return pair[0](key_context_BLD, strength), pair[1](value_context_BLD, strength)

    def forward(self, context_BLD: Tensor, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """Do what `transform` does."""
        return self.transform(context_BLD, strength)

    def restructured(self, structure: Structure) -> "Hypernetwork":
        """Return a network with the same weights in another structure of equal weighted layers.

        For leaving dropout out, which moves the number of every later layer. Weights are shared, not copied.
        """
        other = Hypernetwork(self.dims, structure, self.name)
        for mine, its in zip(self.context_modules(), other.context_modules(), strict=True):
            for layer, empty in zip(mine.weighted_layers(), its.weighted_layers(), strict=True):
                empty.load_state_dict(layer.state_dict(), assign=True)
        other.step, other.optional_info = self.step, self.optional_info
        other.sd_checkpoint, other.sd_checkpoint_name = self.sd_checkpoint, self.sd_checkpoint_name
        return other


def _layer(kind: str, index: int, widths: list[int], structure: Structure) -> nn.Module:
    if kind == "linear":
        return nn.Linear(widths[index], widths[index + 1])
    if kind == "activation":
        return _ACTIVATIONS[structure.activation_func]()
    if kind == "norm":
        return nn.LayerNorm(widths[index + 1])
    return nn.Dropout(structure.dropout_structure[index + 1])
