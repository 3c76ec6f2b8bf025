"""Put hypernetworks into a diffusers UNet.

Every attention layer gets a processor which transforms the context on its way to the key and the value
projection; queries are never touched. The pair is chosen by the context's width alone, so it serves all
layers of that width, self- and cross-attention alike.

The text context is the same in all cross-attention layers, so it is transformed once a forward pass: a hook
on the UNet computes it and sends it to the processors as an argument. It is no state of the processors,
hence gradient checkpointing, which calls them again later, sees what belongs to that very pass.

Axes: B batch, L tokens, D width, H heads, C channels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.errors import AppError
from trainer.hypernetwork.modules import Hypernetwork
from trainer.text import printable

_PLAIN_PROCESSORS = {
    "AttnProcessor",
    "AttnProcessor2_0",
    "FusedAttnProcessor2_0",
    "SlicedAttnProcessor",
    "XFormersAttnProcessor",
}
"""Those of diffusers that differ only in how they compute the same."""
_CONTEXT, _CONTEXT_POSITION = "encoder_hidden_states", 2
_EXTRAS, _EXTRAS_POSITION = "cross_attention_kwargs", 6
_SHARED = "shared_context"
"""Our key in `cross_attention_kwargs`; the processor takes it under this name."""

Chain = tuple[tuple[Hypernetwork, float], ...]
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


@dataclass(frozen=True)
class SharedContext:
    """A text context and what the chain makes of it."""

    source_BLD: Tensor
    key_BLD: Tensor
    value_BLD: Tensor


def transform_chain(chain: Chain, context_BLD: Tensor) -> tuple[Tensor, Tensor]:
    """Return the key and value contexts after all networks in order; each network has its own strength."""
    key_BLD = value_BLD = context_BLD
    for net, strength in chain:
        key_BLD, value_BLD = net.transform_pair(key_BLD, value_BLD, strength)
    return key_BLD, value_BLD


class HypernetworkProcessor:
    """Attention as diffusers' `AttnProcessor2_0` computes it, with key and value contexts of their own."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        shared_context: SharedContext | None = None,
    ) -> Tensor:
        """Return the layer's output, shape of `hidden_states`: (B, L, D) or (B, C, height, width)."""
        x_BLD = hidden_states if attn.spatial_norm is None else attn.spatial_norm(hidden_states, temb)
        picture_shape = x_BLD.shape if x_BLD.ndim == 4 else None
        if picture_shape:
            x_BLD = x_BLD.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            x_BLD = attn.group_norm(x_BLD.transpose(1, 2)).transpose(1, 2)
        key_context_BLD, value_context_BLD = self._contexts(attn, x_BLD, encoder_hidden_states, shared_context)
        query_BHLD = _split_heads(attn.to_q(x_BLD), attn.heads)
        key_BHLD = _split_heads(attn.to_k(key_context_BLD), attn.heads)
        value_BHLD = _split_heads(attn.to_v(value_context_BLD), attn.heads)
        if attn.norm_q is not None:
            query_BHLD = attn.norm_q(query_BHLD)
        if attn.norm_k is not None:
            key_BHLD = attn.norm_k(key_BHLD)
        mask = _prepared_mask(attn, attention_mask, key_context_BLD)
        y_BHLD = F.scaled_dot_product_attention(query_BHLD, key_BHLD, value_BHLD, attn_mask=mask)
        y_BLD = y_BHLD.transpose(1, 2).flatten(2).to(query_BHLD.dtype)
        for layer in attn.to_out:
            y_BLD = layer(y_BLD)
        output = y_BLD.transpose(1, 2).reshape(picture_shape) if picture_shape else y_BLD
        if attn.residual_connection:
            output = output + hidden_states
        return output / attn.rescale_output_factor if attn.rescale_output_factor != 1 else output

    def _contexts(
        self, attn: Any, x_BLD: Tensor, context_BLD: Tensor | None, shared: SharedContext | None
    ) -> tuple[Tensor, Tensor]:
        if context_BLD is None:
            return transform_chain(self.chain, x_BLD)
        if attn.norm_cross:
            return transform_chain(self.chain, attn.norm_encoder_hidden_states(context_BLD))
        if shared is not None and shared.source_BLD is context_BLD:
            return shared.key_BLD, shared.value_BLD
        return transform_chain(self.chain, context_BLD)


@contextmanager
def attach(unet: Any, networks: Sequence[tuple[Hypernetwork, float]]) -> Iterator[None]:
    """Run a UNet with hypernetworks inside this block.

    Networks are chained in order, the outer block's first where blocks are nested. Their parameters receive
    gradients; freeze the UNet to keep it from receiving any. On leaving, also by an error, the UNet is
    exactly as it was. Attach before `torch.compile`, and reset it after leaving: a compiled module does not
    notice later hooks.

    Args:
        unet: A diffusers `UNet2DConditionModel`, or a pipeline that has one.
        networks: (network, strength); networks must be on the UNet's device. Strength is ignored in training mode.

    Raises:
        AppError: no width of a network occurs in the UNet, or its attention is of a kind that cannot be hooked.
    """
    unet = getattr(unet, "unet", unet)
    layers = _attention_layers(unet)
    added = tuple((net, float(strength)) for net, strength in networks)
    _check_widths(added, unet_dims(unet))
    previous = {layer: layer.processor for layer in layers}
    outer = next((p.chain for p in previous.values() if isinstance(p, HypernetworkProcessor)), ())
    chain = (*outer, *added)
    handle = unet.register_forward_pre_hook(_sharing_hook(chain), with_kwargs=True, prepend=True)
    try:
        for layer, processor in previous.items():
            _check_processor(processor)
            layer.processor = HypernetworkProcessor(chain)
        yield
    finally:
        for layer, processor in previous.items():
            layer.processor = processor
        handle.remove()


def unet_dims(unet: Any) -> list[int]:
    """Return the context widths of a UNet, that of the text first: [768, 320, 640, 1280] for SD 1.x."""
    widths = [layer.cross_attention_dim for layer in _attention_layers(unet)]
    text = [layer.cross_attention_dim for layer in _attention_layers(unet) if layer.is_cross_attention]
    return list(dict.fromkeys([*text, *sorted(widths)]))


def _attention_layers(unet: nn.Module) -> list[Any]:
    return [module for module in unet.modules() if hasattr(module, "set_processor") and hasattr(module, "to_k")]


def _sharing_hook(chain: Chain) -> Callable[[nn.Module, Args, Kwargs], tuple[Args, Kwargs]]:
    def share(_unet: nn.Module, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        context_BLD = _argument(args, kwargs, _CONTEXT_POSITION, _CONTEXT)
        extras = _argument(args, kwargs, _EXTRAS_POSITION, _EXTRAS) or {}
        # The hook of an inner block ran before: its chain is the whole one.
        if _SHARED in extras:
            return args, kwargs
        extras = {**extras, _SHARED: _shared(chain, context_BLD)}
        if len(args) > _EXTRAS_POSITION:
            return (*args[:_EXTRAS_POSITION], extras, *args[_EXTRAS_POSITION + 1 :]), kwargs
        return args, {**kwargs, _EXTRAS: extras}

    return share


def _shared(chain: Chain, context_BLD: Tensor | None) -> SharedContext | None:
    # With dropout every layer draws for itself, as in A1111.
    if context_BLD is None or any(net.draws_randomly for net, _ in chain):
        return None
    return SharedContext(context_BLD, *transform_chain(chain, context_BLD))


def _argument(args: Args, kwargs: Kwargs, position: int, name: str) -> Any:
    return args[position] if len(args) > position else kwargs.get(name)


def _split_heads(x_BLD: Tensor, heads: int) -> Tensor:
    batch, length, width = x_BLD.shape
    return x_BLD.view(batch, length, heads, width // heads).transpose(1, 2)


def _prepared_mask(attn: Any, mask: Tensor | None, context_BLD: Tensor) -> Tensor | None:
    if mask is None:
        return None
    batch, length = context_BLD.shape[:2]
    prepared: Tensor = attn.prepare_attention_mask(mask, length, batch)
    return prepared.view(batch, attn.heads, -1, prepared.shape[-1])


def _check_widths(chain: Chain, dims: list[int]) -> None:
    for net, _ in chain:
        if not set(net.dims) & set(dims):
            raise AppError(
                "Hypernetwork of other dimensions",
                f"{printable(net.name)} covers the context widths {net.dims}; this model has {dims}.",
                "Use a hypernetwork that was trained for this kind of model.",
            )


def _check_processor(processor: object) -> None:
    name = type(processor).__name__
    if not isinstance(processor, HypernetworkProcessor) and name not in _PLAIN_PROCESSORS:
        raise AppError(
            "Attention already taken",
            f"This UNet's attention runs through {name}, which a hypernetwork cannot be put into.",
            "Remove what installed it (an IP-Adapter, for example) first.",
        )
