"""Frozen layers that live in the host's memory and visit the device when they are needed.

The order in which layers are asked for is the same at every step, so that it is recorded once and fetched ahead
of from then on: by a second CUDA stream, while the layers before are computed. Visitors take turns in one window
of fixed size. It is a ring: as the processor runs far ahead of the card, memory given back to the allocator would
be taken again long before its use ends, and the whole model would be there after all.

On the CPU the same happens without streams: a copy into the window, made at once.
"""

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.memory.account import on_host
from trainer.memory.table import window_bytes

log = logging.getLogger(__name__)

ALIGNMENT = 512
"""Of tensors in the window, as CUDA's allocator aligns."""


@dataclass
class Visitor:
    """A layer's tensors in the window."""

    number: int
    start: int
    end: int
    tensors: tuple[Tensor, ...]
    arrived: Any = None
    """CUDA event after its copy."""
    used: Any = None
    """CUDA event after its last use."""
    in_use: bool = False
    done: bool = False


class Streamer:
    """Fetches layers into a window on the device, ahead of their use.

    Args:
        device: Where they are needed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.copying = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.hosted: list[tuple[Tensor, ...]] = []
        self.misses = 0
        """Layers that were not there when they were asked for."""
        self._orders: dict[bool, list[int]] = {}
        self._training = False
        self._asked: list[int] = []
        self._ahead = 0
        self._visitors: deque[Visitor] = deque()
        self._head = 0
        self._window: Tensor | None = None

    def add(self, tensors: Sequence[Tensor]) -> int:
        """Keep a layer's tensors on the host; return its number."""
        with on_host():
            self.hosted.append(tuple(_pinned(tensor.cpu(), self.device) for tensor in tensors))
        self._window = None
        return len(self.hosted) - 1

    @property
    def window_bytes(self) -> int:
        """What visitors take on the device at most."""
        sizes = [_size(tensors) for tensors in self.hosted]
        return window_bytes(sum(sizes), max(sizes)) if sizes else 0

    @property
    def window(self) -> Tensor:
        """The window itself, bytes; its memory is taken at the first call."""
        if self._window is None:
            self._window = torch.empty(self.window_bytes, dtype=torch.uint8, device=self.device)
        return self._window

    def begin(self) -> None:
        """Begin a pass through the UNet: what is asked for until the next is recorded, and foreseen the next time."""
        if self._asked:
            self._orders[self._training] = self._asked
        self._training, self._asked, self._ahead = torch.is_grad_enabled(), [], 0
        self._visitors.clear()
        self._head = 0
        if self.copying is not None:
            self.copying.wait_stream(torch.cuda.current_stream(self.device))
        self._look_ahead()

    def fetch(self, number: int) -> Visitor:
        """Return a layer on the device; `release` it after the operation that uses it."""
        while self._visitors and self._visitors[0].done:
            if not self._is_idle(self._visitors[0]):
                break
            self._visitors.popleft()
        visitor = next((v for v in self._visitors if v.number == number and not v.done), None)
        if visitor is None:
            self.misses += 1
            self._forget_the_future()
            visitor = self._bring(number)
            assert visitor is not None
        visitor.in_use = True
        if visitor.arrived is not None:
            torch.cuda.current_stream(self.device).wait_event(visitor.arrived)
        self._asked.append(number)
        self._look_ahead()
        return visitor

    def release(self, visitor: Visitor) -> None:
        """Say that the operations that use a layer have been started; its place may be taken after them."""
        visitor.in_use, visitor.done = False, True
        if self.copying is not None:
            visitor.used = torch.cuda.current_stream(self.device).record_event()

    def _look_ahead(self) -> None:
        order = self._orders.get(self._training, [])
        self._ahead = max(self._ahead, len(self._asked))
        while self._ahead < len(order) and self._bring(order[self._ahead]) is not None:
            self._ahead += 1

    def _forget_the_future(self) -> None:
        """Drop what was fetched for nothing, and foresee no more in this pass."""
        self._visitors = deque(visitor for visitor in self._visitors if visitor.in_use or visitor.done)
        self._ahead = len(self._orders.get(self._training, []))

    def _bring(self, number: int) -> Visitor | None:
        """Start the copy of a layer; None where the window is full of layers that are not done with."""
        tensors = self.hosted[number]
        place = self._place(_size(tensors))
        if place is None:
            return None
        with self._on_copying_stream():
            self._wait_for(place)
            visitor = Visitor(number, *place, self._copied(tensors, place[0]))
            if self.copying is not None:
                visitor.arrived = self.copying.record_event()
        self._visitors.append(visitor)
        self._head = place[1]
        return visitor

    def _place(self, size: int) -> tuple[int, int] | None:
        busy = [visitor for visitor in self._visitors if not visitor.done]
        for start in (self._head, 0):
            place = (start, start + size)
            if place[1] <= self.window.numel() and not any(_overlap(place, (v.start, v.end)) for v in busy):
                return place
        return None

    def _wait_for(self, place: tuple[int, int]) -> None:
        """Have the copying stream wait until nobody reads what lies there, and forget who it was."""
        for visitor in [v for v in self._visitors if v.done and _overlap(place, (v.start, v.end))]:
            if self.copying is not None and visitor.used is not None:
                self.copying.wait_event(visitor.used)
            self._visitors.remove(visitor)

    def _copied(self, tensors: tuple[Tensor, ...], start: int) -> tuple[Tensor, ...]:
        copies = []
        for tensor in tensors:
            count = tensor.numel() * tensor.element_size()
            copy = self.window[start : start + count].view(tensor.dtype).view(tensor.shape)
            copies.append(copy.copy_(tensor, non_blocking=True))
            start += _aligned(count)
        return tuple(copies)

    def _is_idle(self, visitor: Visitor) -> bool:
        return visitor.used is None or bool(visitor.used.query())

    def _on_copying_stream(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.copying is None else torch.cuda.stream(self.copying)


def _pinned(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":
        try:
            return tensor.pin_memory()
        except RuntimeError as error:
            log.warning("memory of the host could not be pinned, so that fetching is slower: %s", error)
    # A copy even where it lies on the CPU already: the file it may be mapped from could go away.
    return tensor.clone()


def _size(tensors: Sequence[Tensor]) -> int:
    return sum(_aligned(tensor.numel() * tensor.element_size()) for tensor in tensors)


def _aligned(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
