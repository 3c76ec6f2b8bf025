"""The training step computes A1111's loss, gradient and updates, however the batch is split."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from safetensors.torch import load_file
from torch import Tensor

from trainer.diffusion import Diffusion
from trainer.hypernetwork import Hypernetwork, Structure, attach, load
from trainer.step import Denoiser, MicroBatch, accumulate_gradient, clip_gradient

CPU = torch.device("cpu")
NO_SCALING = torch.amp.GradScaler("cpu", enabled=False)


@pytest.fixture(scope="module")
def recorded(conformance: Path) -> dict[str, Any]:
    return json.loads((conformance / "training" / "training.json").read_text())


@pytest.fixture(scope="module")
def denoiser(conformance: Path, recorded: dict[str, Any]) -> Denoiser:
    """The conformance set's tiny UNet with its noise schedule, frozen, in float32."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config = recorded["unet"]["diffusers_config"]
    tensors = {name: t.float() for name, t in load_file(conformance / recorded["unet"]["file"]).items()}
    unet = UNet2DConditionModel(**config)
    unet.load_state_dict(convert_ldm_unet_checkpoint(tensors, config))
    schedule = recorded["schedule"]
    scheduler = DDPMScheduler(
        schedule["timesteps"],
        schedule["linear_start"],
        schedule["linear_end"],
        "scaled_linear",
        prediction_type="epsilon",
    )
    return Denoiser(unet.requires_grad_(False).eval(), Diffusion.from_scheduler(scheduler, CPU), CPU, torch.float32)


def batch_of(data: dict[str, Tensor], case: dict[str, Any], i: int) -> MicroBatch:
    latents, noise, timesteps = (data[f"micro.{i}.{key}"] for key in ("latents", "noise", "t"))
    return MicroBatch(latents, noise, timesteps.long(), data["cond"][case["cond_rows"][i]], None, 0)


def split(batch: MicroBatch) -> list[MicroBatch]:
    return [
        MicroBatch(
            batch.latents_BCHW[i : i + 1], batch.noise_BCHW[i : i + 1], batch.timesteps_B[i : i + 1],
            batch.context_BLD[i : i + 1], None, 0,
        )
        for i in range(len(batch.timesteps_B))
    ]  # fmt: skip


def named(net: Hypernetwork) -> dict[str, torch.nn.Parameter]:
    names = [f"{dim}.{kind}.{key}" for dim in net.dims for kind in "kv" for key in net.pair(dim)[0].state_dict()]  # type: ignore[index]
    return dict(zip(names, net.parameters(), strict=True))


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.fixture
def case_121(conformance: Path, recorded: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor], Hypernetwork]:
    case = recorded["cases"]["grad-121"]
    data = load_file(conformance / case["file"])
    net = Hypernetwork.create(case["hypernetwork"]["dims"], Structure((1, 2, 1), "relu"), seed=0).train()
    with torch.no_grad():
        for name, parameter in named(net).items():
            parameter.copy_(data[f"init.{name}"])
    return case, data, net


@pytest.mark.parametrize("pieces", [1, 2])
def test_loss_and_gradient_are_a1111s_whole_and_in_micro_batches(
    denoiser: Denoiser, case_121: tuple[dict[str, Any], dict[str, Tensor], Hypernetwork], pieces: int
) -> None:
    case, data, net = case_121
    whole = batch_of(data, case, 0)
    with attach(denoiser.unet, [(net, 1.0)]):
        result = accumulate_gradient(denoiser, [whole] if pieces == 1 else split(whole), 2, NO_SCALING)
    assert result.loss == pytest.approx(case["micro_losses"][0], rel=1e-5)
    assert result.pictures == 2
    for name, parameter in named(net).items():
        if name not in case["tensors_whose_gradient_is_zero_up_to_rounding"]:
            assert parameter.grad is not None
            assert relative(parameter.grad, data[f"grad0.{name}"]) < 1e-3, name
    assert clip_gradient(list(net.parameters()), "disabled", 0.1) == pytest.approx(case["grad_norm0"], rel=1e-3)
    assert all(parameter.grad is None for parameter in denoiser.unet.parameters())


def test_a_whole_run_follows_a1111s(conformance: Path, recorded: dict[str, Any], denoiser: Denoiser) -> None:
    case = recorded["cases"]["curve-plain"]
    data = load_file(conformance / case["file"])
    net = load(conformance / case["init_pt"]).train()
    start = {name: parameter.detach().clone() for name, parameter in named(net).items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=case["lr"][0])
    with attach(denoiser.unet, [(net, 1.0)]):
        for i, wanted in enumerate(case["micro_losses"]):
            optimizer.zero_grad()
            assert accumulate_gradient(denoiser, [batch_of(data, case, i)], 1, NO_SCALING).loss == pytest.approx(
                wanted, rel=1e-3
            )
            optimizer.step()
    for name, parameter in named(net).items():
        if name not in case["tensors_whose_gradient_is_zero_up_to_rounding"]:
            final = data[f"final.{name}"]
            assert float((parameter.detach() - final).norm()) < 0.02 * float((final - start[name]).norm()), name


def test_clipping_acts_on_the_true_gradient(
    case_121: tuple[dict[str, Any], dict[str, Tensor], Hypernetwork], denoiser: Denoiser
) -> None:
    case, data, net = case_121
    parameters = list(net.parameters())
    with attach(denoiser.unet, [(net, 1.0)]):
        scaler = torch.amp.GradScaler("cpu", enabled=True)
        accumulate_gradient(denoiser, [batch_of(data, case, 0)], 2, scaler)
    optimizer = torch.optim.AdamW(parameters)
    scaler.unscale_(optimizer)
    assert clip_gradient(parameters, "norm", 0.01) == pytest.approx(case["grad_norm0"], rel=1e-3)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(0.01, rel=1e-3)
    clip_gradient(parameters, "value", 1e-5)
    assert max(float(gradient.abs().max()) for gradient in gradients) <= 1e-5


def test_a_weight_moves_the_loss_to_where_it_is(
    denoiser: Denoiser, case_121: tuple[dict[str, Any], dict[str, Tensor], Hypernetwork]
) -> None:
    case, data, _ = case_121
    plain = batch_of(data, case, 0)
    half = torch.zeros(plain.latents_BCHW.shape[0], *plain.latents_BCHW.shape[2:])
    half[:, : half.shape[1] // 2] = 2.0
    upper = MicroBatch(plain.latents_BCHW, plain.noise_BCHW, plain.timesteps_B, plain.context_BLD, half, 0)
    lower = MicroBatch(plain.latents_BCHW, plain.noise_BCHW, plain.timesteps_B, plain.context_BLD, 2 - half, 0)
    with torch.no_grad():
        assert torch.allclose((denoiser.loss_B(upper) + denoiser.loss_B(lower)) / 2, denoiser.loss_B(plain), rtol=1e-5)
        assert not torch.allclose(denoiser.loss_B(upper), denoiser.loss_B(lower), rtol=1e-2)
