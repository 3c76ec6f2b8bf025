"""The least a training step can cost: the frozen UNet's own forward and backward of activations."""

from collections.abc import Callable
from typing import Any

import torch

from tests.benchmarks.workbench import Workbench
from trainer.hypernetwork import attach
from trainer.memory.measure import counting_flop
from trainer.step import accumulate_gradient


def floor_step(bench: Workbench) -> None:
    """Run the UNet without hypernetworks, and take the gradient with respect to its input; no weight gets one."""
    latents_BCHW, timesteps_B, context_BLD = bench.floor_inputs()
    output_BCHW = bench.unet(latents_BCHW, timesteps_B, context_BLD, return_dict=False)[0]
    output_BCHW.square().mean().backward()


def step_gradient(bench: Workbench) -> None:
    """Compute one step's loss and gradient as training does, and drop the gradient."""
    training = bench.training
    batches = training.prepared.inputs.micro_batches(1, training.config.memory.micro_batch)
    accumulate_gradient(training.prepared.denoiser, batches, bench.pictures, training.scaler)
    training.optimizer.zero_grad(set_to_none=True)


def count_flop(bench: Workbench) -> dict[str, int]:
    """Return the operations of a step, of the floor, and of the frozen UNet's forward."""

    @torch.no_grad()
    def forward() -> None:
        latents_BCHW, timesteps_B, context_BLD = bench.floor_inputs()
        bench.unet(latents_BCHW, timesteps_B, context_BLD)

    with attach(bench.unet, [(bench.training.net, 1.0)]):
        step = _flop_of(lambda: step_gradient(bench))
    return {"step": step, "floor": _flop_of(lambda: floor_step(bench)), "forward": _flop_of(forward)}


def _flop_of(function: Callable[[], Any]) -> int:
    with counting_flop() as flop:
        function()
    return flop()
