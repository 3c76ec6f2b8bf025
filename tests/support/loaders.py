"""A1111's and ComfyUI's ways of loading a hypernetwork, written anew from the reference, to load what we write.

Only the rules matter: which zip members are allowed, which globals a pickle may name, what the layers become.
"""

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# All releases of A1111 up to 1.9.4 allow only these; later ones allow a few more.
A1111_MEMBERS = re.compile(r"^([^/]+)/((data/\d+)|version|(data\.pkl))$")
A1111_GLOBALS = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    *(("torch", f"{kind}Storage") for kind in ("Float", "Half", "BFloat16", "Int", "Long", "Double", "Byte")),
    ("torch", "float32"),
}
COMFYUI_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "leakyrelu": F.leaky_relu,
    "elu": F.elu,
    "swish": F.hardswish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softsign": F.softsign,
    "mish": F.mish,
}


class _Checker(pickle.Unpickler):
    def persistent_load(self, saved_id: Any) -> Any:
        assert saved_id[0] == "storage"
        return torch.storage.TypedStorage(1, dtype=torch.float32, device="cpu")

    def find_class(self, module: str, name: str) -> Any:
        assert (module, name) in A1111_GLOBALS, f"A1111 refuses {module}.{name}"
        return super().find_class(module, name)


def check_as_a1111(path: Path) -> None:
    """Refuse what A1111's file checker refuses."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert A1111_MEMBERS.match(name), f"A1111 refuses the member {name}"
        assert [name for name in archive.namelist() if name.endswith("data.pkl")] == ["archive/data.pkl"]
        with archive.open("archive/data.pkl") as file:
            _Checker(file).load()


class A1111Module(nn.Module):
    """A module as A1111 builds it from the flags, loading strictly."""

    def __init__(self, dim: int, content: dict[Any, Any], state: dict[str, Tensor]) -> None:
        super().__init__()
        widths, activation = content["layer_structure"], content.get("activation_func")
        dropout = content["dropout_structure"]
        layers: list[nn.Module] = []
        for i in range(len(widths) - 1):
            layers.append(nn.Linear(int(dim * widths[i]), int(dim * widths[i + 1])))
            last = i == len(widths) - 2
            if activation not in (None, "linear") and (not last or content.get("activate_output", True)):
                classes = {cls.lower(): getattr(nn, cls) for cls in nn.modules.activation.__all__}
                layers.append({**classes, "swish": nn.Hardswish}[activation]())
            if content.get("is_layer_norm", False):
                layers.append(nn.LayerNorm(int(dim * widths[i + 1])))
            if dropout[i + 1] > 0:
                layers.append(nn.Dropout(dropout[i + 1]))
        self.linear = nn.Sequential(*layers)
        self.load_state_dict(state, strict=True)
        self.eval()

    def forward(self, x: Tensor, multiplier: float) -> Tensor:
        return x + self.linear(x) * multiplier


def load_as_a1111(path: Path) -> tuple[str, dict[int, tuple[A1111Module, A1111Module]]]:
    """Return the name that A1111 would give the network, and its pairs."""
    check_as_a1111(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    name = content.get("name", path.stem)
    pairs = {key: value for key, value in content.items() if type(key) is int}
    return name, {dim: tuple(A1111Module(dim, content, s) for s in pair) for dim, pair in pairs.items()}


def load_as_comfyui(path: Path) -> Callable[[Tensor, float], tuple[Tensor, Tensor]] | None:
    """Return the patch that ComfyUI's node makes: (keys, values) of a context; None where it takes the file for none.

    Dropout stays active in it, as it never switches to inference.
    """
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    activation = content.get("activation_func", "linear")
    if activation not in COMFYUI_ACTIVATIONS:
        return None
    pairs = {}
    for key, pair in content.items():
        if isinstance(key, int):
            pairs[key] = [_comfyui_layers(content, state, activation) for state in pair]

    def patch(context: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        if context.shape[-1] not in pairs:
            return context, context
        key, value = (_through(layers, context) for layers in pairs[context.shape[-1]])
        return context + key * strength, context + value * strength

    return patch


def _comfyui_layers(content: dict[Any, Any], state: OrderedDict[str, Tensor], activation: str) -> list[Any]:
    names = [name for name in state if name.endswith(".weight")]
    layers: list[Any] = []
    for i, name in enumerate(names):
        weight, bias = state[name], state[name.removesuffix("weight") + "bias"]
        if weight.ndim == 2:
            layers.append(lambda x, w=weight, b=bias: F.linear(x, w, b))
            last = i == len(names) - 1
            if activation != "linear" and (not last or content.get("activate_output", False)):
                layers.append(COMFYUI_ACTIVATIONS[activation])
        else:
            layers.append(lambda x, w=weight, b=bias: F.layer_norm(x, w.shape, w, b))
        inner_dropout = content.get("use_dropout", False) and i < len(names) - 3
        if inner_dropout or (content.get("last_layer_dropout", False) and i == len(names) - 2):
            layers.append(lambda x: F.dropout(x, 0.3, training=True))
    return layers


def _through(layers: list[Any], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x
