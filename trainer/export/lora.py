"""Changes of weights as a LoRA or as full differences, in the names that kohya's trainer made common.

`lora_unet_<diffusers name with _>.lora_down.weight | lora_up.weight | alpha` (kohya-ss/sd-scripts, networks/lora.py)
and `….diff | diff_b` (LyCORIS, modules/full.py), which A1111, Forge and ComfyUI read; diffusers reads the first kind.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.export.changes import LayerChange
from trainer.export.linear import RANK_TOLERANCE
from trainer.files import replace_atomic

Layout = Literal["lora", "full-diff"]
PREFIX = "lora_unet_"
ALPHA = 1.0
"""All readers scale a LoRA by alpha / rank; diffusers knows one alpha only, so all layers have the same."""
NO_BIAS = 1e-7
"""A change of bias below this share of the change of values is none."""


def write_lora(
    path: Path, changes: Iterable[LayerChange], layout: Layout, dtype: torch.dtype, metadata: Mapping[str, str]
) -> dict[str, str]:
    """Write the changes and return the weights' names by the names in the file.

    The bias of the output projection is always a full difference, as a LoRA has no place for one.
    """
    tensors: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    for change in changes:
        for projection, delta_OD in (("to_k", change.key_OD), ("to_v", change.value_OD)):
            stem = kohya_name(f"{change.name}.{projection}")
            names[stem] = f"{change.name}.{projection}"
            tensors |= _lora(stem, delta_OD, dtype) if layout == "lora" else {f"{stem}.diff": _stored(delta_OD, dtype)}
        if float(change.out_bias_O.norm()) > NO_BIAS * float(change.value_OD.norm()):
            stem = kohya_name(f"{change.name}.to_out.0")
            names[stem] = f"{change.name}.to_out.0"
            width = len(change.out_bias_O)
            # A1111 takes a bias only beside the difference of its weight.
            tensors[f"{stem}.diff"] = torch.zeros(width, width, dtype=dtype)
            tensors[f"{stem}.diff_b"] = _stored(change.out_bias_O, dtype)
    with replace_atomic(path) as temporary:
        save_file(tensors, temporary, metadata=dict(metadata))
    return names


def kohya_name(name: str) -> str:
    """Return the stem of a layer's keys."""
    return PREFIX + name.replace(".", "_")


def _lora(stem: str, delta_OD: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    left_OO, values, right_DD = torch.linalg.svd(delta_OD, full_matrices=False)
    rank = max(1, int((values > RANK_TOLERANCE * values[0]).sum()))
    root_R = (values[:rank] * rank / ALPHA).sqrt()
    return {
        f"{stem}.lora_up.weight": _stored(left_OO[:, :rank] * root_R, dtype),
        f"{stem}.lora_down.weight": _stored(root_R[:, None] * right_DD[:rank], dtype),
        f"{stem}.alpha": torch.tensor(ALPHA, dtype=dtype),
    }


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype).contiguous()


def read_changes(path: Path, names: Mapping[str, str]) -> dict[str, Tensor]:
    """Return what a written file adds to each weight, by the weight's name.

    Args:
        path: The file.
        names: From `write_lora`.
    """
    tensors = load_file(path)
    changes: dict[str, Tensor] = {}
    for stem, name in names.items():
        up_OR, down_RD = tensors.get(f"{stem}.lora_up.weight"), tensors.get(f"{stem}.lora_down.weight")
        if up_OR is not None and down_RD is not None:
            scale = float(tensors[f"{stem}.alpha"]) / len(down_RD)
            changes[f"{name}.weight"] = scale * (up_OR.float() @ down_RD.float())
        for end, kind in (("diff", "weight"), ("diff_b", "bias")):
            if f"{stem}.{end}" in tensors:
                changes[f"{name}.{kind}"] = tensors[f"{stem}.{end}"].float()
    return changes
