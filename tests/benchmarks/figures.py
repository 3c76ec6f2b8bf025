"""What a benchmark found: named samples with their unit and, where there is one, the goal."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Samples of one quantity, measured in one run."""

    name: str
    unit: str
    """"ratio", "share", "s", "MiB", "MP/s" or "FLOP"."""
    samples: tuple[float, ...]
    at_most: float | None = None
    """Goal for the median on two CPU cores."""
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        return None if self.at_most is None else self.median <= self.at_most

    def facts(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        facts: dict[str, Any] = {
            "unit": self.unit,
            "median": self.median,
            "min": min(self.samples),
            "max": max(self.samples),
            "samples": list(self.samples),
        }
        if self.at_most is not None:
            facts |= {"goal_at_most": self.at_most, "goal_reached": self.reached}
        return facts | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class Took:
    """How long something took."""

    wall_s: float
    cpu_s: float
    """Of all threads of this process."""

    def __truediv__(self, count: float) -> "Took":
        return Took(self.wall_s / count, self.cpu_s / count)


def take_time(function: Callable[[], object], times: int = 1) -> Took:
    """Return how long one call takes, on average over so many."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for _ in range(times):
        function()
    return Took(time.perf_counter() - wall_s, time.process_time() - cpu_s) / times


def alternate(
    contenders: Mapping[str, Callable[[], Took]], rounds: int, warm_up: int = 1
) -> dict[str, tuple[Took, ...]]:
    """Measure each contender once a round, so that whatever slows the machine slows all of them.

    Args:
        contenders: Each prepares, takes its time and clears up.
        rounds: Samples of each.
        warm_up: Rounds before, which are not counted.
    """
    found: dict[str, list[Took]] = {name: [] for name in contenders}
    for number in range(-warm_up, rounds):
        for name, measure in contenders.items():
            took = measure()
            if number >= 0:
                found[name].append(took)
    return {name: tuple(samples) for name, samples in found.items()}
