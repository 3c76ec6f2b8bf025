"""Read files of `torch.save` without running anything they ask for.

Two guards, of which the second alone makes it safe:

1. Every global that the pickle names is listed first, without executing it. Classes that training
   programs leave behind (Lightning callbacks, OmegaConf nodes, numpy scalars, ...) are bound to the inert
   `Leftover`; anything else is refused by name.
2. `torch.load(weights_only=True)` builds only tensors, plain containers and what is bound in 1.
"""

import _compat_pickle
import io
import pickle
import pickletools
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch

from trainer.errors import AppError
from trainer.text import printable

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First pickle of a non-zip file, `torch.serialization.MAGIC_NUMBER`."""
_LEGACY_PICKLES = 5
"""Magic, protocol, system, object, storage keys."""
_MAX_PICKLE_BYTES = 256 << 20
_CONVERT = "Save it again with torch.save's default protocol, or as safetensors."
_STRING_OPCODES = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
_HARMLESS = re.compile(
    r"(pytorch_lightning|lightning|lightning_fabric|lightning_utilities|torchmetrics|omegaconf|argparse|numpy|"
    r"transformers|diffusers|ldm|tokenizers|PIL|enum|typing|datetime|pathlib|collections|"
    r"torch\.(nn|optim|_utils|_tensor|storage|distributed|amp|cuda\.amp))\..+"
    r"|torch\.(\w+Storage|Tensor|Size|device|dtype|Generator|serialization\._get_layout"
    r"|b?float\w*|half|double|u?int\d+|long|short|bool|complex\w+|q?u?int\w+)"
    r"|builtins\.(set|frozenset|bytearray|complex|int|float|bool|str|bytes|list|dict|tuple|object|slice|range)"
    r"|copyreg\._reconstructor|_codecs\.encode|functools\.partial"
)
_torch_list = threading.Lock()


class Leftover:
    """Stands for an object that was not built: keeps nothing, does nothing."""

    def __new__(cls, *_args: object, **_kwargs: object) -> "Leftover":
        """Make one, whatever the arguments."""
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        """Forget the arguments."""

    def __setstate__(self, _state: object) -> None:
        """Forget the state."""


def read_pickle(path: Path, *, mmap: bool = False) -> object:
    """Read a file written by `torch.save` (zip or the older stream), tensors on the CPU.

    Args:
        path: The file.
        mmap: Map the tensors instead of reading them, where the file allows it (uncompressed zip).

    Returns:
        What was saved. Objects that are neither tensors nor plain data come back as `Leftover` (instances,
        or the class itself), so check types before use.

    Raises:
        AppError: the file is missing, empty, damaged, of another kind, or asks to run something.
    """
    path = Path(path)
    head = _checked_head(path)
    if head.startswith(b"PK\x03\x04"):
        names, stored = _zip_globals(path)
        mmap = mmap and stored
    elif head[:1] == b"\x80":
        names, mmap = _legacy_globals(path), False
    else:
        raise _no_model(path, "is not a file written by torch.save")
    return _load(path, names, mmap)


def _load(path: Path, names: set[str], mmap: bool) -> object:
    bound: list[Any] = [(_stand_in(name), name) for name in sorted(names)]
    try:
        # torch keeps the list per process, not per thread.
        with _torch_list, torch.serialization.safe_globals(bound):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (OSError, MemoryError):
        raise
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked:
            raise _refused(path, asked[1]) from None
        raise _no_model(path, "holds something that cannot be read safely", _CONVERT) from None
    except Exception as error:
        # Damaged bytes can fail anywhere in the decoder, with almost any type of error.
        raise _damaged(path, f"reading stopped with {type(error).__name__}") from None


def _stand_in(name: str) -> Callable[..., object]:
    return {"collections.defaultdict": _plain_dict, "collections.deque": _plain_list}.get(name, Leftover)


def _plain_dict(*_args: object) -> dict[object, object]:
    return {}


def _plain_list(*_args: object) -> list[object]:
    return []


def _checked_head(path: Path) -> bytes:
    if not path.is_file():
        raise AppError("No such file", f"{printable(path)} is not a file.", "Check the path.")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise AppError(
            "Cannot read the file", f"{printable(path)}: {error.strerror}.", "Check its permissions."
        ) from None
    again = "Download the file again."
    if not head:
        raise _no_model(path, "is empty (0 bytes)", again)
    if head.startswith(b"version https://git-lfs"):
        raise _no_model(path, "is a Git LFS pointer, not the file itself", "Run `git lfs pull`, or download the file.")
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise _no_model(path, "is a web page, not a model", again)
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        raise _no_model(path, "is a safetensors file, where a file of torch.save (.pt, .ckpt) is expected")
    return head


def _zip_globals(path: Path) -> tuple[set[str], bool]:
    """Return the globals of the archive's pickle, and whether every member is stored uncompressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            roots = {member.filename.split("/")[0] for member in members}
            leaves = {member.filename.partition("/")[2]: member for member in members}
            if "constants.pkl" in leaves:
                raise _no_model(path, "is a TorchScript program, not a set of weights", "Ask for the weights.")
            if "data.pkl" not in leaves or len(roots) != 1:
                raise _no_model(path, "is a zip archive, but not one of torch.save")
            if leaves["data.pkl"].file_size > _MAX_PICKLE_BYTES:
                raise _damaged(path, "its pickle is larger than any model's")
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            return _globals(path, io.BytesIO(archive.read(leaves["data.pkl"]))), stored
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _damaged(path, f"its archive is incomplete ({printable(error, 80)})") from None


def _legacy_globals(path: Path) -> set[str]:
    names: set[str] = set()
    with open(path, "rb") as file:
        for number in range(_LEGACY_PICKLES):
            names |= _globals(path, file, magic=number == 0)
    return names


def _globals(path: Path, file: IO[bytes], magic: bool = False) -> set[str]:
    """List what one pickle names, its Python 2 names translated, and refuse what is not harmless."""
    protocol, names, first_number = 0, set(), None
    try:
        for opcode, argument, name in _walk(file):
            if opcode == "PROTO" and isinstance(argument, int):
                protocol = argument
            elif opcode == "LONG1" and first_number is None:
                first_number = argument
            if name is not None:
                if not _HARMLESS.fullmatch(name):
                    raise _refused(path, name)
                names.add(name)
    except AppError:
        raise
    except Exception as error:
        # pickletools raises many types on damaged bytes; none of them can have run anything.
        raise _damaged(path, f"its pickle ends too early or is garbled ({type(error).__name__})") from None
    if magic and first_number != _LEGACY_MAGIC:
        raise _no_model(path, "is a plain Python pickle, not a file of torch.save")
    if protocol > 3:
        raise _no_model(
            path,
            f"uses pickle protocol {protocol}, which cannot be read safely",
            _CONVERT,
        )
    return names


def _walk(file: IO[bytes]) -> Iterator[tuple[str, object, str | None]]:
    """Yield (opcode, argument, full name of the global if it is one)."""
    strings: list[str] = ["", ""]
    for opcode, argument, _ in pickletools.genops(file):
        name = None
        if opcode.name in _STRING_OPCODES:
            strings = [strings[-1], str(argument)]
        elif opcode.name in ("GLOBAL", "INST"):
            module, _, attribute = str(argument).partition(" ")
            name = _today(module, attribute)
        elif opcode.name == "STACK_GLOBAL":
            name = ".".join(strings)
        elif opcode.name.startswith("EXT"):
            name = f"extension {argument}"
        yield opcode.name, argument, name


def _today(module: str, name: str) -> str:
    if (module, name) in _compat_pickle.NAME_MAPPING:
        module, name = _compat_pickle.NAME_MAPPING[module, name]
    else:
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    return f"{module}.{name}"


def _refused(path: Path, name: str) -> AppError:
    return AppError(
        "Refused an unsafe file",
        f"{printable(path)} asks to run {printable(name, 80)}, which no set of weights needs. Nothing was run.",
        "Don't use this file; it may be malicious. Get a .safetensors version from a source that you trust.",
    )


def _damaged(path: Path, why: str) -> AppError:
    return AppError("Damaged file", f"{printable(path)}: {why}.", "It was probably cut off; download or copy it again.")


def _no_model(path: Path, what: str, hint: str = "Choose another file.") -> AppError:
    return AppError("Not a model file", f"{printable(path)} {what}.", hint)
