"""New hypernetworks: A1111's first weights, sound structures, the modes and precisions of a forward pass."""

import warnings
from typing import Any

import pytest
import torch

from trainer.errors import AppError
from trainer.hypernetwork import Hypernetwork, Structure

RICH = Structure((1, 2, 0.5, 1), "mish", True, "XavierNormal", True, True, (0, 0.1, 0.2, 0))


@pytest.mark.parametrize("name", ["Normal", "XavierUniform", "XavierNormal", "KaimingUniform", "KaimingNormal"])
def test_initialisation_has_a1111s_spread_and_follows_the_seed(name: str) -> None:
    structure = Structure((1, 2, 1), is_layer_norm=True, weight_initialization=name)
    net = Hypernetwork.create([320], structure, seed=7)
    first = net.pair(320)[0].linear[0]
    fan_in, fan_out = 320, 640
    std = {"Normal": 0.01, "X": (2 / (fan_in + fan_out)) ** 0.5, "K": (2 / fan_in) ** 0.5}
    assert float(first.weight.detach().std()) == pytest.approx(std.get(name) or std[name[0]], rel=0.02)
    assert float(net.pair(320)[1].linear[1].weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert all(not parameter.any() for key, parameter in net.named_parameters() if key.endswith("bias"))
    state = torch.random.get_rng_state()
    again, other = (Hypernetwork.create([320], structure, seed=seed) for seed in (7, 8))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(again.pair(320)[0].linear[0].weight, first.weight)
    assert not torch.equal(other.pair(320)[0].linear[0].weight, first.weight)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_zeroed_networks_start_as_the_identity_and_learn(layer_norm: bool) -> None:
    net = Hypernetwork.create([8], Structure((1, 2, 1), "relu", layer_norm), seed=1, zero_last_layer=True)
    context_BLD = torch.randn(2, 3, 8)
    key_BLD, value_BLD = net.transform(context_BLD)
    assert torch.equal(key_BLD, context_BLD)
    assert torch.equal(value_BLD, context_BLD)
    key_BLD.square().sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in net.parameters())
    with pytest.raises(AppError, match="sigmoid"):
        Hypernetwork.create([8], Structure((1, 1), "sigmoid", activate_output=True), seed=1, zero_last_layer=True)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Structure((1, 2)),
        lambda: Structure((1, float("nan"), 1)),
        lambda: Structure((1, 2, 1), "rellu"),
        lambda: Structure((1, 2, 1), dropout_structure=(0, 1, 0)),
        lambda: Structure((1, 2, 1), dropout_structure=(0, 0.1)),
        lambda: Structure(weight_initialization="normal"),
        lambda: Hypernetwork.create([], seed=1),
        lambda: Hypernetwork.create([8, 8], seed=1),
        lambda: Hypernetwork.create([8], Structure((1, 0.1, 1)), seed=1),
    ],
)
def test_impossible_structures_are_refused(build: Any) -> None:
    with pytest.raises(AppError) as caught:
        build()
    assert caught.value.hint


def test_training_mode_ignores_strength_and_drops() -> None:
    plain = Hypernetwork.create([8], Structure(weight_initialization="XavierNormal"), seed=1)
    context_BLD = torch.randn(1, 3, 8)
    assert torch.equal(plain.train().transform(context_BLD, 0.0)[0], plain.eval().transform(context_BLD, 1.0)[0])
    torch.nn.init.constant_(plain.pair(8)[0].linear[0].weight, float("nan"))
    assert torch.equal(plain.transform(context_BLD, 0.0)[0], context_BLD)
    dropping = Hypernetwork.create([8], RICH, seed=1)
    assert torch.equal(dropping.transform(context_BLD)[0], dropping.transform(context_BLD)[0])
    dropping.train()
    assert dropping.draws_randomly
    assert not torch.equal(dropping.transform(context_BLD)[0], dropping.transform(context_BLD)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_contexts(dtype: torch.dtype) -> None:
    net = Hypernetwork.create([32], RICH, seed=1)
    context_BLD = torch.randn(1, 5, 32)
    wanted = net.transform(context_BLD.to(dtype).float(), 0.5)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = net.transform(context_BLD.to(dtype), 0.5)[1]
        with torch.autocast("cpu", torch.bfloat16):
            cast = net.transform(context_BLD.to(dtype), 0.5)[1]
    for found in (plain, cast):
        assert found.dtype == dtype
        torch.testing.assert_close(found.float(), wanted, rtol=0.02, atol=0.02)
