"""A diffusers or transformers module made around tensors that are already there, without copying them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from trainer.base_model.names import Source, SourceOf
from trainer.errors import AppError
from trainer.text import printable


def build_module(
    make: Callable[[], torch.nn.Module],
    tensors: Mapping[str, torch.Tensor],
    source_of: SourceOf,
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    what: str,
    path: Path,
) -> torch.nn.Module:
    """Make a module and give it the tensors that `source_of` names; frozen and in eval mode.

    With the dtype of the file and on the CPU the parameters alias the mapped file: no memory is taken until
    they are used.

    Args:
        make: Builds the empty module; called with torch's default device set to meta.
        tensors: The checkpoint.
        source_of: Tells which tensor of the checkpoint a parameter comes from.
        dtype: Type of the module's floating-point parameters.
        device: Where the parameters are put.
        what: "UNet", "VAE" or "text encoder", for messages.
        path: The checkpoint's file or folder, for messages.

    Raises:
        AppError: a tensor is missing or has another shape.
    """
    with torch.device("meta"):
        module = make()
    state, missing = {}, []
    for name, empty in module.state_dict().items():
        tensor = _take(tensors, source_of(name), empty.shape)
        if tensor is None:
            missing.append(source_of(name).name)
        else:
            state[name] = tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
    if missing:
        raise AppError(
            "Incomplete model",
            f"{printable(path)} lacks {len(missing)} of the {len(missing) + len(state)} tensors of the {what}, "
            f"or they have another shape; the first is {printable(missing[0])}.",
            "Download or copy the model again, or choose another one.",
        )
    module.load_state_dict(state, strict=True, assign=True)
    _fill_position_ids(module, device)
    return module.requires_grad_(False).eval()


def _take(tensors: Mapping[str, torch.Tensor], source: Source, shape: torch.Size) -> torch.Tensor | None:
    tensor = tensors.get(source.name)
    if tensor is None:
        return None
    if source.third is not None:
        if tensor.shape[0] % 3:
            return None
        rows = tensor.shape[0] // 3
        tensor = tensor[source.third * rows : (source.third + 1) * rows]
    if tensor.dim() != len(shape) and tensor.numel() == shape.numel():
        # 1×1 convolutions and linear layers are the same matrix; old and new files differ in which they hold.
        tensor = tensor.reshape(shape)
    return tensor if tensor.shape == shape else None


def _fill_position_ids(module: torch.nn.Module, device: torch.device | str) -> None:
    """Fill the one buffer of CLIP that no file need hold: 0, 1, 2, …"""
    for part in module.modules():
        ids = getattr(part, "position_ids", None)
        if isinstance(ids, torch.Tensor) and ids.is_meta:
            part.position_ids = torch.arange(ids.shape[-1], device=device).expand(ids.shape)
