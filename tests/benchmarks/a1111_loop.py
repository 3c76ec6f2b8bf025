"""An A1111-like loop, written from its description, to compare with: what its step does, and nothing else.

Every attention layer transforms the context for itself and computes a plain softmax; transformer and ResNet blocks
are checkpointed with re-entry, which needs gradients of the UNet's weights, and these are computed and never used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tests.benchmarks.workbench import Workbench


class PlainAttention:
    """Softmax(QKᵀ/√d)V in full, with the layer's own transformed context."""

    def __init__(self, transform: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
        self.transform = transform

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context_BLD = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        key_context_BLD, value_context_BLD = self.transform(context_BLD)
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(key_context_BLD))
        value = attn.head_to_batch_dim(attn.to_v(value_context_BLD))
        weights = (query @ key.transpose(-1, -2) * attn.scale).softmax(dim=-1)
        output_BLD = attn.batch_to_head_dim(weights @ value)
        for layer in attn.to_out:
            output_BLD = layer(output_BLD)
        return output_BLD


@contextmanager
def a1111_like(bench: Workbench) -> Iterator[Callable[[], None]]:
    """Set the UNet up as A1111 does; yield its step. All is as before on leaving."""
    unet, training = bench.unet, bench.training
    previous = unet.attn_processors
    unet.set_attn_processor(PlainAttention(training.net.transform))
    unet.enable_gradient_checkpointing(partial(checkpoint, use_reentrant=True))
    unet.requires_grad_(True)
    try:
        yield lambda: _step(bench)
    finally:
        unet.requires_grad_(False)
        unet.disable_gradient_checkpointing()
        unet.set_attn_processor(previous)


def _step(bench: Workbench) -> None:
    training, denoiser = bench.training, bench.training.prepared.denoiser
    (batch,) = training.prepared.inputs.micro_batches(1, 0)
    noisy_BCHW = denoiser.diffusion.add_noise(batch.latents_BCHW, batch.noise_BCHW, batch.timesteps_B)
    predicted_BCHW = bench.unet(noisy_BCHW, batch.timesteps_B, batch.context_BLD, return_dict=False)[0]
    loss = torch.nn.functional.mse_loss(predicted_BCHW, batch.noise_BCHW)
    loss.backward()
    training.optimizer.step()
    training.optimizer.zero_grad(set_to_none=True)
    float(loss.detach())
