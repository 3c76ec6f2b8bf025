"""A process that does nothing but steps and tells their peaks: `-m tests.benchmarks.memory_probe MODEL KIND N`."""

import json
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from tests.benchmarks.floor import floor_step, step_gradient
from tests.benchmarks.workbench import ModelName, Workbench, workbench
from trainer.hypernetwork import attach
from trainer.memory.account import LiveBytes


def main(model: ModelName, kind: str, steps: int) -> None:
    """Print one line of JSON: bytes at the peak of each step, of the process ("rss") and of its tensors ("tensors")."""
    with workbench(model) as bench:
        found = _floor(bench, steps) if kind == "floor" else _training(bench, steps)
    print(json.dumps(found))


def _floor(bench: Workbench, steps: int) -> dict[str, list[int]]:
    return _peaks(bench, lambda: floor_step(bench), lambda: floor_step(bench), steps)


def _training(bench: Workbench, steps: int) -> dict[str, list[int]]:
    with attach(bench.unet, [(bench.training.net, 1.0)]):
        return _peaks(bench, bench.one_step, lambda: step_gradient(bench), steps)


def _peaks(bench: Workbench, step: Callable[[], Any], counted: Callable[[], Any], steps: int) -> dict[str, list[int]]:
    step()  # makes the optimizer's state
    rss = [_peak_of(step) for _ in range(steps)]
    with LiveBytes(bench.weights()) as account:
        counted()
    return {"rss": rss, "tensors": [account.peak]}


def _peak_of(step: Callable[[], Any]) -> int:
    _reset_peak()
    step()
    return _peak_bytes()


def _reset_peak() -> None:
    """Set the peak to what is held now (Linux, proc(5), clear_refs); elsewhere it stays that of the whole process."""
    file = Path("/proc/self/clear_refs")
    if file.exists():
        file.write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists() and (line := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(line[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(cast(ModelName, sys.argv[1]), sys.argv[2], int(sys.argv[3]))
