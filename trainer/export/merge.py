"""A base model with a hypernetwork's change in its weights: one file in LDM layout, or a UNet in diffusers' layout."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.base_model import names
from trainer.base_model.layouts import CLIP_TEXT, EMA, OPEN_CLIP_TEXT, UNET, VAE
from trainer.base_model.load import BaseModel, load_base_model
from trainer.base_model.read import read_tensors
from trainer.base_model.recognise import ModelInfo
from trainer.export.changes import Maps, layer_changes
from trainer.export.stream import Entry, entry_of, write_streaming

_VAE_ATTENTION = ".mid.attn_1."


def write_merged(path: Path, base: BaseModel, maps: Maps, metadata: Mapping[str, str]) -> dict[str, str]:
    """Write the whole model as one safetensors file and return its names of the changed weights.

    Averaged copies of the UNet are left out: they would lack the change. All else keeps its type and bytes.

    Args:
        path: The file to write.
        base: With its UNet, in the type of its file.
        maps: What to change.
        metadata: Put into the file's header.
    """
    source_of = names.unet_sources(base.unet.config, UNET)
    entries = _entries_of_file(base.info) if base.info.kind == "ldm-file" else _entries_of_folder(base.info)
    changed: dict[str, str] = {}
    for change in layer_changes(base.unet, maps):
        for name, delta in change.tensors().items():
            stored = source_of(name).name
            changed[name] = stored
            before = entries[stored]
            entries[stored] = _plus(before, delta)
    write_streaming(path, entries, metadata)
    return changed


def _plus(before: Entry, delta: Tensor) -> Entry:
    # In single precision a change takes half the memory; it is added in the same.
    small = delta.float()
    return Entry(before.dtype, before.shape, lambda: before.make().float() + small.reshape(before.shape))


def _entries_of_file(info: ModelInfo) -> dict[str, Entry]:
    tensors = read_tensors(info.path)
    return {name: entry_of(tensor) for name, tensor in tensors.items() if not name.startswith(EMA)}


def _entries_of_folder(info: ModelInfo) -> dict[str, Entry]:
    """Name all parts of a diffusers folder as LDM does."""
    dtype = torch.float16 if info.dtype == "F16" else torch.float32
    model = load_base_model(info.path, dtype=dtype, prediction_type=_known_prediction(info))
    text_rule = names.open_clip_sources(OPEN_CLIP_TEXT) if info.family == "sd2" else _clip_rule()
    parts: list[tuple[Any, names.SourceOf]] = [
        (model.unet, names.unet_sources(model.unet.config, UNET)),
        (model.vae, names.vae_sources(model.vae.config, VAE)),
        (model.text_encoder, text_rule),
    ]
    found: dict[str, Entry] = {}
    for module, source_of in parts:
        for name, tensor in _joined(module.state_dict(), source_of):
            shaped = tensor[:, :, None, None] if _VAE_ATTENTION in name and tensor.dim() == 2 else tensor
            found[name] = entry_of(shaped)
    if info.family != "sd2":
        length = model.text_encoder.config.max_position_embeddings
        found[f"{CLIP_TEXT}text_model.embeddings.position_ids"] = entry_of(torch.arange(length)[None])
    return found


def _clip_rule() -> names.SourceOf:
    return names.clip_sources(f"{CLIP_TEXT}text_model.")


def _known_prediction(info: ModelInfo) -> Any:
    return "auto" if info.prediction_type == "unknown" else info.prediction_type


def _joined(state: Mapping[str, Tensor], source_of: names.SourceOf) -> Iterator[tuple[str, Tensor]]:
    """Yield tensors under their LDM names, q, k and v of OpenCLIP joined."""
    thirds: dict[str, dict[int, Tensor]] = {}
    for name, tensor in state.items():
        source = source_of(name)
        if source.third is None:
            yield source.name, tensor
        else:
            thirds.setdefault(source.name, {})[source.third] = tensor
    for name, parts in thirds.items():
        yield name, torch.cat([parts[0], parts[1], parts[2]])


def write_unet(folder: Path, base: BaseModel, maps: Maps) -> None:
    """Write the changed UNet as a folder that `UNet2DConditionModel.from_pretrained` reads; `base` is changed."""
    state = dict(base.unet.named_parameters())
    with torch.no_grad():
        for change in layer_changes(base.unet, maps):
            for name, delta in change.tensors().items():
                # Not in place: the weights may alias the mapped file.
                state[name].data = (state[name].double() + delta).to(state[name].dtype)
    base.unet.save_pretrained(folder, safe_serialization=True)
