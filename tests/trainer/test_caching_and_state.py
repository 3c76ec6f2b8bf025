"""What is kept on disk comes back exactly, and damage costs nothing but time."""

from pathlib import Path

import pytest
import torch

from trainer.caching import Contexts, TensorCache, cached_posteriors, weight_from_alpha
from trainer.config.model import DataSettings
from trainer.dataset import Posterior, SampleOrder, TrainingPicture
from trainer.errors import AppError
from trainer.records import LossTable
from trainer.resume_state import ResumeState, optimizer_tensors, read_state, restore_optimizer, state_files, write_state

PICTURES = [TrainingPicture(Path(f"{i}.png"), f"thing {i}", f"key-{i}") for i in range(4)]


def test_latents_are_encoded_once_and_again_only_for_another_vae_or_picture(tmp_path: Path) -> None:
    encoded: list[str] = []

    def encode(picture: TrainingPicture) -> Posterior:
        encoded.append(picture.key)
        return Posterior(torch.randn(4, 2, 2), torch.rand(4, 2, 2), torch.rand(2, 2))

    cache = TensorCache(tmp_path / "cache")
    first = cached_posteriors(PICTURES, cache, ("vae",), encode, lambda done, total: None)
    again = cached_posteriors(PICTURES, cache, ("vae",), encode, lambda done, total: None)
    assert encoded == [p.key for p in PICTURES]
    assert all(
        torch.equal(a.mean_CHW, b.mean_CHW) and torch.equal(a.std_CHW, b.std_CHW)
        for a, b in zip(first, again, strict=True)
    )
    assert torch.equal(first[0].weight_HW, again[0].weight_HW)  # type: ignore[arg-type]
    cached_posteriors(PICTURES[:1], cache, ("another vae",), encode, lambda done, total: None)
    assert len(encoded) == 5


def test_latents_made_in_tiles_give_way_to_exact_ones_when_there_is_room(tmp_path: Path) -> None:
    cache, tiled, made = TensorCache(tmp_path), False, 0

    def run(fails_at: int) -> list[float]:
        nonlocal tiled, made
        tiled, made = False, 0

        def encode(picture: TrainingPicture) -> Posterior:
            nonlocal tiled, made
            made += 1
            tiled = tiled or made == fails_at
            value = torch.full((4, 2, 2), 0.5 if tiled else 1.0)
            return Posterior(value, value.clone(), None)

        found = cached_posteriors(PICTURES, cache, ("vae",), encode, lambda done, total: None, lambda: tiled)
        return [float(posterior.mean_CHW[0, 0, 0]) for posterior in found]

    assert (run(fails_at=3), made) == ([1.0, 1.0, 0.5, 0.5], 4)
    assert (run(fails_at=1), made) == ([1.0, 1.0, 0.5, 0.5], 1)  # tried once, then taken from what was kept
    assert (run(fails_at=0), made) == ([1.0] * 4, 2)
    assert (run(fails_at=0), made) == ([1.0] * 4, 0)


def test_a_damaged_cache_file_is_computed_again(tmp_path: Path) -> None:
    cache = TensorCache(tmp_path)
    cache.put({"x": torch.ones(100)}, "key")
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:50])
    assert cache.get("key") is None
    cache.put({"x": torch.ones(3)}, "key")
    assert cache.get("key")["x"].tolist() == [1, 1, 1]  # type: ignore[index]


def make_contexts(tmp_path: Path, window: int) -> tuple[Contexts, list[list[str]]]:
    calls: list[list[str]] = []

    def encode(prompts, progress):  # type: ignore[no-untyped-def]
        calls.append(list(prompts))
        progress(len(prompts), len(prompts))
        return [torch.full((2, 3), float(len(prompt))) for prompt in prompts]

    return Contexts(encode, TensorCache(tmp_path), ("clip",), window), calls


def test_prompts_are_encoded_ahead_in_windows_that_bound_memory(tmp_path: Path) -> None:
    order = SampleOrder(PICTURES, ("[filewords]",), "x", DataSettings(shuffle_tags=True, tag_dropout=0.4), 2, 0)
    contexts, calls = make_contexts(tmp_path, window=4)
    contexts.recurring = False
    for step in range(1, 21):
        samples = order.samples(step)
        found = contexts.of_step(order, step, 20)
        assert [float(c[0, 0]) for c in found] == [float(len(s.prompt)) for s in samples]
        assert len(contexts.kept) <= 8
    assert len(calls) < 20


def test_few_prompts_are_kept_on_disk_for_the_next_run(tmp_path: Path) -> None:
    contexts, calls = make_contexts(tmp_path, window=512)
    contexts.load(["a", "bb", "a"])
    again, calls_again = make_contexts(tmp_path, window=512)
    assert [float(c[0, 0]) for c in again.load(["bb", "a"])] == [2.0, 1.0]
    assert calls == [["a", "bb"]]
    assert calls_again == []


def test_alpha_becomes_a_weight_with_mean_one_and_a_constant_alpha_none() -> None:
    alpha = torch.zeros(64, 64)
    alpha[:, 32:] = 1.0
    weight = weight_from_alpha(alpha, (8, 8))
    assert weight is not None
    assert weight.mean().item() == pytest.approx(1.0)
    assert weight[0, 0].item() == pytest.approx(0.0, abs=1e-6)
    assert weight[0, 7].item() > 1.9
    assert weight_from_alpha(torch.ones(64, 64), (8, 8)) is None


def adamw_after(steps: int, net: torch.nn.Module) -> torch.optim.AdamW:
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for step in range(steps):
        net(torch.full((1, 3), float(step + 1))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def test_weights_and_moments_come_back_bit_for_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    optimizer = adamw_after(3, net)
    write_state(tmp_path, ResumeState(3, net.state_dict(), optimizer_tensors(optimizer), {"seconds": 1.5}))
    state, warnings = read_state(tmp_path)
    assert state is not None
    assert (state.step, state.facts, warnings) == (3, {"seconds": 1.5}, [])
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(state.weights)
    restored = torch.optim.AdamW(other.parameters(), lr=0.5)
    restore_optimizer(restored, state.optimizer)
    assert restored.param_groups[0]["lr"] == 0.5
    for name, value in optimizer_tensors(optimizer).items():
        assert torch.equal(value, optimizer_tensors(restored)[name])


def test_two_states_are_kept_and_a_damaged_one_gives_way_to_the_one_before(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        write_state(tmp_path, ResumeState(step, {"w": torch.tensor([float(step)])}, {}))
    assert [path.name for path in state_files(tmp_path)] == ["state-00000030.safetensors", "state-00000020.safetensors"]
    newest = state_files(tmp_path)[0]
    newest.write_bytes(newest.read_bytes()[:-3])
    state, warnings = read_state(tmp_path)
    assert state is not None
    assert state.step == 20
    assert "state-00000030" in warnings[0]


def test_the_loss_table_is_a1111s_and_a_resumed_run_repeats_no_row(tmp_path: Path) -> None:
    path = tmp_path / "hypernetwork_loss.csv"
    table = LossTable(path, 0)
    for step in (1, 2, 3):
        table.add(step, (0, step - 1), 0.1234567891, 0.0005)
    assert path.read_bytes().splitlines(keepends=True)[:2] == [
        b"step,epoch,epoch_step,loss,learn_rate\r\n",
        b"1,0,0,0.1234568,0.0005\r\n",
    ]
    LossTable(path, 2).add(3, (0, 2), 0.5, 0.0005)
    assert [line.split(b",")[0] for line in path.read_bytes().splitlines()] == [b"step", b"1", b"2", b"3"]
    assert path.read_bytes().splitlines()[-1] == b"3,0,2,0.5000000,0.0005"


def test_when_no_state_can_be_read_the_run_does_not_start_anew_in_silence(tmp_path: Path) -> None:
    write_state(tmp_path, ResumeState(10, {"w": torch.ones(1)}, {}))
    state_files(tmp_path)[0].write_bytes(b"torn")
    with pytest.raises(AppError, match="start_from"):
        read_state(tmp_path)
