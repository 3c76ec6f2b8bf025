"""What a step sees is a function of (seed, step, place), however the batch is split."""

from pathlib import Path

import pytest
import torch

from trainer.config.model import DataSettings
from trainer.dataset import Posterior, SampleOrder, StepInputs, TrainingPicture, hold_out, stack_contexts
from trainer.step import MicroBatch


def pictures(count: int) -> list[TrainingPicture]:
    return [TrainingPicture(Path(f"{i}.png"), f"red, round, thing {i}", f"key-{i}") for i in range(count)]


def make_order(count: int = 7, batch_size: int = 3, seed: int = 5, **data: object) -> SampleOrder:
    return SampleOrder(
        pictures(count), ("a [filewords]", "[name]: [filewords]"), "gollum", DataSettings(**data), batch_size, seed
    )  # type: ignore[arg-type]


def make_inputs(order: SampleOrder, sizes: list[tuple[int, int]] | None = None) -> StepInputs:
    sizes = sizes or [(8, 8)] * len(order.pictures)
    posteriors = [Posterior(torch.full((4, *size), float(i)), torch.ones(4, *size)) for i, size in enumerate(sizes)]
    return StepInputs(
        order, posteriors, lambda step: [torch.full((5, 6), float(s.place)) for s in order.samples(step)], 1000, 0.1
    )


def rows(batches: list[MicroBatch]) -> dict[int, tuple[torch.Tensor, ...]]:
    return {
        int(b.context_BLD[i, 0, 0]): (b.latents_BCHW[i], b.noise_BCHW[i], b.timesteps_B[i])
        for b in batches
        for i in range(len(b.timesteps_B))
    }


def test_every_picture_comes_once_an_epoch_in_a_new_order() -> None:
    order = make_order(count=6, batch_size=2)
    epochs = [[s.picture for step in range(first, first + 3) for s in order.samples(step)] for first in (1, 4, 7)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert epochs[0] != epochs[1] or epochs[1] != epochs[2]


def test_a_step_is_the_same_whenever_it_is_asked_for_and_other_for_another_seed() -> None:
    order = make_order(shuffle_tags=True, tag_dropout=0.3)
    late_first = [order.samples(step) for step in (9, 2, 5)]
    assert late_first == [make_order(shuffle_tags=True, tag_dropout=0.3).samples(step) for step in (9, 2, 5)]
    assert [order.samples(s) for s in range(1, 9)] != [make_order(seed=6).samples(s) for s in range(1, 9)]


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4])
@pytest.mark.parametrize("sampling", ["once", "deterministic", "random"])
def test_any_split_into_micro_batches_gives_the_same_samples(micro_batch: int, sampling: str) -> None:
    inputs = make_inputs(make_order(batch_size=4, latent_sampling=sampling))
    whole = rows(list(inputs.micro_batches(3, 0)))
    split = list(inputs.micro_batches(3, micro_batch))
    assert max(len(b.timesteps_B) for b in split) <= micro_batch
    assert len(whole) == 4
    for place, tensors in rows(split).items():
        assert all(torch.equal(a, b) for a, b in zip(tensors, whole[place], strict=True))


def test_pictures_of_one_size_share_a_micro_batch() -> None:
    inputs = make_inputs(make_order(count=4, batch_size=4), [(8, 8), (6, 10), (8, 8), (6, 10)])
    shapes = sorted(tuple(b.latents_BCHW.shape) for b in inputs.micro_batches(1, 0))
    assert shapes == [(2, 4, 6, 10), (2, 4, 8, 8)]


def test_latents_once_stay_and_random_change_with_the_step() -> None:
    def latents(sampling: str, step: int) -> torch.Tensor:
        inputs = make_inputs(make_order(count=1, batch_size=1, latent_sampling=sampling))
        return next(inputs.micro_batches(step, 0)).latents_BCHW

    assert torch.equal(latents("once", 1), latents("once", 2))
    assert not torch.equal(latents("random", 1), latents("random", 2))
    assert torch.equal(latents("deterministic", 1), torch.zeros(1, 4, 8, 8))


def test_caption_dropout_leaves_prompts_empty_about_as_often_as_asked() -> None:
    order = make_order(count=50, batch_size=50, caption_dropout=0.3)
    prompts = [s.prompt for step in range(1, 21) for s in order.samples(step)]
    assert 0.25 < prompts.count("") / len(prompts) < 0.35


def test_template_lines_are_drawn_anew_at_every_use() -> None:
    order = make_order(count=1, batch_size=1)
    assert {order.samples(step)[0].prompt for step in range(1, 30)} == {
        "a red, round, thing 0",
        "gollum: red, round, thing 0",
    }


def test_shorter_contexts_are_padded_with_their_last_vector() -> None:
    short, long = torch.arange(4.0).reshape(2, 2), torch.zeros(4, 2)
    stacked = stack_contexts([short, long])
    assert stacked.shape == (2, 4, 2)
    assert stacked[0].tolist() == [[0, 1], [2, 3], [2, 3], [2, 3]]


def test_held_out_pictures_are_chosen_by_content_and_only_when_there_are_enough() -> None:
    assert hold_out(pictures(11), 0.15) == (list(range(11)), [])
    train, held = hold_out(pictures(20), 0.15)
    assert len(held) == 3
    assert sorted(train + held) == list(range(20))
    reordered = list(reversed(pictures(20)))
    _, held_again = hold_out(reordered, 0.15)
    assert {reordered[i].key for i in held_again} == {pictures(20)[i].key for i in held}
