"""8-bit and streamed weights, AdamW on the host: the same step in less memory."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from trainer.config.model import MemorySettings, OptimizerSettings
from trainer.diffusion import Diffusion
from trainer.hypernetwork import Hypernetwork, Structure, attach, unet_dims
from trainer.memory.account import LiveBytes
from trainer.memory.apply import arithmetic, make_optimizer, place_unet
from trainer.memory.layers import block_layers
from trainer.memory.stored import StoredConv2d, StoredLinear, frozen_tensors, pack, unpack
from trainer.placement import idle_settings
from trainer.resume_state import optimizer_tensors, restore_optimizer
from trainer.step import Denoiser, MicroBatch, accumulate_gradient

CPU = torch.device("cpu")
NO_SCALING = torch.amp.GradScaler("cpu", enabled=False)
STEPS = 3


@pytest.fixture(scope="module")
def plain_unet() -> Any:
    """Two levels with attention in both, frozen, of random weights."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=48,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    return unet.requires_grad_(False).eval()


def batch_of(seed: int, pictures: int = 2) -> MicroBatch:
    generator = torch.Generator().manual_seed(seed)
    latents, noise = torch.randn(2, pictures, 4, 8, 8, generator=generator).unbind()
    context = torch.randn(pictures, 7, 48, generator=generator)
    return MicroBatch(latents, noise, torch.randint(1000, (pictures,), generator=generator), context, None)


class Run:
    """A few steps of training on a copy of the UNet, with some memory settings."""

    def __init__(self, plain_unet: Any, dtype: torch.dtype = torch.float32, **memory: Any) -> None:
        self.settings = MemorySettings.model_validate(memory)
        self.unet = copy.deepcopy(plain_unet).to(dtype)
        self.streamer = place_unet(self.unet, self.settings, CPU)
        self.net = Hypernetwork.create(unet_dims(self.unet), Structure((1, 2, 1), "relu"), seed=0).train()
        signal = torch.linspace(0.999, 0.05, 1000)
        self.denoiser = Denoiser(self.unet, Diffusion(signal, (1 - signal**2).sqrt(), "epsilon"), CPU, dtype)
        self.parameters = list(self.net.parameters())
        self.optimizer = make_optimizer(self.parameters, OptimizerSettings(), self.settings)

    def step(self, seed: int) -> float:
        self.optimizer.param_groups[0]["lr"] = 1e-3
        whole = batch_of(seed)
        with self.attached():
            result = accumulate_gradient(self.denoiser, [whole], 2, NO_SCALING)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return result.loss

    @contextmanager
    def attached(self) -> Iterator[None]:
        with attach(self.unet, [(self.net, 1.0)]):
            yield

    def losses(self) -> list[float]:
        return [self.step(seed) for seed in range(STEPS)]

    def gradient(self, seed: int = 0) -> Tensor:
        with self.attached():
            accumulate_gradient(self.denoiser, [batch_of(seed)], 2, NO_SCALING)
        found = torch.cat([p.grad.flatten() for p in self.parameters if p.grad is not None])
        self.optimizer.zero_grad(set_to_none=True)
        return found


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def test_packing_keeps_a_weight_within_a_hundredth() -> None:
    torch.manual_seed(1)
    for shape in ((64, 48), (32, 16, 3, 3), (5, 7)):
        weight = torch.randn(shape)
        weight[0].flatten()[0] = 30.0  # one large weight coarsens its own group alone
        packed, scale = pack(weight)
        assert packed.dtype == torch.int8
        back = unpack(packed, scale, torch.float32)
        assert relative(back[1:], weight[1:]) < 0.01
        assert float((back - weight).abs().max()) <= float(scale.max()) / 2 + 1e-6
        assert relative(unpack(packed, scale, torch.float16).float(), back) < 1e-3
    packed, scale = pack(torch.zeros(4, 4))
    assert not unpack(packed, scale, torch.float32).any()


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(12, 20), nn.Linear(12, 20, bias=False), nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2)],
    ids=["linear", "no bias", "conv", "strided"],
)
@pytest.mark.parametrize("memory", [{"weights": "8bit"}, {"offload": "all"}, {"weights": "8bit", "offload": "all"}])
def test_a_stored_layer_computes_what_the_layer_does(layer: Any, memory: dict[str, Any]) -> None:
    holder = nn.Module()
    holder.down_blocks, holder.mid_block, holder.up_blocks = nn.Sequential(layer), nn.Module(), nn.Module()
    holder.disable_gradient_checkpointing = lambda: None  # type: ignore[assignment]
    torch.manual_seed(2)
    x = torch.randn((3, 12) if isinstance(layer, nn.Linear) else (2, 6, 9, 9), requires_grad=True)
    if memory.get("weights") == "8bit":
        with torch.no_grad():
            layer.weight.copy_(unpack(*pack(layer.weight), torch.float32))  # now packing it loses nothing
    wanted = layer(x)
    (wanted_gradient,) = torch.autograd.grad(wanted.square().sum(), x)
    place_unet(holder, MemorySettings.model_validate(memory), CPU)
    stored = holder.down_blocks[0]
    assert isinstance(stored, StoredLinear | StoredConv2d)
    found = stored(x)
    (gradient,) = torch.autograd.grad(found.square().sum(), x)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.allclose(gradient, wanted_gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_every_technique_gives_the_same_loss_curve_and_gradient(plain_unet: Any, dtype: torch.dtype) -> None:
    plain = Run(plain_unet, dtype)
    gradient, losses = plain.gradient(), plain.losses()
    assert losses[0] != losses[1]
    exact = 1e-4 if dtype == torch.float32 else 0.02
    for memory in (
        {"gradient_checkpointing": True},
        {"offload": "half"},
        {"offload": "all", "gradient_checkpointing": True},
        {"optimizer_on_host": True},
        {"weights": "8bit"},
        {"weights": "8bit", "offload": "all", "gradient_checkpointing": True, "optimizer_on_host": True},
    ):
        run = Run(plain_unet, dtype, **memory)
        coarse = "weights" in memory
        assert relative(run.gradient(), gradient) < (0.05 if coarse else exact), memory
        assert run.losses() == pytest.approx(losses, rel=0.01 if coarse else exact), memory


def test_what_is_streamed_is_foreseen_and_stays_in_its_window(plain_unet: Any) -> None:
    run = Run(plain_unet, offload="all", gradient_checkpointing=True)
    streamer = run.streamer
    assert streamer is not None
    layers = len(block_layers(plain_unet))
    assert len(streamer.hosted) == layers
    run.step(0)
    assert streamer.misses > 2 * layers  # forward, again in checkpointed blocks, backward
    first = streamer.misses
    run.step(1)
    run.step(2)
    assert streamer.misses == first  # every layer was there when it was asked for
    with torch.no_grad(), run.attached():
        run.denoiser.loss_B(batch_of(3))
    second = streamer.misses
    assert second > first  # a pass without backward has an order of its own
    with torch.no_grad(), run.attached():
        run.denoiser.loss_B(batch_of(3))
    run.step(3)
    assert streamer.misses == second
    whole = sum(layer.module.weight.numel() * 4 for layer in block_layers(plain_unet))
    assert streamer.window_bytes < whole / 3
    resident = sum(tensor.numel() * tensor.element_size() for tensor in frozen_tensors(run.unet))
    assert resident < whole / 2


def test_autograd_keeps_no_wide_copy(plain_unet: Any) -> None:
    """Between forward and backward only activations live, whatever the weights' storage."""

    def kept(**memory: Any) -> int:
        run = Run(plain_unet, **memory)
        run.step(0)
        known = [*frozen_tensors(run.unet), *run.parameters]
        with run.attached(), LiveBytes(known) as account:
            loss = run.denoiser.loss_B(batch_of(1)).sum()
            live = account.live
            loss.backward()
        return live

    plain = kept()
    assert kept(weights="8bit") <= 1.02 * plain
    assert kept(offload="all") <= 1.02 * plain
    assert kept(weights="8bit", offload="half") <= 1.02 * plain


def test_a_run_may_change_between_the_device_and_the_host_at_any_step(plain_unet: Any) -> None:
    straight = Run(plain_unet)
    wanted = straight.losses()
    losses, state, weights = [], {}, None
    for seed in range(STEPS):
        run = Run(plain_unet, optimizer_on_host=seed % 2 == 1, offload="all" if seed == 2 else "none")
        if weights is not None:
            run.net.load_state_dict(weights)
            restore_optimizer(run.optimizer, state)
        losses.append(run.step(seed))
        state, weights = optimizer_tensors(run.optimizer), copy.deepcopy(run.net.state_dict())
        if seed == 0:
            names = set(state)
        assert set(state) == names
    assert losses == pytest.approx(wanted, rel=1e-5)
    for key, value in optimizer_tensors(straight.optimizer).items():
        assert torch.allclose(state[key], value, rtol=1e-3, atol=1e-9), key


def test_a_gradient_scaler_skips_a_bad_step_on_the_host_too(plain_unet: Any) -> None:
    run = Run(plain_unet, optimizer_on_host=True)
    before = copy.deepcopy(run.net.state_dict())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(torch.tensor(float("inf")))
    for parameter in run.parameters:
        parameter.grad = torch.full_like(parameter, float("inf"))
    scaler.unscale_(run.optimizer)
    scaler.step(run.optimizer)
    scaler.update()
    assert scaler.get_scale() == 1.0
    for name, value in run.net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_what_frees_nothing_on_the_cpu_is_said() -> None:
    settings = MemorySettings(offload="all", optimizer_on_host=True)
    assert [warning.split()[0] for warning in idle_settings(settings, CPU)] == [
        "memory.offload",
        "memory.optimizer_on_host",
    ]
    assert not idle_settings(settings, torch.device("cuda"))
    assert not idle_settings(MemorySettings(), CPU)


def test_tf32_is_on_for_the_run_alone() -> None:
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    with arithmetic(MemorySettings(precision="tf32")):
        assert [backend.fp32_precision for backend in backends] == ["tf32", "tf32"]
    with arithmetic(MemorySettings(precision="fp32")):
        assert [backend.fp32_precision for backend in backends] == ["ieee", "ieee"]
    assert [backend.fp32_precision for backend in backends] == before
