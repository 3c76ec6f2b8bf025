"""The benchmarks of a step time what training does, and set the UNet back as they found it."""

import csv

import torch

from tests.benchmarks.a1111_loop import a1111_like
from tests.benchmarks.floor import count_flop, floor_step
from tests.benchmarks.step import _watched
from tests.benchmarks.workbench import workbench
from trainer.hypernetwork import attach


def test_step_is_a_real_one_and_the_floor_is_below_it() -> None:
    with workbench("demo") as bench:
        training = bench.training
        before = [parameter.detach().clone() for parameter in training.net.parameters()]
        processors = bench.unet.attn_processors

        flop = count_flop(bench)
        with attach(bench.unet, [(training.net, 1.0)]):
            _, shares = _watched(bench, steps=2)
        floor_step(bench)
        with a1111_like(bench) as a1111_step:
            a1111_step()

        rows = list(csv.DictReader(training.folder.loss_csv.read_text().splitlines()))
        assert [int(row["step"]) for row in rows] == [1, 2]
        assert any(not torch.equal(a, b) for a, b in zip(before, training.net.parameters(), strict=True))
        assert flop["forward"] < flop["floor"] < flop["step"] < 3 * flop["forward"]
        assert 0 < shares.optimizer < shares.outside < 1
        assert bench.unet.attn_processors == processors
        assert not any(parameter.requires_grad for parameter in bench.unet.parameters())
