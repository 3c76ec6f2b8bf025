"""Captioners at work: in batches that become smaller when memory runs out, on the CPU as the last."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from PIL import Image

from trainer.config.captioning import CaptionSettings
from trainer.config.model import MemorySettings
from trainer.errors import AppError
from trainer.faults import is_out_of_memory
from trainer.placement import choose_device, choose_dtype, empty_cache

JOIN = ", "
"""What A1111 puts between the captions of two captioners."""

Say = Callable[[str], None]

_log = logging.getLogger(__name__)


class Captioner(Protocol):
    """Something that looks at pictures and writes what they show."""

    name: str

    @property
    def device(self) -> torch.device:
        """Where it works."""
        ...

    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Return a caption for each picture (RGB)."""
        ...

    def to_cpu(self) -> None:
        """Go on on the CPU, in numbers that it is good at."""
        ...


class Engine:
    """Has captioners write in batches.

    Args:
        batch_size: Most pictures at once; it falls for good when memory runs out.
        say: Told what had to be changed.
    """

    def __init__(self, batch_size: int, say: Say = _log.warning) -> None:
        self.batch_size, self._say = batch_size, say

    def write(self, captioner: Captioner, pictures: Sequence[Image.Image]) -> list[str]:
        """Return a captioner's caption for each picture.

        Raises:
            AppError: one picture is too much even for the CPU's memory.
        """
        texts: list[str] = []
        while len(texts) < len(pictures):
            batch = pictures[len(texts) : len(texts) + self.batch_size]
            try:
                texts += captioner.write(batch)
                continue
            except Exception as error:  # torch, CUDA and onnxruntime each have their own way to say so
                if not is_out_of_memory(error):
                    raise
                _log.warning("%s: %s", captioner.name, error)
            # Out of the except clause, whose traceback holds on to the tensors of the failed batch.
            self._make_room(captioner, len(batch))
        return texts

    def _make_room(self, captioner: Captioner, batch_size: int) -> None:
        empty_cache(captioner.device)
        if batch_size > 1:
            self.batch_size = batch_size // 2
            self._say(f"Memory ran out with {batch_size} pictures at once; going on with {self.batch_size}.")
        elif captioner.device.type != "cpu":
            device = captioner.device
            captioner.to_cpu()
            empty_cache(device)
            self._say(f"{captioner.name} does not fit the device's memory; it goes on on the CPU, which is slow.")
        else:
            raise AppError(
                "Out of memory",
                f"{captioner.name} needs more memory than this machine has free, even for one picture.",
                "Close other programs, or choose a smaller captioner.",
            )


def place(settings: CaptionSettings) -> tuple[torch.device, torch.dtype]:
    """Return where captioners work and in which numbers: half precision on a GPU that is good at it, as in A1111.

    Raises:
        AppError: the device asked for isn't there.
    """
    memory = MemorySettings(device=settings.device)
    device = choose_device(memory)
    exact = choose_dtype(memory, device) is torch.float32
    return device, torch.float32 if exact else torch.float16
