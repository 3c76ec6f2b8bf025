"""Where the run is computed, and in which numbers."""

import torch

from trainer.config.model import MemorySettings
from trainer.devices import read_gauges
from trainer.errors import AppError
from trainer.memory.target import NO_HALF


def choose_device(settings: MemorySettings) -> torch.device:
    """Return the device asked for; "auto" takes the CUDA card with the most free memory, else MPS, else the CPU.

    Raises:
        AppError: the device asked for isn't there.
    """
    if settings.device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", _freest_card())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(settings.device)
    if device.type == "cuda":
        _check_cuda(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise AppError("No such device", "memory.device is mps, but torch has no MPS here.", "Set memory.device=auto.")
    return device


def choose_dtype(settings: MemorySettings, device: torch.device) -> torch.dtype:
    """Return the numbers of the frozen model: as asked, or what the device computes safely and fast.

    Raises:
        AppError: fp16 on the CPU, which has no gradient scaling that would be worth it; tf32 where nothing has it.
    """
    if settings.precision == "auto":
        if device.type != "cuda" or any(name in torch.cuda.get_device_name(device) for name in NO_HALF):
            return torch.float32
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if settings.precision == "tf32":
        _check_tf32(device)
        return torch.float32
    if settings.precision == "fp16" and device.type == "cpu":
        raise AppError(
            "Bad setting", "memory.precision fp16 needs a GPU.", "Set memory.precision to fp32, bf16 or auto."
        )
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[settings.precision]


def _check_tf32(device: torch.device) -> None:
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return
    where = device_text(device)
    raise AppError(
        "Bad setting",
        f"memory.precision tf32 is a way to multiply of NVIDIA cards since Ampere (RTX 30); {where} doesn't have it.",
        "Set memory.precision to fp32 or auto.",
    )


def idle_settings(settings: MemorySettings, device: torch.device) -> list[str]:
    """Return a warning for each memory setting that frees nothing on this device."""
    if device.type == "cuda" or settings.vram_limit:
        return []
    names = [
        name
        for name, idle in (("offload", settings.offload != "none"), ("optimizer_on_host", settings.optimizer_on_host))
        if idle
    ]
    return [f"memory.{name} frees nothing on {device.type}, where the host's memory is the same." for name in names]


def device_text(device: torch.device) -> str:
    """Return a device's name for people."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _check_cuda(device: torch.device) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        found = f"{count} CUDA card{'s' * (count != 1)}" if count else "no CUDA card that this torch can use"
        raise AppError(
            "No such GPU",
            f"memory.device is {device}, but there is {found}.",
            "Set memory.device=auto, or look at `nvidia-smi` and `hypernet doctor`.",
        )


def _freest_card() -> int:
    # NVML, since torch would keep some hundred MiB on every card that it asks.
    cards = read_gauges().gpus
    if torch.cuda.device_count() == 1 or len(cards) != torch.cuda.device_count():
        return 0
    return max(range(len(cards)), key=lambda index: cards[index].vram_free_bytes or 0)


def empty_cache(device: torch.device) -> None:
    """Give memory that torch holds but doesn't use back to the device, for other programs to see and use."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def peak_bytes(device: torch.device) -> int | None:
    """Return the most that tensors took on a CUDA device since the last call; None elsewhere."""
    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak
