"""A fault told by the worker it happened in, with the figures that only it can read."""

import gc
import os
import traceback
from pathlib import Path
from typing import Any

import torch

from trainer.config import RunConfig
from trainer.devices import vram_holders
from trainer.errors import AppError
from trainer.faults import Diverged, FaultKind, asked_bytes, explain, first_line, kind_of
from trainer.recovery.fault import Fault
from trainer.run.folder import RunFolder
from trainer.text import printable, size_text


def fault_of(
    error: Exception,
    folder: RunFolder,
    config: RunConfig,
    during: str,
    step: int,
    device: torch.device | None,
    needed_bytes: int,
) -> Fault | None:
    """Return an error as a fault; None for a mistake or a bug, which no restart mends.

    Args:
        error: What was raised; its frames are cleared, so that their tensors are freed.
        folder: The run.
        config: As it is computed.
        during: What was going on.
        step: Steps done.
        device: Where; None before that is known.
        needed_bytes: Room on the disk that a state and a checkpoint take.
    """
    kind = kind_of(error)
    if kind is None:
        return None
    details: dict[str, Any] = {}
    message = f"{_WHAT[kind]} during {during} after step {step:,}: {first_line(error)}"
    title, hint = explain(error, folder.path, folder.worker_log).title, ""
    if kind is FaultKind.MEMORY:
        title, details = "Out of memory", _memory_details(error, config, device)
    elif kind is FaultKind.DISK:
        title, details, message = "Disk full", *_disk(error, folder, needed_bytes)
    elif isinstance(error, AppError):
        message, hint = error.message, error.hint
        details = dict(error.details) if isinstance(error, Diverged) else {}
    return Fault(kind, step, during, title, message, hint, details)


def free_frames(error: BaseException) -> None:
    """Let go of the tensors that the frames of an error hold."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
    gc.collect()


_WHAT = {
    FaultKind.MEMORY: "Memory ran out",
    FaultKind.CUDA: "The GPU failed",
    FaultKind.NAN: "Training diverged",
    FaultKind.DISK: "The disk is full",
}


def _memory_details(error: Exception, config: RunConfig, device: torch.device | None) -> dict[str, Any]:
    details: dict[str, Any] = {"asked_bytes": getattr(error, "asked_bytes", None) or asked_bytes(error)}
    limit = config.memory.vram_limit_bytes
    if limit is not None:
        details["limit_bytes"] = limit
    if hasattr(error, "live_bytes"):
        details["live_bytes"] = error.live_bytes
        details |= {"free_bytes": max(0, (limit or 0) - error.live_bytes), "total_bytes": limit}
    if device is not None and device.type == "cuda":
        try:
            free, total = torch.cuda.mem_get_info(device)
            details |= {"free_bytes": free, "total_bytes": total}
            details |= {"reserved_bytes": torch.cuda.memory_reserved(device)}
        except RuntimeError as failure:  # a card that is out of memory may refuse even this
            details["unread"] = first_line(failure)
        details["holders"] = vram_holders(device.index or 0, [os.getpid()])
    return {name: value for name, value in details.items() if value is not None}


def _disk(error: Exception, folder: RunFolder, needed_bytes: int) -> tuple[dict[str, Any], str]:
    path = Path(str(getattr(error, "filename", None) or folder.path))
    place = next((each for each in (path, *path.parents) if each.is_dir()), folder.path)
    figures = os.statvfs(place)
    free = figures.f_bavail * figures.f_frsize
    message = (
        f"The disk of {printable(place)} is full: about {size_text(needed_bytes)} are needed and {size_text(free)} "
        "are free. The run goes on by itself when there is room."
    )
    return {"path": str(path), "folder": str(place), "needed_bytes": needed_bytes, "free_bytes": free}, message
