"""Whether losses are still those of a network that learns."""

import math
from collections.abc import Iterable

RECENT = 10
LEAST_HISTORY = 30
MOST_HISTORY = 500
EXPLODED = 10.0
"""The mean of ten losses, in means of all before: the loss of one step hangs on its timestep, that of ten hardly."""
AT_ONCE = 1000.0
CALM = 2.0


class LossWatch:
    """Compares the latest losses with all before.

    Args:
        history: Losses of an earlier sitting.
    """

    def __init__(self, history: Iterable[float] = ()) -> None:
        self.history = [loss for loss in history if math.isfinite(loss)]

    def explodes(self, loss: float) -> bool:
        """Tell whether the next loss shows that training has diverged; it is not yet taken in."""
        if not math.isfinite(loss):
            return True
        recent, before = self._parts([*self.history, loss])
        if len(before) < LEAST_HISTORY:
            return False
        usual = _mean(before)
        return _mean(recent) > EXPLODED * usual or loss > AT_ONCE * usual

    def add(self, loss: float) -> None:
        """Take a loss in."""
        self.history = [*self.history[-MOST_HISTORY:], loss] if len(self.history) > 2 * MOST_HISTORY else self.history
        self.history.append(loss)

    @property
    def calm(self) -> bool:
        """Whether the latest losses are like those before."""
        recent, before = self._parts(self.history)
        return not before or _mean(recent) <= CALM * _mean(before)

    def _parts(self, losses: list[float]) -> tuple[list[float], list[float]]:
        return losses[-RECENT:], losses[:-RECENT][-MOST_HISTORY:]


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
