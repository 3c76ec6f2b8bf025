"""Notices a worker that is alive and gets nowhere."""

import statistics
import time
from collections import deque
from collections.abc import Callable

MEDIANS = 60
"""A step, preview or validation that takes as long as so many steps is suspect."""
LOADING_FACTOR = 3
"""Before the first step, as a slow disk may take long over a model."""


class Watchdog:
    """Measures the silence of a worker against its own pace.

    Args:
        least_s: Shortest silence that counts.
        clock: Seconds that go on while the machine is awake.
    """

    def __init__(self, least_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._least_s = least_s
        self._clock = clock
        self._seconds: deque[float] = deque(maxlen=51)
        self._heard = clock()
        self.warned = False
        """Whether the present silence was told."""

    @property
    def limit_s(self) -> float:
        """How long a silence is suspect; twice as long is a hang."""
        if not self._seconds:
            return LOADING_FACTOR * self._least_s
        return max(self._least_s, MEDIANS * statistics.median(self._seconds))

    @property
    def silence_s(self) -> float:
        """Seconds since the last event."""
        return self._clock() - self._heard

    def hear(self, step_s: float | None = None) -> None:
        """Take note of an event; of a step's time, where it is one."""
        self._heard = self._clock()
        self.warned = False
        if step_s is not None:
            self._seconds.append(step_s)

    def suspects(self) -> bool:
        """Tell, once for each silence, that it is suspiciously long."""
        if self.warned or self.silence_s < self.limit_s:
            return False
        self.warned = True
        return True

    @property
    def hangs(self) -> bool:
        """Whether the silence is too long to wait further."""
        return self.silence_s >= 2 * self.limit_s
