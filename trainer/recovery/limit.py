"""`memory.vram_limit`: a run held below a share of the memory.

On a GPU torch's allocator is capped. On the CPU an account of live tensor bytes takes its place, so that whatever
happens when memory runs out can be seen without a GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainer.config.model import MemorySettings
from trainer.memory.account import BLOCK_BYTES, LiveBytes
from trainer.text import size_text


class LimitedBytes(LiveBytes):
    """Counts the bytes of tensors made inside this block, and raises where a limit is passed.

    Args:
        limit: Most bytes that may live at a time.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def _count(self, storage: torch.UntypedStorage) -> None:
        if id(storage) not in self._seen and self.live + storage.nbytes() > self.limit:
            error = torch.OutOfMemoryError(
                f"Tried to allocate {size_text(storage.nbytes())} with {size_text(self.live)} in use, "
                f"and the limit (memory.vram_limit) is {size_text(self.limit)}."
            )
            error.asked_bytes = -(-storage.nbytes() // BLOCK_BYTES) * BLOCK_BYTES  # type: ignore[attr-defined]
            error.live_bytes = self.live  # type: ignore[attr-defined]
            raise error
        super()._count(storage)


@contextmanager
def limited(settings: MemorySettings, device: torch.device) -> Iterator[LimitedBytes | None]:
    """Hold what is computed inside this block below `memory.vram_limit`; without one this does nothing.

    Yields:
        The account, where there is one.
    """
    limit = settings.vram_limit_bytes
    if limit is None:
        yield None
    elif device.type == "cpu":
        with LimitedBytes(limit) as account:
            yield account
    else:
        cap_allocator(limit, device)
        yield None


def cap_allocator(limit: int, device: torch.device) -> None:
    """Cap torch's allocator on a GPU at `limit` bytes."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)
    elif device.type == "mps":
        torch.mps.set_per_process_memory_fraction(min(1.0, limit / torch.mps.recommended_max_memory()))
