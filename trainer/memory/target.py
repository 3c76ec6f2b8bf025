"""The device that a run will be computed on, told without torch."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from trainer.config.model import MemorySettings
from trainer.devices import Gauges, Gpu
from trainer.memory.table import Precision

NO_HALF = ("GTX 16", "T400", "T600", "T1000", "MX450", "MX550", "TITAN V")
"""Cards whose half precision gives NaN (pytorch issues 58123 and 77955) or gains nothing."""


@dataclass(frozen=True)
class Target:
    """A device and the memory that is free on it."""

    kind: Literal["cuda", "cpu", "mps"]
    name: str
    """As torch names it in a run's events."""
    free_bytes: int | None
    total_bytes: int | None
    precision: Precision
    limited: bool = False
    """Whether `free_bytes` is a limit on the tensors of this run alone."""

    @property
    def shares_ram(self) -> bool:
        """Whether what is kept on the host takes from the same memory."""
        return self.kind != "cuda" and not self.limited

    @property
    def memory_word(self) -> str:
        """What its memory is called."""
        return "VRAM" if self.kind == "cuda" else "RAM"

    @property
    def remedy(self) -> str:
        """What to do where nothing fits."""
        return "Raise the limit first." if self.limited else "Free some memory first."


def choose_target(settings: MemorySettings, gauges: Gauges, limit_bytes: int | None = None) -> Target:
    """Return the device that the settings mean, by the same rules as the worker.

    A card that isn't there is a target without figures: the worker will say so.

    Args:
        settings: Of the run.
        gauges: Readings of the machine.
        limit_bytes: Most that the run's tensors may take, where it is held below what is free.
    """
    target = _device(settings, gauges)
    if limit_bytes is None or (target.free_bytes is not None and limit_bytes >= target.free_bytes):
        return target
    return replace(target, free_bytes=limit_bytes, limited=True)


def _device(settings: MemorySettings, gauges: Gauges) -> Target:
    kind, _, number = settings.device.partition(":")
    cards = _visible(gauges.gpus) if _torch_has_cuda() or kind == "cuda" else []
    if kind == "cuda" or (kind == "auto" and cards):
        index = int(number or 0)
        if kind == "auto" and all(card.vram_free_bytes is not None for card in cards):
            index = max(range(len(cards)), key=lambda i: cards[i].vram_free_bytes or 0)
        card = cards[index] if index < len(cards) else Gpu(index)
        name = card.name or f"cuda:{index}"
        return Target("cuda", name, card.vram_free_bytes, card.vram_total_bytes, _precision(settings, name))
    used, total = gauges.ram_used_bytes, gauges.ram_total_bytes
    free = None if used is None or total is None else max(0, total - used)
    is_mps = kind == "mps" or (kind == "auto" and platform.system() == "Darwin" and platform.machine() == "arm64")
    own = "mps" if is_mps else "cpu"
    return Target("mps" if is_mps else "cpu", own, free, total, "half" if _asks_half(settings) else "fp32")


def _precision(settings: MemorySettings, name: str) -> Precision:
    if settings.precision == "auto":
        return "fp32" if any(card in name for card in NO_HALF) else "half"
    return "half" if _asks_half(settings) else "fp32"


def _asks_half(settings: MemorySettings) -> bool:
    return settings.precision in ("fp16", "bf16")


def _visible(cards: Sequence[Gpu]) -> list[Gpu]:
    """Return the cards that torch will see, in its order."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return list(cards)
    numbers = [part.strip() for part in wanted.split(",")]
    if not all(number.isdecimal() for number in numbers):
        return [] if wanted.strip() in ("", "-1") else list(cards)
    by_index = {card.index: card for card in cards}
    return [by_index[int(number)] for number in numbers if int(number) in by_index]


def _torch_has_cuda() -> bool:
    """Tell by the version of the installed torch, as importing it takes seconds."""
    try:
        return "+cpu" not in version("torch")
    except PackageNotFoundError:
        return False
