"""Seconds of a training step against its floor, and how much of a step is neither UNet nor hypernetwork."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch

from tests.benchmarks.a1111_loop import a1111_like
from tests.benchmarks.figures import Figure, Took, alternate, take_time
from tests.benchmarks.floor import count_flop, floor_step
from tests.benchmarks.workbench import ModelName, Workbench, workbench
from trainer.hypernetwork import attach

STEP_GOAL, OUTSIDE_GOAL = 1.10, 0.02


@dataclass
class Clock:
    """Adds up the seconds between beginnings and ends."""

    seconds: float = 0.0
    _begun: float = field(default=0.0, repr=False)

    def begin(self, *_: Any) -> None:
        self._begun = time.perf_counter()

    def end(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._begun


@dataclass(frozen=True)
class Shares:
    """What of a step's time went where."""

    outside: float
    """Neither UNet nor hypernetwork, forward or backward: batch, loss, clipping, optimizer, events, table."""
    optimizer: float
    """The part of it that is the optimizer's update of the hypernetwork's weights."""


def measure_demo(quick: bool = False) -> list[Figure]:
    """Measure the demo model."""
    return _measure("demo", rounds=2 if quick else 9, steps=2 if quick else 20, goal=None)


def measure_sd15(quick: bool = False) -> list[Figure]:
    """Measure a UNet of full size."""
    return _measure("sd15", rounds=1 if quick else 5, steps=1, goal=STEP_GOAL)


def _measure(model: ModelName, rounds: int, steps: int, goal: float | None) -> list[Figure]:
    torch.manual_seed(0)
    with workbench(model) as bench:
        flop = count_flop(bench)
        shares: list[Shares] = []

        def ours() -> Took:
            with attach(bench.unet, [(bench.training.net, 1.0)]):
                took, share = _watched(bench, steps)
            shares.append(share)
            return took

        def theirs() -> Took:
            with a1111_like(bench) as step:
                return take_time(step, steps)

        found = alternate(
            {
                "floor": lambda: take_time(lambda: floor_step(bench), steps),
                "ours": ours,
                "theirs": theirs,
            },
            rounds,
        )
    return [*_ratios(found, flop, goal), *_share_figures(shares[-rounds:]), *_flop_figures(flop)]


def _ratios(found: dict[str, tuple[Took, ...]], flop: dict[str, int], goal: float | None) -> list[Figure]:
    scale = flop["step"] / flop["floor"]
    triples = list(zip(found["ours"], found["floor"], found["theirs"], strict=True))
    return [
        Figure("step ÷ scaled floor", "ratio", tuple(o.wall_s / (f.wall_s * scale) for o, f, _ in triples), goal),
        Figure(
            "the same in CPU time", "ratio", tuple(o.cpu_s / (f.cpu_s * scale) for o, f, _ in triples), note="a check"
        ),
        Figure("A1111-like loop ÷ step", "ratio", tuple(t.wall_s / o.wall_s for o, _, t in triples)),
        Figure("step", "s", tuple(o.wall_s for o, _, _ in triples)),
        Figure("floor, not scaled", "s", tuple(f.wall_s for _, f, _ in triples)),
        Figure("A1111-like loop", "s", tuple(t.wall_s for _, _, t in triples)),
    ]


def _share_figures(shares: list[Shares]) -> list[Figure]:
    return [
        Figure(
            "outside UNet and hypernetwork",
            "share",
            tuple(share.outside for share in shares),
            OUTSIDE_GOAL,
            "batch, loss, clipping, optimizer, events, table",
        ),
        Figure("of it the optimizer's update", "share", tuple(share.optimizer for share in shares)),
    ]


def _flop_figures(flop: dict[str, int]) -> list[Figure]:
    return [
        Figure("operations of a step", "FLOP", (flop["step"],)),
        Figure("step ÷ floor in operations", "ratio", (flop["step"] / flop["floor"],), note="scales the floor"),
        Figure("step ÷ two frozen forwards in operations", "ratio", (flop["step"] / (2 * flop["forward"]),)),
    ]


def _watched(bench: Workbench, steps: int) -> tuple[Took, Shares]:
    """Time steps and their parts; watching takes microseconds."""
    inside, optimizer = Clock(), Clock()
    with _watching_unet(bench.unet, inside), _watching_optimizer(bench.training.optimizer, optimizer):
        took = take_time(bench.one_step, steps)
    whole_s = took.wall_s * steps
    return took, Shares(1 - inside.seconds / whole_s, optimizer.seconds / whole_s)


@contextmanager
def _watching_unet(unet: Any, clock: Clock) -> Iterator[None]:
    """Time forward, from before the hypernetwork's own hook, and backward."""
    plain_backward: Callable[..., None] = torch.Tensor.backward

    def backward(loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        clock.begin()
        plain_backward(loss, *args, **kwargs)
        clock.end()

    before = unet.register_forward_pre_hook(clock.begin, prepend=True)
    after = unet.register_forward_hook(clock.end)
    try:
        with patch.object(torch.Tensor, "backward", backward):
            yield
    finally:
        before.remove()
        after.remove()


@contextmanager
def _watching_optimizer(optimizer: torch.optim.Optimizer, clock: Clock) -> Iterator[None]:
    handles = [optimizer.register_step_pre_hook(clock.begin), optimizer.register_step_post_hook(clock.end)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
