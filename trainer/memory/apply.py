"""Put the memory settings into effect: on a UNet as it goes to the device, on the optimizer, on the arithmetic."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainer.config.model import MemorySettings, OptimizerSettings
from trainer.memory.host_optimizer import HostAdamW
from trainer.memory.layers import Layer, block_layers, offloaded
from trainer.memory.stored import StoredConv2d, StoredLinear, StoredWeight, pack
from trainer.memory.stream import Streamer

log = logging.getLogger(__name__)


def place_unet(unet: Any, settings: MemorySettings, device: torch.device) -> Streamer | None:
    """Bring a frozen UNet from the host to the device as the settings say.

    Layers go one by one, so that a UNet that doesn't fit as a whole is never there as a whole.

    Returns:
        What fetches layers from the host, where the settings offload any.
    """
    set_checkpointing(unet, settings.gradient_checkpointing)
    streamer = None if settings.offload == "none" else Streamer(device)
    layers = block_layers(unet)
    for layer, away in zip(layers, list(offloaded(layers, settings.offload)), strict=True):
        _store(layer, settings, device, streamer if away else None)
    if streamer is not None:
        unet.register_forward_pre_hook(lambda *_: streamer.begin(), prepend=True)
        log.info("%d layers on the host, %d bytes of window", len(streamer.hosted), streamer.window.numel())
    if any(tensor.device != device for tensor in (*unet.parameters(), *unet.buffers())):
        unet.to(device)
    return streamer


def set_checkpointing(unet: Any, on: bool) -> None:
    """Have a UNet's blocks compute their activations again in backward, or keep them."""
    if on:
        unet.enable_gradient_checkpointing(gradient_checkpointing_func=_checkpoint)
    else:
        unet.disable_gradient_checkpointing()


def _checkpoint(function: Any, *args: Any) -> Any:
    return torch.utils.checkpoint.checkpoint(function, *args, use_reentrant=False)


@torch.no_grad()
def _store(layer: Layer, settings: MemorySettings, device: torch.device, streamer: Streamer | None) -> None:
    module, weight = layer.module, layer.module.weight.detach()
    tensors: tuple[Tensor, ...] = (weight,)
    if settings.weights == "8bit":
        tensors = pack(weight.to(device))
    elif streamer is None and isinstance(module, nn.Linear):
        return
    if streamer is None:
        # torch's convolution keeps its input for a gradient of its weight that nobody wants; ours doesn't.
        stored = StoredWeight(weight.dtype, tuple(tensor.to(device) for tensor in tensors))
    else:
        stored = StoredWeight(weight.dtype, (), streamer, streamer.add(tensors))
    made = StoredLinear(module, stored) if isinstance(module, nn.Linear) else StoredConv2d(module, stored)
    layer.replace(made.eval())


def make_optimizer(
    parameters: list[nn.Parameter], options: OptimizerSettings, settings: MemorySettings
) -> torch.optim.AdamW:
    """Return AdamW, on the parameters' device or on the host; the rate is set at every step."""
    device = parameters[0].device.type
    wanted: dict[str, Any] = {
        "lr": 1.0,
        "betas": (options.beta1, options.beta2),
        "eps": options.epsilon,
        "weight_decay": options.weight_decay,
    }
    if settings.optimizer_on_host:
        return HostAdamW(parameters, **wanted)
    return torch.optim.AdamW(parameters, fused=device in ("cuda", "cpu"), **wanted)


@contextmanager
def arithmetic(settings: MemorySettings) -> Iterator[None]:
    """Have products of float32 on CUDA computed as the settings say, inside this block: exactly, or in TF32."""
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "tf32" if settings.precision == "tf32" else "ieee"
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value
