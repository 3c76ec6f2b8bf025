"""Run a function over many items in worker processes that die with their parent and may die alone."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_QUEUED_PER_WORKER = 3
_BYTES_PER_WORKER = 4_000_000
"""A worker takes some tenths of a second to start; it pays off for some megabytes of pictures."""


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(paths: Iterable[Path]) -> int:
    """Return how many processes pay off for reading these files: at most one for each core."""
    num_bytes = 0
    for path in paths:
        with contextlib.suppress(OSError):
            num_bytes += path.stat().st_size
    return max(1, min(core_count(), num_bytes // _BYTES_PER_WORKER))


def map_processes(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result | None]]:
    """Yield each item with its result, in the order of completion.

    Args:
        function: Importable by name, as its process is started afresh (spawned).
        items: Picklable; only a few are held at a time beside the results.
        workers: Number of processes; 1 or fewer works in this one.

    Yields:
        The item and its result; None where the item's process died, as the kernel ends what takes too
        much memory. Such an item has then been tried alone in a fresh process as well.
    """
    if workers <= 1:
        for item in items:
            yield item, function(item)
        return
    queue = deque(items)
    while queue:
        suspects = yield from _until_broken(function, queue, workers)
        for item in suspects:
            yield item, _alone(function, item)


def _until_broken(
    function: Callable[[Item], Result], queue: deque[Item], workers: int
) -> Generator[tuple[Item, Result | None], None, list[Item]]:
    """Work through the queue; return the items in flight when a process died, else nothing."""
    pool = _pool(min(workers, len(queue)))
    pending: dict[Future[Result], Item] = {}
    try:
        while queue or pending:
            while queue and len(pending) < workers * _QUEUED_PER_WORKER:
                item = queue.popleft()
                pending[pool.submit(function, item)] = item
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                result = future.result()
                yield pending.pop(future), result
    except BrokenProcessPool:
        return list(pending.values())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return []


def _alone(function: Callable[[Item], Result], item: Item) -> Result | None:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()
