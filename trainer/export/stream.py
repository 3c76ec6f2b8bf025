"""Write a safetensors file tensor by tensor, so that a checkpoint of gigabytes takes little memory.

Layout: 8 bytes little-endian header length, a JSON header, the data (huggingface/safetensors, README, "Format").
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer.files import replace_atomic

_DTYPE_NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_ALIGNMENT = 8


@dataclass(frozen=True)
class Entry:
    """One tensor to be written, made when its turn comes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    make: Callable[[], Tensor]

    @property
    def num_bytes(self) -> int:
        """Length of its data."""
        return math.prod(self.shape) * self.dtype.itemsize


def entry_of(tensor: Tensor, make: Callable[[], Tensor] | None = None) -> Entry:
    """Return the entry of a tensor, or of what shall stand in its place."""
    return Entry(tensor.dtype, tuple(tensor.shape), make or (lambda: tensor))


def write_streaming(path: Path, entries: Mapping[str, Entry], metadata: Mapping[str, str]) -> None:
    """Write the entries in their order; `path` is replaced whole at the end.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt", **metadata}}
    place = 0
    for name, entry in entries.items():
        header[name] = {
            "dtype": _DTYPE_NAMES[entry.dtype],
            "shape": entry.shape,
            "data_offsets": [place, place + entry.num_bytes],
        }
        place += entry.num_bytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with replace_atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for entry in entries.values():
            file.write(_bytes_of(entry))


def _bytes_of(entry: Entry) -> bytes:
    tensor = entry.make().to("cpu", entry.dtype).contiguous()
    if tuple(tensor.shape) != entry.shape:
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} stands where {entry.shape} was announced")
    data: bytes = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
    return data
