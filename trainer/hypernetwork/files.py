"""A1111's `.pt` files, every layout that its releases left (hypernetwork.py:213-304 at v1.10.1)."""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainer.errors import AppError
from trainer.hypernetwork.archive import write_archive
from trainer.hypernetwork.layout import FoundModule, find_module, infer_structure
from trainer.hypernetwork.modules import Hypernetwork
from trainer.hypernetwork.safetensors_files import KEY, read_content, write_content
from trainer.hypernetwork.structure import INITIALISATIONS, Structure, dropout_from_flags
from trainer.safe_pickle import read_pickle
from trainer.text import printable

_RESIDUAL_KEYS = ("skip_connection", "upsample_linear")
_OTHER_KINDS = (
    ("a LoRA", ("lora_", ".lora_", "lycoris_", "hada_w1")),
    ("a textual inversion embedding", ("string_to_param", "string_to_token", "emb_params")),
    ("an optimizer state (.optim)", ("optimizer_state_dict",)),
    ("a base model (checkpoint)", ("model.diffusion_model.", "cond_stage_model.", "state_dict")),
    ("a VAE", ("decoder.conv_in.", "first_stage_model.")),
)
_MAX_HEADER_BYTES = 64 << 20


def load(path: str | Path) -> Hypernetwork:
    """Read a hypernetwork of any A1111 layout, or of our safetensors, on the CPU, in float32, in eval mode.

    The layers are taken from the tensors; where the flags disagree, `warnings` of the result says so.

    Raises:
        AppError: the file is missing, damaged, unsafe, of another kind, or not loadable by A1111 either.
    """
    path = Path(path)
    ours = _facts_of_safetensors(path)
    content = read_pickle(path) if ours is None else read_content(path, ours)
    if not isinstance(content, Mapping) or not any(type(key) is int for key in content):
        raise _wrong_kind(path, list(map(str, content)) if isinstance(content, Mapping) else ())
    try:
        return _build(path, content)
    except AppError as error:
        raise AppError(error.title, f"{printable(path)}: {error.message}", error.hint) from None


def save(net: Hypernetwork, path: str | Path, *, portable: bool = False) -> None:
    """Write a file that A1111, ComfyUI and `torch.load(weights_only=True)` read; `path` is replaced whole.

    Args:
        net: The network; its `name` is what A1111 shows, so set it to the file's stem for publishing.
        path: Usually `NAME.pt`; `NAME.safetensors` gives our own layout, which only this program reads.
        portable: Leave dropout out, which changes nothing in pictures but which ComfyUI would keep active.

    Raises:
        OSError: the folder cannot be written or the disk is full; the old file is then as it was.
    """
    if portable:
        net = net.restructured(replace(net.structure, use_dropout=False, dropout_structure=()))
    if Path(path).suffix.lower() == ".safetensors":
        write_content(Path(path), _content(net))
    else:
        write_archive(Path(path), _content(net))


def _content(net: Hypernetwork) -> dict[object, object]:
    content: dict[object, object] = {}
    for dim in net.dims:
        modules = net.pair(dim) or ()
        content[dim] = tuple(
            OrderedDict((key, tensor.to("cpu", torch.float32)) for key, tensor in module.state_dict().items())
            for module in modules
        )
    structure = net.structure
    return content | {
        "step": net.step,
        "name": net.name,
        "layer_structure": list(structure.layer_structure),
        "activation_func": structure.activation_func,
        "is_layer_norm": structure.is_layer_norm,
        "weight_initialization": structure.weight_initialization,
        "sd_checkpoint": net.sd_checkpoint,
        "sd_checkpoint_name": net.sd_checkpoint_name,
        "activate_output": structure.activate_output,
        "use_dropout": structure.use_dropout,
        "dropout_structure": list(structure.dropout_structure),
        "last_layer_dropout": structure.last_layer_dropout,
        "optional_info": net.optional_info,
    }


def _build(path: Path, content: Mapping[Any, Any]) -> Hypernetwork:
    warnings: list[str] = []
    modules = _modules(content)
    stated = _stated(content, len(next(iter(modules.values()))[0].layers) + 1, warnings)
    structure = infer_structure(modules, stated)
    warnings += _disagreements(content, stated, structure)
    net = Hypernetwork(list(modules), structure, _text(content, "name") or path.stem)
    for dim, pair in modules.items():
        for module, found in zip(net.pair(dim) or (), pair, strict=True):
            for layer, tensors in zip(module.weighted_layers(), found.tensors, strict=True):
                state = {key: tensor.to(torch.float32, copy=True) for key, tensor in tensors.items()}
                layer.load_state_dict(state, assign=True)
    if not all(bool(parameter.isfinite().all()) for parameter in net.parameters()):
        warnings.append("Some weights are not finite (NaN or infinity): pictures will be black.")
    net.step = _step(content, warnings)
    net.sd_checkpoint = _text(content, "sd_checkpoint")
    net.sd_checkpoint_name = _text(content, "sd_checkpoint_name")
    net.optional_info = _text(content, "optional_info")
    net.warnings = warnings
    return net


def _modules(content: Mapping[Any, Any]) -> dict[int, list[FoundModule]]:
    # A1111 too tests for exactly int, so that True is no width.
    pairs = {key: value for key, value in content.items() if type(key) is int}
    modules: dict[int, list[FoundModule]] = {}
    for dim, pair in pairs.items():
        whole = isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(half, Mapping) for half in pair)
        if dim < 1 or not whole:
            why = f"Its entry {dim} is not a pair of K and V modules."
            raise AppError("Not a hypernetwork", why, "Choose another file.")
        nested = any(str(key).count("linear") > 1 for half in pair for key in half)
        if nested or any(content.get(key) is True for key in _RESIDUAL_KEYS):
            raise AppError(
                "Residual hypernetwork",
                "It was made by the MonkeyPatch extension with residual blocks; A1111 itself cannot load it either.",
                "Use a hypernetwork without skip connections.",
            )
        modules[dim] = [find_module(half, dim) for half in pair]
    return modules


def _stated(content: Mapping[Any, Any], num_widths: int, warnings: list[str]) -> Structure:
    """Read the flags with A1111's defaults for what is missing."""
    factors = _numbers(content, "layer_structure", warnings)
    dropout = _numbers(content, "dropout_structure", warnings)
    use_dropout = any(dropout) or content.get("use_dropout") is True
    if not dropout:
        dropout = dropout_from_flags(num_widths, use_dropout, content.get("last_layer_dropout") is True)
    elif len(dropout) != num_widths:
        warnings.append(f"dropout_structure holds {len(dropout)} values for {num_widths} widths.")
        dropout = (*dropout, *(0,) * num_widths)[:num_widths]
    initialisation = content.get("weight_initialization", "Normal")
    return Structure(
        layer_structure=factors if len(factors) == num_widths else (1,) * num_widths,
        activation_func=_text(content, "activation_func") or "linear",
        is_layer_norm=content.get("is_layer_norm") is True,
        weight_initialization=initialisation if initialisation in INITIALISATIONS else "Normal",
        activate_output=content.get("activate_output", True) is not False,
        use_dropout=use_dropout,
        dropout_structure=dropout,
    )


def _disagreements(content: Mapping[Any, Any], stated: Structure, found: Structure) -> list[str]:
    said = {
        "layer_structure": content.get("layer_structure", [1, 2, 1]),
        "activation_func": stated.activation_func,
        "is_layer_norm": stated.is_layer_norm,
        "activate_output": stated.activate_output,
        "dropout_structure": list(stated.dropout_structure),
    }
    shown = {key: list(v) if isinstance(v := getattr(found, key), tuple) else v for key in said}
    return [
        f"The file's {key} says {printable(said[key], 80)}; its tensors show {printable(shown[key], 80)}, which counts."
        for key in said
        if said[key] != shown[key]
    ]


def _numbers(content: Mapping[Any, Any], key: str, warnings: list[str]) -> tuple[int | float, ...]:
    values = content.get(key)
    if values is None:
        return ()
    if isinstance(values, Sequence) and all(type(value) in (int, float) for value in values):
        return tuple(values)
    warnings.append(f"{key} in the file is not a list of numbers and is left aside.")
    return ()


def _text(content: Mapping[Any, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) else None


def _step(content: Mapping[Any, Any], warnings: list[str]) -> int:
    step = content.get("step", 0)
    if isinstance(step, int | float) and 0 <= step < 1 << 62:
        return int(step)
    warnings.append("The file does not tell its step readably; it counts as 0.")
    return 0


def _facts_of_safetensors(path: Path) -> str | None:
    """Return the metadata of our own safetensors layout; None where the file is no safetensors at all.

    Any other is named for what it is, as people keep LoRAs and hypernetworks in neighbouring folders.
    """
    if not path.is_file() or path.stat().st_size < 10:
        return None
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MAX_HEADER_BYTES or file.read(1) != b"{":
            return None
        file.seek(8)
        text = file.read(length)
    try:
        header = json.loads(text)
        facts = (header.get("__metadata__") or {}).get(KEY)
    except (ValueError, RecursionError, AttributeError):
        return None
    if isinstance(facts, str):
        return facts
    raise _wrong_kind(path, list(header))


def _wrong_kind(path: Path, keys: Sequence[str]) -> AppError:
    kinds = (kind for kind, marks in _OTHER_KINDS if any(key.startswith(marks) or _inside(key, marks) for key in keys))
    kind = next(kinds, "something else")
    return AppError(
        "Not a hypernetwork",
        f"{printable(path)} is {kind}: it holds no pair of modules for a context width such as 768.",
        "Choose a hypernetwork's .pt file.",
    )


def _inside(key: str, marks: Sequence[str]) -> bool:
    return any(mark in key for mark in marks if mark.startswith("."))
