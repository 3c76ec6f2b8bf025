"""An account of live tensor bytes, on real tensors or on fake ones that hold no data.

With fake tensors a step of a full-size model is followed in seconds on any machine. Fake CUDA tensors abort
the process in a CPU build of torch; fake CPU tensors save the same things for backward (query, key, value,
output and logsumexp of the fused attention), except for what autocast does, see `cuda_autocast`.
"""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

BLOCK_BYTES = 512
"""CUDA's caching allocator rounds every request up to this (c10/cuda/CUDACachingAllocator.cpp, kMinBlockSize)."""


class _Here(threading.local):
    depth = 0
    """Blocks of `on_host` that are open."""

    def __init__(self) -> None:
        self.accounts: list[LiveBytes] = []


_here = _Here()


@contextmanager
def on_host() -> Iterator[None]:
    """Make tensors inside this block that belong to the host: no account of the device counts them till they arrive."""
    _here.depth += 1
    try:
        yield
    finally:
        _here.depth -= 1


def arrived(tensors: Iterable[Tensor]) -> None:
    """Count tensors that were made on the host and are on the device now: on the CPU they are where they were."""
    for account in _here.accounts:
        account.admit(tensors)


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that are made inside this block, and their peak.

    Args:
        besides: Tensors that live already and are not to be counted: weights, inputs.
    """

    def __init__(self, besides: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: int = 0
        self.peak: int = 0
        self._seen: weakref.WeakValueDictionary[int, torch.UntypedStorage] = weakref.WeakValueDictionary()
        self._hosted: weakref.WeakValueDictionary[int, torch.UntypedStorage] = weakref.WeakValueDictionary()
        for tensor in besides:
            storage = tensor.untyped_storage()
            self._seen[id(storage)] = storage

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it made."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if not _here.depth:
                    self._count(storage)
                elif id(storage) not in self._seen:
                    self._seen[id(storage)] = self._hosted[id(storage)] = storage
        return result

    def __enter__(self) -> Any:
        """Begin to count."""
        _here.accounts.append(self)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: object) -> None:
        """Leave off."""
        _here.accounts.remove(self)
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def admit(self, tensors: Iterable[Tensor]) -> None:
        """Count what was made on the host, and isn't counted yet."""
        for tensor in tensors:
            storage = self._hosted.pop(id(tensor.untyped_storage()), None)
            if storage is not None:
                del self._seen[id(storage)]
                self._count(storage)

    def _count(self, storage: torch.UntypedStorage) -> None:
        if id(storage) in self._seen:
            return
        self._seen[id(storage)] = storage
        num_bytes = -(-storage.nbytes() // BLOCK_BYTES) * BLOCK_BYTES
        self.live += num_bytes
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, num_bytes).atexit = False

    def _forget(self, num_bytes: int) -> None:
        self.live -= num_bytes


@contextmanager
def cuda_autocast() -> Iterator[None]:
    """Make autocast on the CPU convert what autocast on CUDA converts, inside this block.

    Both compute products in half precision; CUDA alone computes norms and resizing in float32, and keeps those
    float32 inputs for backward (ATen/autocast_mode.h, AT_FORALL_FP32). The functions themselves are replaced, as
    a function mode is off during backward, where checkpointed blocks run again.
    """
    plain = {name: getattr(F, name) for name in ("group_norm", "layer_norm", "interpolate")}
    try:
        for name, function in plain.items():
            setattr(F, name, _in_float32(function))
        yield
    finally:
        for name, function in plain.items():
            setattr(F, name, function)


def _in_float32(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            args, kwargs = tree_map(_as_float32, (args, kwargs))
        return function(*args, **kwargs)

    return run


def _as_float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
