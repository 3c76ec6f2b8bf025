"""Whether an optimizer step that failed halfway has changed anything."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.memory.host_optimizer import HostAdamW

COUNTER = "step"
"""AdamW's own count of steps, raised before anything is computed."""


class StepGuard:
    """Tells after the failure of a step whether weights and moments are as they were before it.

    A fused step of AdamW is one operation that is done or not; only its counters are raised beforehand, which is why
    they are copied. Of the plain one torch counts each change in place (`Tensor._version`). `HostAdamW` is such a
    step on the host, before which nothing changes on the device. Any other optimizer counts as half done.

    Args:
        optimizer: The optimizer, with its weights.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._worker = optimizer.inner if isinstance(optimizer, HostAdamW) else optimizer
        """Has the moments."""
        self._versions: dict[int, int] | None = None
        self._done = False
        self._counters: list[Tensor] = []
        self._counts: Sequence[Tensor] = ()
        self._worker.register_step_post_hook(self._note_end)

    def begin(self) -> None:
        """Remember how everything is."""
        tensors = self._tensors()
        self._done = False
        self._versions = {id(tensor): tensor._version for _, _, tensor in tensors}
        self._counters = [tensor for _, name, tensor in tensors if name == COUNTER]
        # One operation for all of them: a copy each would cost a launch each.
        self._counts = torch._foreach_add(self._counters, 0) if self._counters else []

    def end(self) -> None:
        """Take note that the step was done and all that belongs to it."""
        self._versions = None

    def undo(self) -> bool:
        """After a failure: put the counters back; return whether all is as before the step."""
        before, self._versions = self._versions, None
        if before is None:
            return True
        if self._done or type(self._worker) is not torch.optim.AdamW:
            return False
        whole = True
        for parameter, name, tensor in self._tensors():
            if id(tensor) not in before:
                # Made by this very step, and zero as long as it did nothing.
                whole = whole and (name == COUNTER or not bool(tensor.any()))
                self._worker.state.pop(parameter, None)
            elif name != COUNTER and tensor._version != before[id(tensor)]:
                whole = False
        for parameter in [each for each, state in self._worker.state.items() if not state]:
            del self._worker.state[parameter]
        for counter, count in zip(self._counters, self._counts, strict=True):
            counter.copy_(count)
        return whole

    def _note_end(self, *_: object) -> None:
        self._done = True

    def _tensors(self) -> list[tuple[Tensor, str, Tensor]]:
        parameters = [each for group in self._optimizer.param_groups for each in group["params"]]
        found = [(parameter, "", parameter) for parameter in parameters]
        for parameter, state in self._worker.state.items():
            found += [(parameter, name, value) for name, value in state.items() if isinstance(value, Tensor)]
        return found
