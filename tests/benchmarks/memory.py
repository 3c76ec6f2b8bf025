"""Peak memory of a training step against that of its floor, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.figures import Figure

MIB = 2**20


def measure_demo(quick: bool = False) -> list[Figure]:
    """Measure the demo model."""
    return _measure("demo", 2 if quick else 5)


def measure_sd15(quick: bool = False) -> list[Figure]:
    """Measure a UNet of full size."""
    return _measure("sd15", 1 if quick else 5)


def _measure(model: str, steps: int) -> list[Figure]:
    step, floor = (_probe(model, kind, steps) for kind in ("step", "floor"))
    pairs = list(zip(step["rss"], floor["rss"], strict=True))
    return [
        Figure(
            "peak of a step ÷ the floor's",
            "ratio",
            tuple(ours / theirs for ours, theirs in pairs),
            note="of the whole process; ours has the hypernetwork, its gradient and two moments as well",
        ),
        Figure("peak of a step, whole process", "MiB", tuple(ours / MIB for ours, _ in pairs)),
        Figure("peak of the floor, whole process", "MiB", tuple(theirs / MIB for _, theirs in pairs)),
        Figure("peak of a step, tensors besides weights", "MiB", (step["tensors"][0] / MIB,)),
        Figure("peak of the floor, tensors besides weights", "MiB", (floor["tensors"][0] / MIB,)),
    ]


def _probe(model: str, kind: str, steps: int) -> dict[str, list[int]]:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.memory_probe", model, kind, str(steps)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, list[int]] = json.loads(answer.stdout.splitlines()[-1])
    return found
