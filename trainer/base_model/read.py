"""Weight files read safely: what is in them (light) and their tensors, memory-mapped (heavy).

A file is judged by its content, never by its name. Safetensors layout: 8 bytes little-endian header
length, a JSON header, the tensor data (huggingface/safetensors, README, "Format").
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trainer.errors import AppError
from trainer.text import printable, size_text

if TYPE_CHECKING:
    import torch

MAX_HEADER_BYTES = 100_000_000
"""The limit that the safetensors library itself sets."""

DTYPE_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
    "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip

_AGAIN = "Download or copy the file again and compare its size with the source."


@dataclass(frozen=True)
class TensorHeader:
    """Type and shape of one stored tensor."""

    dtype: str
    """As safetensors spells it: F16, BF16, F32, …"""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FileContents:
    """What a weight file holds, without its numbers."""

    tensors: dict[str, TensorHeader]
    metadata: dict[str, str] = field(default_factory=dict)
    other_keys: frozenset[str] = frozenset()
    """Names of the top-level entries of a pickle that are no tensors."""


def file_format(path: Path) -> Literal["safetensors", "pickle"]:
    """Tell from the first bytes how a weight file is stored.

    Raises:
        AppError: missing, a folder, unreadable, empty, or text (a web page, a Git LFS pointer, an error).
    """
    try:
        if path.is_dir():
            raise AppError("Not a file", f"{printable(path)} is a folder.", "Name a model file.")
        with open(path, "rb") as file:
            front = file.read(512)
    except OSError as error:
        reason = printable(error.strerror or error)
        raise AppError("Cannot read the file", f"{printable(path)}: {reason}.", "Check name and rights.") from error
    _refuse_text(path, front)
    if front[:4] == b"PK\x03\x04":
        return "pickle"
    # A safetensors header of the right length begins with the bytes of a pickle too, but has its brace at byte 8.
    is_stream = front[:1] == b"\x80" and front[1:2] <= b"\x05" and front[8:9] != b"{"
    return "pickle" if is_stream else "safetensors"


def _refuse_text(path: Path, front: bytes) -> None:
    title, shown, text = "Not a model file", printable(path), front.lstrip().lower()
    if not front:
        raise AppError(title, f"{shown} is empty (0 bytes).", _AGAIN)
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise AppError(
            title, f"{shown} is a web page, not weights.", "Sign in to the site if it asks for it, then download again."
        )
    if text.startswith(b"version https://git-lfs"):
        raise AppError(title, f"{shown} is a Git LFS pointer, not the weights.", "Fetch them with: git lfs pull")
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in front[:64]):
        start = printable(front[:40].decode("ascii"))
        raise AppError(title, f"{shown} is a text file; it begins with “{start}”.", _AGAIN)


def read_header(path: Path) -> FileContents:
    """Read the header of a safetensors file and check it against the file's size.

    Raises:
        AppError: not safetensors, a damaged header, or data cut short.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, max(0, size - 8)):
            message = f"{printable(path)} is no safetensors file, or its beginning is damaged."
            raise AppError("Not a model file", f"{message} Its header claims {length} bytes of {size}.", _AGAIN)
        raw = file.read(length)
    try:
        header = json.loads(raw)
        contents = _parse(header)
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        _check_offsets(header)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        message = f"The header of {printable(path)} is not valid ({printable(error, 80)})."
        raise AppError("Damaged model file", message, _AGAIN) from error
    if 8 + length + end != size:
        message = f"{printable(path)} should be {size_text(8 + length + end)} but is {size_text(size)}"
        raise AppError("Damaged model file", f"{message} ({8 + length + end} and {size} bytes).", _AGAIN)
    return contents


def _parse(header: dict[str, dict[str, object]]) -> FileContents:
    metadata = {str(key): str(value) for key, value in (header.get("__metadata__") or {}).items()}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape = entry["shape"]
        if not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError(f"shape of {name}")
        tensors[name] = TensorHeader(str(entry["dtype"]), tuple(shape))
    return FileContents(tensors, metadata)


def _check_offsets(header: dict[str, dict[str, list[int]]]) -> None:
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        item_bytes = DTYPE_BYTES.get(str(entry["dtype"]))
        whole = item_bytes is None or end - begin == math.prod(entry["shape"]) * item_bytes
        if not (type(begin) is type(end) is int and 0 <= begin <= end and whole):
            raise ValueError(f"place of {name}")


def read_contents(path: Path) -> FileContents:
    """Return what a weight file holds: from the header alone, or through the safe pickle reader.

    Raises:
        AppError: the file is no weight file, is damaged, or asks to run code.
    """
    if file_format(path) == "safetensors":
        return read_header(path)
    loaded = _read_pickle(path)
    found = tensors_in(loaded)
    headers = {
        name: TensorHeader(_DTYPE_NAMES.get(str(value.dtype), str(value.dtype)), tuple(value.shape))
        for name, value in found.items()
    }
    others = frozenset(str(key) for key in loaded if key not in found) if isinstance(loaded, dict) else frozenset()
    return FileContents(headers, {}, others)


_DTYPE_NAMES = {
    "torch.float16": "F16", "torch.bfloat16": "BF16", "torch.float32": "F32", "torch.float64": "F64",
    "torch.int64": "I64", "torch.int32": "I32", "torch.uint8": "U8", "torch.int8": "I8", "torch.bool": "BOOL",
}  # fmt: skip


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a weight file on the CPU; they alias the file, so little memory is used.

    Replacing the file in place while they live would change them.

    Raises:
        AppError: as `read_contents`.
    """
    if file_format(path) == "pickle":
        return tensors_in(_read_pickle(path))
    read_header(path)
    import safetensors
    import safetensors.torch

    try:
        tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(path, device="cpu")
    except (safetensors.SafetensorError, OSError) as error:
        raise AppError("Damaged model file", f"{printable(path)}: {printable(error, 120)}.", _AGAIN) from error
    return tensors


def tensors_in(loaded: object) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint object, below `state_dict` where there is one; the rest is left out."""
    import torch

    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict):
        return {}
    return {key: value for key, value in loaded.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}


def _read_pickle(path: Path) -> object:
    from trainer.safe_pickle import read_pickle

    return read_pickle(path, mmap=True)
