"""Memory that runs out anywhere within a real step costs nothing: the very same step is made again, bit for bit."""

import random
import traceback
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.projects import events, photo_project
from trainer.config.read import merge
from trainer.faults import Diverged
from trainer.hypernetwork import attach
from trainer.memory.apply import arithmetic
from trainer.preparation import Prepared, prepare
from trainer.project import Project
from trainer.recovery.limit import LimitedBytes, limited
from trainer.recovery.probe import Probe
from trainer.resume_state import optimizer_tensors, state_files
from trainer.run.control import Commands
from trainer.run.events import EventWriter
from trainer.run.folder import RunFolder
from trainer.run.signals import StopRequest
from trainer.training import Training

FAILURES = 200
BARE: dict[str, Any] = {
    "training": {"steps": 4, "batch_size": 1},
    "preview": {"every": 0},
    "validation": {"every": 0},
    "health": {"every": 0},
    "save": {"every": 0, "state_every_s": 1e6},
    "memory": {"threads": 1, "device": "cpu"},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("allocations"), 4)


@pytest.fixture(scope="module")
def fresh(project: Project) -> Prepared:
    torch.set_num_threads(1)
    return prepare(project.settings(BARE), project.root, lambda *_: None)


@pytest.fixture(scope="module")
def beginning(fresh: Prepared) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in fresh.net.state_dict().items()}


@pytest.fixture
def training(fresh: Prepared, beginning: dict[str, Tensor], tmp_path: Path) -> Iterator[Training]:
    fresh.net.load_state_dict(beginning)
    folder = RunFolder.create(tmp_path / "p/output", "p", date(2026, 11, 24))
    with EventWriter(folder.events_file) as writer, attach(fresh.base.unet, [(fresh.net, 1.0)]):
        made = Training(fresh, folder, writer, Commands(folder, writer), StopRequest())
        with arithmetic(made.config.memory):
            yield made


class Allocations(TorchDispatchMode):
    """Counts the operations that make new tensors inside this block, and lets memory run out at one of them."""

    def __init__(self, fatal: int = 0) -> None:
        super().__init__()
        self.fatal, self.count = fatal, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace != "profiler" and any(made.alias_info is None for made in func._schema.returns):
            self.count += 1
            if self.count == self.fatal:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate 1.00 MiB. ({func})")
        return func(*args, **(kwargs or {}))


def everything(training: Training) -> dict[str, Tensor]:
    found = {f"weights.{name}": value for name, value in training.net.state_dict().items()}
    found |= {f"optimizer.{name}": value for name, value in optimizer_tensors(training.optimizer).items()}
    return {name: value.clone() for name, value in found.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def put_back(training: Training, kept: dict[str, Tensor], step: int) -> None:
    training.net.load_state_dict({n.removeprefix("weights."): v for n, v in kept.items() if n.startswith("weights.")})
    for index, moments in enumerate(training.optimizer.state.values()):
        for name, value in moments.items():
            value.copy_(kept[f"optimizer.{index}.{name}"])
    training.step, training.due = step, []


def fail_at(training: Training, place: int) -> None:
    """Have memory run out in the next step, as the worker would meet it."""
    with Allocations(place), pytest.raises(torch.OutOfMemoryError) as caught:
        training._one_step()
    traceback.clear_frames(caught.value.__traceback__)


def test_hundreds_of_failed_allocations_within_a_step_change_no_bit(training: Training) -> None:
    training._one_step()
    training._one_step()
    kept = everything(training)
    with Allocations() as made:
        training._one_step()
    undisturbed = everything(training)
    assert made.count > FAILURES
    put_back(training, kept, 2)
    for place in random.Random(4).sample(range(1, made.count + 1), FAILURES):
        training.kept_step = None
        fail_at(training, place)
        assert (training.step, training.rescue(), training.kept_step) == (2, True, 2)
        assert same(everything(training), kept), place
        training._one_step()
        assert training.step == 3
        assert same(everything(training), undisturbed), place
        put_back(training, kept, 2)
    saved = load_file(state_files(training.folder.state)[0])
    assert all(torch.equal(saved[name], value) for name, value in kept.items())


def test_a_failure_in_the_very_first_update_leaves_no_trace(training: Training) -> None:
    before = everything(training)
    with Allocations() as made:
        training._one_step()
    after = everything(training)
    for place in range(made.count - 40, made.count + 1, 4):
        training.net.load_state_dict({name.removeprefix("weights."): value for name, value in before.items()})
        training.optimizer.state.clear()
        training.step, training.kept_step = 0, None
        fail_at(training, place)
        assert (training.step, training.rescue()) == (0, True)
        assert same(everything(training), before)
        training._one_step()
        assert same(everything(training), after)


@pytest.fixture(scope="module")
def plain_end(project: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[float]]:
    return end_of(project, tmp_path_factory.mktemp("plain"), {})


def end_of(project: Project, home: Path, over: dict[str, Any]) -> tuple[dict[str, Tensor], list[float]]:
    """Make a whole run in this process and return what it ends with, and its losses."""
    config = project.settings(merge(BARE, over))
    prepared = prepare(config, project.root, lambda *_: None)
    folder = RunFolder.create(home / "p/output", "p", date(2026, 11, 24))
    with limited(config.memory, torch.device("cpu")), EventWriter(folder.events_file) as writer:
        run = Training(prepared, folder, writer, Commands(folder, writer), StopRequest())
        assert run.run()
    return everything(run), [event["loss"] for event in events(folder, "step")]


@pytest.mark.parametrize(
    "over",
    [
        {"recovery": {"probe": "always"}},
        {"memory": {"vram_limit": "1GiB"}, "recovery": {"probe": "never"}},
        {"memory": {"vram_limit": "1GiB"}, "recovery": {"probe": "always"}},
    ],
    ids=["probe", "limit", "both"],
)
def test_neither_a_probe_nor_a_limit_that_is_not_reached_changes_a_bit(
    project: Project, plain_end: tuple[dict[str, Tensor], list[float]], tmp_path: Path, over: dict[str, Any]
) -> None:
    weights, losses = end_of(project, tmp_path, over)
    assert len(losses) == 4
    assert losses == plain_end[1]
    assert same(weights, plain_end[0])


def test_the_probe_finds_what_a_step_would_and_remembers_what_held(
    project: Project, training: Training, tmp_path: Path
) -> None:
    before = everything(training)
    assert not Probe(training.prepared, training.optimizer, training.previewer).is_due(tmp_path)
    limit = {"memory": {"vram_limit": "1GiB"}, "recovery": {"probe": "auto"}}
    training.prepared.config = project.settings(merge(BARE, limit))
    try:
        probe = Probe(training.prepared, training.optimizer, training.previewer)
        with LimitedBytes(1 << 30) as account:
            assert probe.is_due(tmp_path)
            probe.run()
            assert account.peak > 5 << 20
            assert not Probe(training.prepared, training.optimizer, training.previewer).is_due(tmp_path)
        with LimitedBytes(1 << 20), pytest.raises(torch.OutOfMemoryError):
            probe.run()
    finally:
        training.prepared.config = training.config
    assert same(everything(training), before)


def test_weights_that_are_not_finite_reach_no_file(training: Training) -> None:
    training._one_step()
    training.keep_state()
    kept = sorted(path.name for path in training.folder.path.rglob("*.*"))
    with torch.no_grad():
        training.parameters[0].fill_(float("nan"))
    for write in (training.keep_state, training.save_checkpoint):
        with pytest.raises(Diverged, match="not saved"):
            write()
    assert sorted(path.name for path in training.folder.path.rglob("*.*")) == kept


def test_a_step_beyond_all_before_is_not_applied_and_named(training: Training) -> None:
    for _ in range(60):
        training.sanity.add(1e-6)
    before = everything(training)
    with pytest.raises(Diverged, match="far beyond all before") as caught:
        training._one_step()
    assert same(everything(training), before)
    assert caught.value.details["pictures"]
    assert all(0 <= timestep < 1000 for timestep in caught.value.details["timesteps"])
