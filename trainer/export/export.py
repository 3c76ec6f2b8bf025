"""Export a hypernetwork for programs that know none, and check what was written against the hypernetwork."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from trainer.base_model.choose import choose_model
from trainer.base_model.load import BaseModel, load_base_model
from trainer.base_model.read import read_tensors
from trainer.errors import AppError
from trainer.export.approximate import Closest, closest_linear
from trainer.export.changes import LayerChange, Maps, check_layers, layer_changes
from trainer.export.linear import linear_maps, why_not_linear
from trainer.export.lora import read_changes, write_lora
from trainer.export.merge import write_merged, write_unet
from trainer.hypernetwork import Hypernetwork, load, unet_dims
from trainer.text import printable

Target = Literal["lora", "full-diff", "diffusers", "merged-checkpoint"]
TARGETS: tuple[Target, ...] = ("lora", "full-diff", "diffusers", "merged-checkpoint")
MOST_ERROR = 1e-3
"""A larger difference in single precision is a fault of ours, not rounding."""
_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Exported:
    """What was written and how near it is."""

    path: Path
    error: float
    """Largest difference of an attention layer's output to the network that was written, as a share of its effect."""
    closest: Closest | None
    """Where the network is not linear: how near the linear one is that was written instead."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Order:
    path: Path
    base: BaseModel
    net: Hypernetwork
    strength: float
    maps: Maps
    half: bool
    keep_bias: bool

    @property
    def metadata(self) -> dict[str, str]:
        return {
            "ss_network_module": "networks.lora",
            "ss_output_name": self.net.name,
            "ss_sd_model_name": self.net.sd_checkpoint_name or "",
            "ss_v2": str(self.base.info.family == "sd2"),
            "hypernetwork": f"{self.net.name}, step {self.net.step}, strength {self.strength:g}",
        }


def export(
    source: Path,
    target: Target,
    model: str,
    out: Path,
    *,
    strength: float = 1.0,
    approximate: bool = False,
    prompts: Sequence[str] = (),
    half: bool = False,
    keep_bias: bool = True,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write a hypernetwork as a change of a base model's weights.

    Args:
        source: The hypernetwork.
        target: lora or full-diff (a file beside the model), merged-checkpoint (a whole model in LDM layout) or
            diffusers (a folder with the UNet).
        model: The base model; empty takes A1111's newest.
        out: File or folder to write.
        strength: Built into the weights.
        approximate: Take the closest linear map where the network is none.
        prompts: For the approximation: what one will draw.
        half: Store a LoRA or differences in half precision.
        keep_bias: Keep the change of bias, which diffusers cannot read from a LoRA file.
        overwrite: Replace what is at `out`.
        progress: Told (passes done, in all) of the approximation.

    Raises:
        AppError: the network is not linear, does not fit the model, or something is in the way.
    """
    if out.exists() and not overwrite:
        raise AppError(
            "File exists", f"{printable(out)} is there already.", "Name another file (--out; --overwrite replaces it)."
        )
    net = load(source)
    if not approximate:
        linear_maps(net)
    info = choose_model(model)
    closest = None
    prediction: Any = "auto"
    if why_not_linear(net.structure):
        whole = load_base_model(info.path, dtype=torch.float32)
        _check_widths(net, whole)
        prediction = whole.prediction_type
        closest = closest_linear(net, whole, strength, prompts, min(256, info.native_size_px), progress)
        net = closest.net
    dtype = _DTYPES.get(info.dtype, torch.float32)
    base = load_base_model(info.path, dtype=dtype, parts=["unet"], prediction_type=prediction)
    _check_widths(net, base)
    maps = {key: found.scaled(strength) for key, found in linear_maps(net).items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    order = _Order(out, base, net, strength, maps, half, keep_bias)
    changes = _WRITERS[target](order)
    error = check_layers(base.unet, net, strength, changes)
    unrounded = not half if target in ("lora", "full-diff") else dtype == torch.float32
    if unrounded and keep_bias and error > MOST_ERROR:
        raise _failed_check(out, error)
    return Exported(out, error, closest, tuple(_notes(target, order, changes)))


def _failed_check(out: Path, error: float) -> AppError:
    return AppError(
        "Self-check failed",
        f"Attention with {printable(out)} differs from the hypernetwork by {error:.1%} of its effect.",
        "Do not use the file, and report this with the hypernetwork's `hypernet inspect`.",
    )


def _check_widths(net: Hypernetwork, base: BaseModel) -> None:
    dims = unet_dims(base.unet)
    if not set(net.dims) & set(dims):
        raise AppError(
            "Hypernetwork of other dimensions",
            f"{printable(net.name)} covers the context widths {net.dims}; this model has {dims}.",
            "Name the model that it was trained on (--model).",
        )


def _changes(order: _Order) -> Iterator[LayerChange]:
    for change in layer_changes(order.base.unet, order.maps):
        yield change if order.keep_bias else replace(change, out_bias_O=torch.zeros_like(change.out_bias_O))


def _write_lora(order: _Order) -> dict[str, Tensor]:
    dtype = torch.float16 if order.half else torch.float32
    names = write_lora(order.path, _changes(order), "lora", dtype, order.metadata)
    return read_changes(order.path, names)


def _write_full_diff(order: _Order) -> dict[str, Tensor]:
    dtype = torch.float16 if order.half else torch.float32
    names = write_lora(order.path, _changes(order), "full-diff", dtype, order.metadata)
    return read_changes(order.path, names)


def _write_merged(order: _Order) -> dict[str, Tensor]:
    changed = write_merged(order.path, order.base, order.maps, order.metadata)
    written, weights = read_tensors(order.path), dict(order.base.unet.named_parameters())
    return {name: written[stored].float() - weights[name].detach().float() for name, stored in changed.items()}


def _write_unet(order: _Order) -> dict[str, Tensor]:
    before = {name: tensor.detach().clone() for name, tensor in _changed_weights(order).items()}
    write_unet(order.path, order.base, order.maps)
    written = read_tensors(order.path / "diffusion_pytorch_model.safetensors")
    changes = {name: written[name].float() - tensor.float() for name, tensor in before.items()}
    for name, tensor in before.items():
        order.base.unet.get_parameter(name).data = tensor
    return changes


def _changed_weights(order: _Order) -> dict[str, Tensor]:
    weights = dict(order.base.unet.named_parameters())
    return {name: weights[name] for change in layer_changes(order.base.unet, order.maps) for name in change.tensors()}


_WRITERS: dict[Target, Callable[[_Order], dict[str, Tensor]]] = {
    "lora": _write_lora,
    "full-diff": _write_full_diff,
    "diffusers": _write_unet,
    "merged-checkpoint": _write_merged,
}


def _notes(target: Target, order: _Order, changes: dict[str, Tensor]) -> Iterator[str]:
    name = order.path.stem
    if target == "diffusers":
        yield "Use it with UNet2DConditionModel.from_pretrained(FOLDER), as unet= of a pipeline of the same base model."
        return
    if target == "merged-checkpoint":
        yield "A whole model for A1111, Forge, ComfyUI and diffusers' from_single_file; the change cannot be dosed."
        return
    yield f"For models/Lora of A1111 and Forge: <lora:{name}:1>; for models/loras of ComfyUI: LoraLoader."
    yield f"Weight w of the LoRA is strength {order.strength:g}·w of the hypernetwork."
    has_bias = any(name.endswith(".bias") for name in changes)
    if target == "full-diff" or has_bias:
        why = "a change of bias" if has_bias else "full differences"
        bare = (
            "without biases (--drop-bias)" if target == "lora" else "as a LoRA without biases (--to lora --drop-bias)"
        )
        yield f"diffusers reads no LoRA file with {why}: export for diffusers (--to diffusers), or {bare}."
