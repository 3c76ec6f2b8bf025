"""AdamW whose moments and update are in the host's memory."""

from typing import Any

import torch
from torch import Tensor, nn

from trainer.memory.account import on_host


class HostAdamW(torch.optim.AdamW):
    """AdamW for parameters on a device, with its state on the host.

    Gradients and weights go to the host, are updated there as ever, and the weights come back. Nothing else about
    it differs: its state is that of `torch.optim.AdamW`, so that a run may change between the two at any step.

    Args:
        parameters: Of one group, float32.
        options: As for `torch.optim.AdamW`.
    """

    def __init__(self, parameters: list[nn.Parameter], **options: Any) -> None:
        super().__init__(parameters, **options)
        self._parameters = parameters
        with on_host():
            self._hosted = [nn.Parameter(_host_copy(parameter)) for parameter in parameters]
        self._inner = torch.optim.AdamW(self._hosted, **{**options, "fused": True})

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
            for group, own in zip(self._inner.param_groups, self.param_groups, strict=True):
                group.update({name: value for name, value in own.items() if name not in ("params", "fused")})
            self._inner.step()
            self._inner.zero_grad(set_to_none=True)
        for parameter, hosted in zip(self._parameters, self._hosted, strict=True):
            parameter.copy_(hosted)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as `torch.optim.AdamW` has it."""
        return {**super().state_dict(), "state": self._inner.state_dict()["state"]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of any `torch.optim.AdamW` of the same parameters."""
        with on_host():
            self._inner.load_state_dict({**state_dict, "param_groups": self._inner.state_dict()["param_groups"]})
        super().load_state_dict({**state_dict, "state": {}})


def _host_copy(parameter: nn.Parameter) -> Tensor:
    copy = parameter.detach().to("cpu", copy=True)
    return copy.pin_memory() if parameter.device.type == "cuda" else copy
