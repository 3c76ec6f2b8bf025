"""What went wrong in a worker: which kind of fault it is, and how to tell it as what happened, where, what to do."""

import errno
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainer.errors import AppError
from trainer.text import printable


class FaultKind(StrEnum):
    """The faults that a run recovers from."""

    MEMORY = "memory"
    CUDA = "cuda"
    """The device's context is broken: nothing can be computed or saved in this process any more."""
    NAN = "nan"
    KILLED = "killed"
    DISK = "disk"
    HANG = "hang"


class Diverged(AppError):
    """The loss, the gradient or the weights are beyond use; the update was not applied.

    Args:
        title, message, hint: As of any such error.
        details: The `pictures` and `timesteps` of the step.
    """

    def __init__(self, title: str, message: str, hint: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(title, message, hint)
        self.details = dict(details or {})


OUT_OF_MEMORY_TEXTS = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUSPARSE_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "HIPBLAS_STATUS_ALLOC_FAILED",
    "MIOPEN_STATUS_ALLOC_FAILED",
    "cudaErrorMemoryAllocation",
    "hipErrorOutOfMemory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "can't allocate memory",
    "not enough memory",
    "Cannot allocate memory",
    "cuMemAlloc",
    "cudaMalloc failed",
    "NVRM: Out of memory",
    "unable to find an engine to execute this computation",
    "Unable to find a valid cuDNN algorithm",
)
"""Parts of the messages of CUDA, cuBLAS, cuDNN, HIP, MPS and torch's CPU allocator.

cuDNN finds no algorithm where none of them gets its workspace.
"""

_WORKSPACE = re.compile(
    r"CUDNN_STATUS_NOT_SUPPORTED.*(workspace|alloc)|(workspace|alloc).*CUDNN_STATUS_NOT_SUPPORTED", re.S
)

BROKEN_DEVICE_TEXTS = (
    "illegal memory access",
    "misaligned address",
    "illegal instruction",
    "unspecified launch failure",
    "device-side assert",
    "uncorrectable ECC",
    "ECC error",
    "device lost",
    "fallen off the bus",
    "GPU is lost",
    "Xid",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_MAPPING_ERROR",
    "cuDNN error",
    "CUDA error",
    "HIP error",
    "CUDA driver error",
    "launch timed out",
)

FULL_DISK_TEXTS = ("No space left on device", "Disk quota exceeded", "PytorchStreamWriter failed", "file write failed")
"""What libraries make of a full disk that don't raise an `OSError`."""

FULL_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out, by type and by message."""
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = str(error)
    known = any(text in said for text in OUT_OF_MEMORY_TEXTS) or bool(_WORKSPACE.search(said))
    return isinstance(error, RuntimeError) and known


def is_broken_device(error: BaseException) -> bool:
    """Tell whether an error means that the device's context is broken."""
    if type(error).__name__ == "AcceleratorError":
        return not is_out_of_memory(error)
    return (
        isinstance(error, RuntimeError)
        and not is_out_of_memory(error)
        and any(text in str(error) for text in BROKEN_DEVICE_TEXTS)
    )


def is_full_disk(error: BaseException) -> bool:
    """Tell whether an error means that a disk is full."""
    if isinstance(error, OSError):
        return error.errno in FULL_DISK_ERRORS
    return isinstance(error, RuntimeError) and any(text in str(error) for text in FULL_DISK_TEXTS)


def kind_of(error: BaseException) -> FaultKind | None:
    """Return which fault an error is; None for a mistake or a bug, which no restart mends."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Diverged):
            return FaultKind.NAN
        if is_full_disk(seen):
            return FaultKind.DISK
        if is_out_of_memory(seen):
            return FaultKind.MEMORY
        if is_broken_device(seen):
            return FaultKind.CUDA
        seen = seen.__cause__
    return None


def asked_bytes(error: BaseException) -> int | None:
    """Return how much memory was asked for, as the message tells it."""
    said = str(error)
    found = re.search(r"[Tt]ried to allocate ([\d.]+) ?(bytes|B|KiB|MiB|GiB|KB|MB|GB)\b", said)
    if found is None:
        return None
    units = {"b": 0, "k": 1, "m": 2, "g": 3}
    return int(float(found[1]) * 1024 ** units[found[2][0].lower()])


def first_line(error: BaseException) -> str:
    """Return what an error says in one harmless line."""
    return printable((str(error).splitlines() or [type(error).__name__])[0] or type(error).__name__)


def explain(error: Exception, run: Path, log: Path) -> AppError:
    """Return any failure of a run as a message for people.

    Args:
        error: What was raised.
        run: The run's folder.
        log: Where its traceback is.
    """
    if isinstance(error, AppError):
        return error
    said = first_line(error)
    kind = kind_of(error)
    if kind is FaultKind.MEMORY:
        hint = "Free some memory, then resume the run, or with less (--set memory.gradient_checkpointing=true)."
        return AppError("Out of memory", said, hint)
    if kind is FaultKind.CUDA:
        return AppError("GPU fault", said, device_advice(str(error)))
    if isinstance(error, OSError) or kind is FaultKind.DISK:
        where = printable(getattr(error, "filename", None) or run)
        return AppError(
            "File error",
            f"{printable(getattr(error, 'strerror', None) or said)}: {where}.",
            "Make room or mend the path, then resume the run; nothing that was saved is lost.",
        )
    return AppError(
        "Internal error",
        f"The worker met a bug ({type(error).__name__}); the traceback is in {printable(log)}.",
        "Resume the run to go on from its last state, and report the traceback.",
    )


_DEVICE_ADVICE = (
    (("ECC",), "The card's memory has errors: look at `nvidia-smi -q -d ECC`, reset the card or take another."),
    (
        ("fallen off the bus", "device lost", "GPU is lost", "Xid"),
        "The driver lost the card: check power and cooling, see `dmesg | grep -i xid`, then restart the machine.",
    ),
    (
        ("device-side assert",),
        "A value is out of range on the card: check model and network with `hypernet inspect`, or run once with "
        "memory.device=cpu, which names the place.",
    ),
    (("launch timed out",), "The card also drives a screen and was too slow: take a smaller memory.micro_batch."),
    (
        ("CUBLAS_STATUS_NOT_INITIALIZED", "CUDNN_STATUS_INTERNAL_ERROR", "CUBLAS_STATUS_INTERNAL_ERROR"),
        "Usually nearly no VRAM was left: close other programs on the card, or resume with less memory "
        "(--set memory.gradient_checkpointing=true).",
    ),
    (
        ("illegal memory access", "misaligned address", "illegal instruction", "unspecified launch failure"),
        "Undo overclocking, update the driver and torch to a pair that fits, and look at `nvidia-smi` and `dmesg`.",
    ),
)


def device_advice(said: str) -> str:
    """Return what to do about a fault of the device, by its message."""
    for texts, advice in _DEVICE_ADVICE:
        if any(text in said for text in texts):
            return f"{advice} Then resume the run."
    return "Look at `nvidia-smi` and `dmesg` for errors of the card, then resume the run."
