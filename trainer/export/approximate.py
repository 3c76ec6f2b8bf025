"""The linear map closest to a hypernetwork that is none, on contexts that the model really has, and how close it is.

Least squares with a small ridge on pairs (x, f(x)), collected while the model denoises with the network on.
Axes: B batch, C channels, H height, W width, L tokens, D context width (E: with a one appended).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from trainer.base_model.load import BaseModel
from trainer.base_model.text_encoding import encode_prompts
from trainer.diffusion import Diffusion
from trainer.export.linear import LinearMap, Projection, linear_network
from trainer.hypernetwork import Hypernetwork, attach
from trainer.randomness import normal
from trainer.sampling import vae_factor
from trainer.step import Denoiser

PROMPTS = (
    "", "a photograph", "a portrait of a woman", "a portrait of an old man, oil painting, dramatic light",
    "a landscape with mountains and a lake, sunset", "a cat on a chair", "a city street at night, rain",
    "a red circle on a blue background", "an illustration of a castle, highly detailed", "a bowl of fruit",
    "a robot in a forest, digital art", "a watercolour of flowers", "blurry, low quality, bad anatomy",
    "a dog running on the beach", "a medieval knight, full body", "an abstract pattern, many colours",
)  # fmt: skip
"""Contexts are collected on these beside the prompts given; each appears with every timestep."""
TIMESTEP_SHARES = (0.05, 0.35, 0.65, 0.95)
RIDGE = 1e-5
"""Share of the mean square of the inputs."""
HELD_OUT_EVERY = 4
"""Every so-manieth pass is kept for measuring."""


@dataclass
class _Sums:
    """Normal equations of one map."""

    xx_EE: Tensor
    xy_ED: Tensor
    count: int = 0

    @classmethod
    def empty(cls, dim: int) -> "_Sums":
        return cls(torch.zeros(dim + 1, dim + 1, dtype=torch.float64), torch.zeros(dim + 1, dim, dtype=torch.float64))

    def add(self, x_ND: Tensor, y_ND: Tensor) -> None:
        x_NE = torch.cat([x_ND, torch.ones(len(x_ND), 1)], dim=1).double()
        self.xx_EE += x_NE.T @ x_NE
        self.xy_ED += x_NE.T @ y_ND.double()
        self.count += len(x_ND)

    def solve(self) -> LinearMap:
        ridge = RIDGE * float(self.xx_EE.diagonal()[:-1].mean())
        penalty_EE = torch.eye(len(self.xx_EE), dtype=torch.float64) * ridge
        penalty_EE[-1, -1] = 0
        found_ED = torch.linalg.solve(self.xx_EE + penalty_EE, self.xy_ED)
        return LinearMap(found_ED[:-1].T.contiguous(), found_ED[-1])


@dataclass(frozen=True)
class Closest:
    """A linear network and how far it is from the real one, on passes that it was not fitted to."""

    net: Hypernetwork
    errors: dict[str, float] = field(default_factory=dict)
    """‖f − f̂‖ / ‖f‖ by width and projection, e.g. "768 k"."""
    prediction_error: float = 0.0
    """Difference of the UNet's predictions as a share of what the network changes in them."""


@dataclass(frozen=True)
class _Pass:
    noisy_BCHW: Tensor
    timestep_B: Tensor
    context_BLD: Tensor


@torch.no_grad()
def closest_linear(
    net: Hypernetwork,
    base: BaseModel,
    strength: float,
    prompts: Sequence[str] = (),
    size_px: int = 256,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Closest:
    """Fit and measure; on the CPU in float32, with the network on as it will be used.

    Args:
        net: Any network.
        base: With UNet, VAE (for its size only) and text encoder, float32.
        strength: At which the network is used; it decides which hidden states appear.
        prompts: What one will draw with it.
        size_px: Side of the pictures whose hidden states are collected.
        progress: Told (passes done, in all).
    """
    diffusion = Diffusion.from_scheduler(base.noise_scheduler, torch.device("cpu"))
    denoiser = Denoiser(base.unet, diffusion, torch.device("cpu"), torch.float32)
    side = max(8, size_px // vae_factor(base.vae))
    passes = list(_passes(base, denoiser, (*prompts, *PROMPTS), side, net, strength))
    sums = {(dim, kind): _Sums.empty(dim) for dim in net.dims for kind in cast("tuple[Projection, ...]", ("k", "v"))}
    fitted = [one for i, one in enumerate(passes) if i % HELD_OUT_EVERY]
    held_out = [one for i, one in enumerate(passes) if i % HELD_OUT_EVERY == 0]
    for done, one in enumerate(fitted, start=1):
        for context_ND in _contexts(denoiser, one, net, strength):
            for kind, y_ND in zip(("k", "v"), _outputs(net, context_ND), strict=True):
                sums[context_ND.shape[-1], cast(Projection, kind)].add(context_ND, y_ND)
        progress(done, len(passes))
    close = linear_network({key: found.solve() for key, found in sums.items() if found.count}, net)
    return Closest(close, *_measured(denoiser, held_out, net, close, strength))


def _passes(
    base: BaseModel, denoiser: Denoiser, prompts: Sequence[str], side: int, net: Hypernetwork, strength: float
) -> Iterator[_Pass]:
    """Yield noisy latents of pictures that the model itself has begun, since white noise is no picture."""
    channels = base.unet.config.in_channels
    total = denoiser.diffusion.num_timesteps
    for i, prompt in enumerate(dict.fromkeys(prompts)):
        context_BLD = encode_prompts([prompt], base)[0].float()[None]
        latents_BCHW = _guess(denoiser, normal((1, channels, side, side), i, "start"), context_BLD, total - 1)
        for j, share in enumerate(TIMESTEP_SHARES):
            timestep_B = torch.tensor([int(share * (total - 1))])
            noise_BCHW = normal((1, channels, side, side), i, "noise", j)
            yield _Pass(denoiser.diffusion.add_noise(latents_BCHW, noise_BCHW, timestep_B), timestep_B, context_BLD)


def _guess(denoiser: Denoiser, noise_BCHW: Tensor, context_BLD: Tensor, last: int) -> Tensor:
    """Return a rough picture: three steps of DDIM from noise."""
    latents_BCHW, diffusion = noise_BCHW, denoiser.diffusion
    steps = [last, 2 * last // 3, last // 3]
    for timestep, following in zip(steps, [*steps[1:], 0], strict=True):
        now_B, then_B = torch.tensor([timestep]), torch.tensor([following])
        prediction_BCHW = denoiser.predict(latents_BCHW, now_B, context_BLD)
        signal, amount = diffusion.signal_T[timestep], diffusion.noise_T[timestep]
        if diffusion.prediction_type == "epsilon":
            clean_BCHW = (latents_BCHW - amount * prediction_BCHW) / signal.clamp(min=0.05)
            noise_BCHW = prediction_BCHW
        else:
            clean_BCHW = signal * latents_BCHW - amount * prediction_BCHW
            noise_BCHW = amount * latents_BCHW + signal * prediction_BCHW
        clean_BCHW = clean_BCHW.clamp(-5, 5)
        latents_BCHW = diffusion.add_noise(clean_BCHW, noise_BCHW, then_B)
    return clean_BCHW


def _outputs(net: Hypernetwork, context_ND: Tensor) -> tuple[Tensor, Tensor]:
    """Return f_K(x) and f_V(x)."""
    key_BLD, value_BLD = net.transform(context_ND[None])
    return key_BLD[0] - context_ND, value_BLD[0] - context_ND


def _contexts(denoiser: Denoiser, one: _Pass, net: Hypernetwork, strength: float) -> list[Tensor]:
    """Return the contexts (N, D) that reach the network in one pass."""
    found: list[Tensor] = []
    with attach(denoiser.unet, [(net, strength)]), _listening(denoiser.unet, net, found):
        denoiser.predict(one.noisy_BCHW, one.timestep_B, one.context_BLD)
    return found


@contextmanager
def _listening(unet: Any, net: Hypernetwork, found: list[Tensor]) -> Iterator[None]:
    from trainer.export.changes import attention_layers

    seen_text = False

    def listen(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal seen_text
        context_BLD = kwargs.get("encoder_hidden_states")
        if context_BLD is None:
            context_BLD = args[0] if args else kwargs["hidden_states"]
        elif seen_text:
            return
        else:
            seen_text = True
        if context_BLD.shape[-1] in net.dims:
            found.append(context_BLD.detach().flatten(0, -2).float())

    handles = [layer.register_forward_pre_hook(listen, with_kwargs=True) for layer in attention_layers(unet).values()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _measured(
    denoiser: Denoiser, passes: Sequence[_Pass], net: Hypernetwork, close: Hypernetwork, strength: float
) -> tuple[dict[str, float], float]:
    wrong: dict[str, float] = {}
    whole: dict[str, float] = {}
    difference = effect = 0.0
    for one in passes:
        for context_ND in _contexts(denoiser, one, net, strength):
            real, found = _outputs(net, context_ND), _outputs(close, context_ND)
            for kind, y_ND, z_ND in zip("kv", real, found, strict=True):
                name = f"{context_ND.shape[-1]} {kind}"
                wrong[name] = wrong.get(name, 0.0) + float((y_ND - z_ND).square().sum())
                whole[name] = whole.get(name, 0.0) + float(y_ND.square().sum())
        plain_BCHW = denoiser.predict(one.noisy_BCHW, one.timestep_B, one.context_BLD)
        with_net, with_close = (_predicted(denoiser, one, each, strength) for each in (net, close))
        difference += float((with_net - with_close).square().sum())
        effect += float((with_net - plain_BCHW).square().sum())
    errors = {name: (wrong[name] / whole[name]) ** 0.5 if whole[name] else 0.0 for name in whole}
    return errors, (difference / effect) ** 0.5 if effect else 0.0


def _predicted(denoiser: Denoiser, one: _Pass, net: Hypernetwork, strength: float) -> Tensor:
    with attach(denoiser.unet, [(net, strength)]):
        return denoiser.predict(one.noisy_BCHW, one.timestep_B, one.context_BLD)
