"""AdamW whose moments and update are in the host's memory."""

from typing import Any

import torch
from torch import Tensor, nn

from trainer.faults import is_out_of_memory
from trainer.memory.account import on_host
from trainer.placement import empty_cache


class HostAdamW(torch.optim.AdamW):
    """AdamW for parameters on a device, with its state on the host.

    Gradients and weights go to the host, are updated there as ever, and the weights come back. Nothing else about
    it differs: its state is that of `torch.optim.AdamW`, so that a run may change between the two at any step.
    Up to the update on the host, which is one operation, nothing is changed on the device.

    Args:
        parameters: Of one group, float32.
        options: As for `torch.optim.AdamW`.
    """

    def __init__(self, parameters: list[nn.Parameter], **options: Any) -> None:
        super().__init__(parameters, **options)
        self._parameters = parameters
        with on_host():
            self._hosted = [nn.Parameter(_host_copy(parameter)) for parameter in parameters]
        self.inner = torch.optim.AdamW(self._hosted, **{**options, "fused": True})
        """Has the moments and does the update."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the parameters from their gradients, which are let go of one by one."""
        if closure is not None:
            raise ValueError("the loss is not computed again here")
        with on_host():
            for parameter, hosted in zip(self._parameters, self._hosted, strict=True):
                hosted.copy_(parameter)
                hosted.grad = None if parameter.grad is None else parameter.grad.to("cpu", copy=True)
                parameter.grad = None
            for group, own in zip(self.inner.param_groups, self.param_groups, strict=True):
                group.update({name: value for name, value in own.items() if name not in ("params", "fused")})
            self.inner.step()
            self.inner.zero_grad(set_to_none=True)
        try:
            self._bring_back()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            # What was updated is on the host as a whole, and the gradients have made room.
            empty_cache(self._parameters[0].device)
            self._bring_back()

    def _bring_back(self) -> None:
        for parameter, hosted in zip(self._parameters, self._hosted, strict=True):
            parameter.copy_(hosted)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as `torch.optim.AdamW` has it."""
        return {**super().state_dict(), "state": self.inner.state_dict()["state"]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of any `torch.optim.AdamW` of the same parameters."""
        with on_host():
            self.inner.load_state_dict({**state_dict, "param_groups": self.inner.state_dict()["param_groups"]})
        super().load_state_dict({**state_dict, "state": {}})


def _host_copy(parameter: nn.Parameter) -> Tensor:
    copy = parameter.detach().to("cpu", copy=True)
    return copy.pin_memory() if parameter.device.type == "cuda" else copy
