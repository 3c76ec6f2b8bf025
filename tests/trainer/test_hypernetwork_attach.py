"""Hypernetworks inside a diffusers UNet: A1111's numbers, every way of running it, and no trace afterwards."""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from trainer.errors import AppError
from trainer.hypernetwork import Hypernetwork, Structure, attach, load, unet_dims

STRONG = Structure((1, 2, 1), "relu", weight_initialization="XavierNormal")
DROPPING = Structure((1, 2, 2, 1), "relu", use_dropout=True, dropout_structure=(0, 0.5, 0.5, 0))


@pytest.fixture(scope="module")
def training(conformance: Path) -> dict[str, Any]:
    return json.loads((conformance / "training" / "training.json").read_text())


@pytest.fixture(scope="module")
def unet(conformance: Path, training: dict[str, Any]) -> Any:
    """The conformance set's tiny UNet, frozen, in float32."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    ldm = load_file(conformance / training["unet"]["file"])
    config = training["unet"]["diffusers_config"]
    unet = UNet2DConditionModel(**config)
    unet.load_state_dict(convert_ldm_unet_checkpoint({key: t.float() for key, t in ldm.items()}, config))
    return unet.requires_grad_(False)


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    latents_BCHW = torch.randn(2, 4, 8, 8, generator=generator)
    return latents_BCHW, torch.tensor([7, 500]), torch.randn(2, 77, 48, generator=generator)


def make(seed: int = 1, structure: Structure = STRONG, dims: tuple[int, ...] = (48, 32, 64)) -> Hypernetwork:
    return Hypernetwork.create(dims, structure, seed=seed)


def run(unet: Any, inputs: tuple[Tensor, Tensor, Tensor], **kwargs: Any) -> Tensor:
    return unet(*inputs[:2], encoder_hidden_states=inputs[2], return_dict=False, **kwargs)[0]


def gradients(unet: Any, inputs: tuple[Tensor, Tensor, Tensor], net: Hypernetwork) -> list[Tensor]:
    net.zero_grad()
    run(unet, inputs).square().mean().backward()
    return [parameter.grad.clone() for parameter in net.parameters()]


@contextlib.contextmanager
def calls_of(net: Hypernetwork) -> Iterator[list[int]]:
    """Count how often a text context goes through the network."""
    seen: list[int] = []
    handle = net.pair(48)[0].register_forward_hook(lambda *_: seen.append(1))
    yield seen
    handle.remove()


def noisy(training: dict, latents_BCHW: Tensor, noise_BCHW: Tensor, timesteps_B: Tensor) -> Tensor:
    s = training["schedule"]
    betas = torch.linspace(s["linear_start"] ** 0.5, s["linear_end"] ** 0.5, s["timesteps"], dtype=torch.float64) ** 2
    kept_B = torch.cumprod(1 - betas, 0)[timesteps_B.long()].float().view(-1, 1, 1, 1)
    return kept_B.sqrt() * latents_BCHW + (1 - kept_B).sqrt() * noise_BCHW


def step_of_a1111(training: dict, case: str, data: dict, unet: Any, i: int) -> tuple[Tensor, Tensor]:
    """Return prediction and loss of one recorded micro-step."""
    latents_BCHW, noise_BCHW, timesteps_B = (data[f"micro.{i}.{key}"] for key in ("latents", "noise", "t"))
    context_BLD = data["cond"][training["cases"][case]["cond_rows"][i]]
    pred_BCHW = run(unet, (noisy(training, latents_BCHW, noise_BCHW, timesteps_B), timesteps_B, context_BLD))
    return pred_BCHW, (pred_BCHW - noise_BCHW).square().mean()


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def test_prediction_loss_and_gradient_are_a1111s(conformance: Path, training: dict, unet: Any) -> None:
    case = training["cases"]["grad-121"]
    data = load_file(conformance / case["file"])
    dims = tuple(case["hypernetwork"]["dims"])
    net = make(structure=Structure((1, 2, 1), "relu"), dims=dims).train()
    names = [f"{dim}.{kind}.{key}" for dim in dims for kind in "kv" for key in net.pair(dim)[0].state_dict()]
    parameters = dict(zip(names, net.parameters(), strict=True))
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(data[f"init.{name}"])
    with attach(unet, [(net, 1.0)]):
        pred_BCHW, loss = step_of_a1111(training, "grad-121", data, unet, 0)
    loss.backward()
    assert relative(pred_BCHW.detach(), data["micro.0.pred"]) < 1e-5
    assert float(loss.detach()) == pytest.approx(case["micro_losses"][0], rel=1e-5)
    skipped = case["tensors_whose_gradient_is_zero_up_to_rounding"]
    for name, parameter in parameters.items():
        if name in skipped:
            assert parameter.grad.abs().max() < 1e-6
        else:
            assert relative(parameter.grad, data[f"grad0.{name}"]) < 1e-3, name
    assert all(parameter.grad is None for parameter in unet.parameters())


def test_a_training_run_follows_a1111s(conformance: Path, training: dict, unet: Any) -> None:
    case = training["cases"]["curve-plain"]
    data = load_file(conformance / case["file"])
    net = load(conformance / case["init_pt"]).train()
    start = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer = torch.optim.AdamW(net.parameters(), lr=case["lr"][0])
    with attach(unet, [(net, 1.0)]):
        for i, wanted in enumerate(case["micro_losses"]):
            loss = step_of_a1111(training, "curve-plain", data, unet, i)[1]
            assert float(loss.detach()) == pytest.approx(wanted, rel=1e-3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    names = [f"{dim}.{kind}.{key}" for dim in net.dims for kind in "kv" for key in net.pair(dim)[0].state_dict()]
    for name, before, parameter in zip(names, start, net.parameters(), strict=True):
        if name not in case["tensors_whose_gradient_is_zero_up_to_rounding"]:
            wanted = data[f"final.{name}"]
            assert float((parameter.detach() - wanted).norm()) < 0.02 * float((wanted - before).norm()), name


def test_widths_are_found(unet: Any) -> None:
    assert unet_dims(unet) == [48, 32, 64]


@torch.no_grad()
def test_leaving_restores_the_unet_exactly(unet: Any, inputs: Any) -> None:
    processors, before = unet.attn_processors, run(unet, inputs)
    net = make()
    with attach(unet, [(net, 0.7)]):
        changed = run(unet, inputs)
    with attach(unet, [(net, 0.0)]):
        silent = run(unet, inputs)
    with attach(unet, []):
        nothing = run(unet, inputs)
    with pytest.raises(RuntimeError, match="stop"), attach(unet, [(net, 1.0)]):
        raise RuntimeError("stop")
    assert relative(changed, before) > 1e-3
    assert torch.equal(silent, before)
    assert torch.equal(nothing, before)
    assert torch.equal(run(unet, inputs), before)
    assert unet.attn_processors == processors
    assert not unet._forward_pre_hooks


@torch.no_grad()
def test_text_is_transformed_once_a_pass_with_the_same_result(unet: Any, inputs: Any) -> None:
    net = make()
    with attach(unet, [(net, 0.7)]), calls_of(net) as calls:
        shared = run(unet, inputs)
        assert len(calls) == 1
        positional = unet(*inputs, None, None, None, {}, return_dict=False)[0]
        assert len(calls) == 2
        unet._forward_pre_hooks.clear()
        each = run(unet, inputs)
        assert len(calls) > 4
    assert torch.equal(shared, each)
    assert torch.equal(shared, positional)


@torch.no_grad()
def test_dropout_is_drawn_in_every_layer(unet: Any, inputs: Any) -> None:
    net = make(structure=DROPPING).train()
    with attach(unet, [(net, 1.0)]), calls_of(net) as calls:
        first, second = run(unet, inputs), run(unet, inputs)
    assert len(calls) > 4
    assert not torch.equal(first, second)


@torch.no_grad()
def test_order_matters_and_nesting_is_chaining(unet: Any, inputs: Any) -> None:
    one, two = make(1), make(2)
    with attach(unet, [(one, 0.5), (two, 0.8)]):
        straight = run(unet, inputs)
    with attach(unet, [(two, 0.8), (one, 0.5)]):
        swapped = run(unet, inputs)
    with attach(unet, [(one, 0.5)]):
        alone = run(unet, inputs)
        with attach(unet, [(two, 0.8)]), calls_of(one) as calls:
            nested = run(unet, inputs)
            assert len(calls) == 1
        assert torch.equal(run(unet, inputs), alone)
    assert torch.equal(nested, straight)
    assert relative(swapped, straight) > 1e-4


@torch.no_grad()
def test_nesting_a_dropping_network_keeps_both(unet: Any, inputs: Any) -> None:
    one, two = make(1), make(2, DROPPING).train()
    with attach(unet, [(one, 0.5), (two, 1.0)]):
        torch.manual_seed(0)
        straight = run(unet, inputs)
    with attach(unet, [(one, 0.5)]), attach(unet, [(two, 1.0)]):
        torch.manual_seed(0)
        assert torch.equal(run(unet, inputs), straight)


def test_only_covered_widths_change(unet: Any, inputs: Any, caplog: pytest.LogCaptureFixture) -> None:
    net = make(dims=(64, 1280))
    with attach(unet, [(net, 1.0)]):
        assert all(gradient.any() for gradient in gradients_of_width(unet, inputs, net, 64))
    assert all(parameter.grad is None for parameter in net.pairs["1280"].parameters())
    assert "not expected" not in caplog.text
    with pytest.raises(AppError, match=r"768.*48, 32, 64"), attach(unet, [(make(dims=(768, 320)), 1.0)]):
        raise AssertionError
    assert not unet._forward_pre_hooks


def gradients_of_width(unet: Any, inputs: Any, net: Hypernetwork, dim: int) -> list[Tensor]:
    run(unet, inputs).square().mean().backward()
    return [parameter.grad for parameter in net.pairs[str(dim)].parameters()]


def test_gradient_checkpointing_gives_the_same_gradients(unet: Any, inputs: Any) -> None:
    net = make().train()
    other = (inputs[0], inputs[1], inputs[2].flip(0))
    with attach(unet, [(net, 1.0)]):
        wanted = [gradients(unet, inputs, net), gradients(unet, other, net)]
        unet.train().enable_gradient_checkpointing()
        try:
            # Both passes come before either backward: recomputing must not mix their contexts.
            losses = [run(unet, these).square().mean() for these in (inputs, other)]
            found = []
            for loss in losses:
                net.zero_grad()
                loss.backward()
                found.append([parameter.grad.clone() for parameter in net.parameters()])
        finally:
            unet.eval().disable_gradient_checkpointing()
    assert all(parameter.grad is None for parameter in unet.parameters())
    for these, those in zip(found, wanted, strict=True):
        torch.testing.assert_close(these, those, rtol=1e-4, atol=1e-8)


def test_checkpointing_with_dropout_recomputes_the_same_masks(unet: Any, inputs: Any) -> None:
    net = make(structure=DROPPING).train()
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            unet.train().enable_gradient_checkpointing()
        torch.manual_seed(3)
        try:
            with attach(unet, [(net, 1.0)]):
                found.append(gradients(unet, inputs, net))
        finally:
            unet.eval().disable_gradient_checkpointing()
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-8)


def test_autocast_and_half_precision(unet: Any, inputs: Any) -> None:
    net = make().train()
    with attach(unet, [(net, 1.0)]):
        wanted, full = run(unet, inputs).detach(), gradients(unet, inputs, net)
        with torch.autocast("cpu", torch.bfloat16):
            found, half = run(unet, inputs).detach(), gradients(unet, inputs, net)
    stored_unet = copy.deepcopy(unet).to(torch.bfloat16)
    with attach(stored_unet, [(net, 1.0)]):
        stored = run(stored_unet, (inputs[0].bfloat16(), inputs[1], inputs[2].bfloat16()))
    assert stored.dtype == torch.bfloat16
    assert relative(found.float(), wanted) < 0.1
    assert relative(stored.detach().float(), wanted) < 0.1
    # The UNet's own rounding makes this large; the network's adds nothing to it.
    assert relative(torch.cat([g.flatten() for g in half]), torch.cat([g.flatten() for g in full])) < 0.3
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())


def test_compiled(inputs: Any) -> None:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    # One block down and one up: compiling a whole UNet takes a minute.
    blocks = {"down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",)}
    sizes = {"block_out_channels": (32,), "layers_per_block": 1, "cross_attention_dim": 48, "attention_head_dim": 4}
    small = UNet2DConditionModel(sample_size=8, mid_block_type=None, norm_num_groups=8, **blocks, **sizes)
    small.requires_grad_(False)
    net = make(dims=(48, 32)).train()
    with attach(small, [(net, 1.0)]):
        wanted = gradients(small, inputs, net)
        try:
            compiled: Callable[..., Any] = torch.compile(small, backend="eager")
            found = gradients(compiled, inputs, net)
            breaks = dict(torch._dynamo.utils.counters["graph_break"])
        finally:
            torch._dynamo.reset()
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-7)
    assert not breaks


class Step(torch.nn.Module):
    """A loss as a module, which is what DistributedDataParallel wants."""

    def __init__(self, unet: Any, net: Hypernetwork) -> None:
        super().__init__()
        self.unet, self.net = unet, net

    def forward(self, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return run(self.unet, inputs).square().mean()


def test_distributed_data_parallel(unet: Any, inputs: Any, tmp_path: Path) -> None:
    net = make().train()
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        with attach(unet, [(net, 1.0)]):
            wanted = gradients(unet, inputs, net)
            net.zero_grad()
            torch.nn.parallel.DistributedDataParallel(Step(unet, net))(inputs).backward()
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close([parameter.grad for parameter in net.parameters()], wanted)


def test_a_pipeline_is_accepted_and_foreign_attention_refused(unet: Any) -> None:
    class Pipeline:
        def __init__(self) -> None:
            self.unet = unet

    class IPAdapterProcessor:
        pass

    layer = unet.mid_block.attentions[0].transformer_blocks[0].attn2
    with attach(Pipeline(), [(make(), 1.0)]):
        assert type(layer.processor).__name__ == "HypernetworkProcessor"
    original = layer.processor
    layer.processor = IPAdapterProcessor()
    try:
        with pytest.raises(AppError, match="IPAdapterProcessor"), attach(unet, [(make(), 1.0)]):
            raise AssertionError
        assert type(unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.processor) is type(original)
    finally:
        layer.processor = original
