"""The account of tensor bytes, and the table made with it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile

from trainer.config import RunConfig
from trainer.hypernetwork import Hypernetwork, Structure, save, save_optimizer
from trainer.memory.account import LiveBytes
from trainer.memory.disk import ARCHIVE_BYTES
from trainer.memory.measure import DTYPES, Architecture, Subject, architectures
from trainer.memory.network import NetworkSize
from trainer.memory.predict import Predictor
from trainer.memory.stored import frozen_tensors
from trainer.memory.table import Precision, load_table
from trainer.memory.target import Target
from trainer.memory.ways import own_way
from trainer.resume_state import ResumeState, optimizer_tensors, write_state

WIDE = Structure((1, 2, 4, 2, 1), "swish")


@pytest.fixture(scope="module")
def demo() -> Architecture:
    return next(each for each in architectures() if each.name == "demo")


@pytest.fixture(scope="module")
def plain_peaks(demo: Architecture) -> dict[str, int]:
    """Peaks of eight pictures with the table's own structure."""
    with FakeTensorMode():
        return {name: Subject.make(demo, dtype).step_peak(8, 32, checkpointing=False) for name, dtype in DTYPES.items()}


def test_the_account_follows_life_and_death() -> None:
    weight = torch.zeros(1000)
    with LiveBytes([weight]) as account:
        view = weight[:10]
        assert account.live == 0  # shares what lives already
        first = torch.zeros(1000)
        second = first + 1
        assert account.live == 2 * 4096  # 4,000 bytes, rounded up to blocks of 512
        first.add_(1)
        del first
        assert (account.live, account.peak) == (4096, 2 * 4096)
        del second
    assert account.live == 0
    assert view.numel() == 10


def test_tensors_without_data_weigh_what_real_ones_do(demo: Architecture) -> None:
    real = Subject.make(demo, torch.float32)
    with FakeTensorMode():
        fake = Subject.make(demo, torch.float32)
        predicted = [fake.step_peak(4, 16, checkpointing) for checkpointing in (False, True)]
    measured = [real.step_peak(4, 16, checkpointing) for checkpointing in (False, True)]
    assert predicted == pytest.approx(measured, rel=0.1)
    assert measured[1] < 0.6 * measured[0]


def test_the_account_agrees_with_the_allocator(demo: Architecture) -> None:
    subject = Subject.make(demo, torch.float32)
    counted = subject.step_peak(4, 16, checkpointing=False)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        subject.step_peak(4, 16, checkpointing=False)
    live = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    assert counted == pytest.approx(peak, rel=0.1)


@pytest.mark.parametrize("precision", ["fp32", "half"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_shipped_table_predicts_sizes_batches_and_structures_between_its_own(
    demo: Architecture, precision: str, checkpointing: bool
) -> None:
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    figures = load_table()["demo"]
    structure = WIDE if checkpointing else Structure()
    settings = {
        "data": {"size": 64},
        "training": {"batch_size": 3},
        "network": {"layer_structure": structure.layer_structure, "activation": structure.activation_func},
        "memory": {"gradient_checkpointing": checkpointing},
    }
    config = RunConfig.model_validate(settings)
    network = NetworkSize.of(config.network, figures.dims)
    target = Target("cuda", "card", None, None, "fp32" if precision == "fp32" else "half")
    predicted = Predictor(config, figures, network, target).parts(own_way(config)).allocated
    with FakeTensorMode():
        subject = Subject.make(demo, dtype, structure)
        peak = subject.step_peak(3, 16, checkpointing)
        frozen = sum(t.numel() * t.element_size() for t in frozen_tensors(subject.unet))
        own = 4 * sum(p.numel() for p in subject.net.parameters())
    assert own == network.weight_bytes
    assert predicted == pytest.approx(frozen + 3 * own + peak, rel=0.1)


@pytest.mark.parametrize(
    ("precision", "batch", "memory"),
    [
        ("fp32", 1, {"weights": "8bit"}),
        ("fp32", 4, {"offload": "half", "micro_batch": 2}),
        ("fp32", 2, {"offload": "all", "gradient_checkpointing": True, "optimizer_on_host": True}),
        ("half", 8, {"weights": "8bit", "gradient_checkpointing": True, "optimizer_on_host": True}),
        ("half", 4, {"weights": "8bit", "offload": "all", "micro_batch": 1}),
        ("half", 2, {"offload": "half", "gradient_checkpointing": True}),
    ],
)
def test_every_technique_takes_what_the_plan_says(
    demo: Architecture, precision: Precision, batch: int, memory: dict[str, Any]
) -> None:
    figures = load_table()["demo"]
    config = RunConfig.model_validate(
        {"data": {"size": 128}, "training": {"batch_size": batch}, "memory": {**memory, "device": "auto"}}
    )
    target = Target("cuda", "card", None, None, precision)
    way = own_way(config)
    parts = Predictor(config, figures, NetworkSize.of(config.network, figures.dims), target).parts(way)
    with FakeTensorMode():
        subject = Subject.make(demo, DTYPES[precision], settings=config.memory)
        peak = subject.step_peak(way.micro_batch, 32, way.checkpointing)
        resident = subject.resident_bytes
    weights = parts.network
    earlier_gradients = weights if batch > way.micro_batch else 0
    moments = 0 if way.optimizer_on_host else 2 * weights
    assert parts.allocated == pytest.approx(resident + peak + earlier_gradients + moments, rel=0.1)
    assert parts.unet == pytest.approx(resident - weights, rel=0.05)


@pytest.mark.parametrize(
    "structure",
    [
        WIDE,
        Structure(is_layer_norm=True),
        Structure(activation_func="tanh", is_layer_norm=True),
        Structure((1, 2, 2, 1), "relu", use_dropout=True, dropout_structure=(0, 0.1, 0.1, 0)),
    ],
    ids=["wide", "norm", "tanh and norm", "dropout"],
)
def test_what_other_structures_keep_for_backward_is_reckoned(
    demo: Architecture, plain_peaks: dict[str, int], structure: Structure
) -> None:
    figures = load_table()["demo"]
    network = NetworkSize(figures.dims, structure)
    for precision, dtype in DTYPES.items():
        with FakeTensorMode():
            other = Subject.make(demo, dtype, structure).step_peak(8, 32, checkpointing=False)
        copies = network.half_copies_beyond_reference(figures) if precision == "half" else 0
        predicted = 8 * network.beyond_reference(figures, precision, 128**2, one=False) + copies
        assert predicted == pytest.approx(other - plain_peaks[precision], rel=0.15)


def test_files_are_as_large_as_the_plan_says(tmp_path: Path) -> None:
    net = Hypernetwork.create([96, 32], Structure(), seed=0, name="n")
    network = NetworkSize((96, 32), Structure())
    optimizer = torch.optim.AdamW(net.parameters())
    sum(parameter.sum() for parameter in net.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    path = tmp_path / "n.pt"
    save(net, path)
    save_optimizer(path, optimizer, net)
    state = write_state(tmp_path, ResumeState(1, net.state_dict(), optimizer_tensors(optimizer), {}))
    assert abs(path.stat().st_size - network.weight_bytes) < ARCHIVE_BYTES
    assert abs(path.with_name("n.pt.optim").stat().st_size - 2 * network.weight_bytes) < ARCHIVE_BYTES
    assert abs(state.stat().st_size - 3 * network.weight_bytes) < ARCHIVE_BYTES
