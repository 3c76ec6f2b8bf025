"""Write archives that every A1111 and ComfyUI accept.

`torch.save` adds members (`byteorder`, `.format_version`, ...) that A1111's checker refuses before it looks
at anything else (modules/safe.py:67-107 at v1.10.1). Allowed by all its releases: an uncompressed zip with the
root `archive` that holds `data.pkl`, `version` and `data/<number>`, and a pickle of plain tensors and containers.
"""

import io
import re
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from trainer.files import replace_atomic

_ROOT = "archive"
_KEPT = re.compile(r"data\.pkl|version|data/\d+")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same content gives the same bytes."""
_ALIGNMENT = 64
"""Readers that map the file want tensors to begin at multiples of this."""
_PADDING_ID = b"FB"
_LOCAL_HEADER_BYTES = 30


def write_archive(path: Path, content: dict[object, object]) -> None:
    """Replace `path` by an archive of `content`: dicts, lists, tuples, tensors, str, int, float, bool, None.

    Tensors are written as contiguous CPU tensors of their own dtype.

    Raises:
        TypeError: something else is in `content`.
        OSError: the folder cannot be written or the disk is full; the old file is then as it was.
    """
    buffer = io.BytesIO()
    torch.save(_plain(content, {}), buffer)
    with (
        replace_atomic(path) as temporary,
        zipfile.ZipFile(buffer) as source,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as target,
    ):
        for member in source.infolist():
            name = member.filename.partition("/")[2]
            if _KEPT.fullmatch(name):
                _add(target, f"{_ROOT}/{name}", source.read(member))


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    header_end = archive.start_dir + _LOCAL_HEADER_BYTES + len(name) + 4
    padding = -header_end % _ALIGNMENT
    info.extra = _PADDING_ID + padding.to_bytes(2, "little") + bytes(padding)
    archive.writestr(info, data)


def _plain(value: object, strings: dict[str, str]) -> object:
    """Rebuild `value` from plain types; equal strings become one object, as the pickle refers back to it."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True).contiguous()
    if isinstance(value, dict):
        made: dict[object, object] = OrderedDict() if isinstance(value, OrderedDict) else {}
        made.update((_plain(key, strings), _plain(item, strings)) for key, item in value.items())
        return made
    if isinstance(value, list | tuple):
        items = [_plain(item, strings) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, str):
        return strings.setdefault(str(value), str(value))
    # Subclasses such as numpy's float64 would name their class in the pickle.
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    if value is None:
        return None
    raise TypeError(f"{type(value).__name__} cannot stand in a hypernetwork file")
