"""Memory that runs out anywhere within an update leaves either no trace or a state that is never saved."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trainer.divergence import check_weights
from trainer.faults import Diverged
from trainer.memory.account import LiveBytes, arrived, on_host
from trainer.memory.host_optimizer import HostAdamW
from trainer.recovery.limit import LimitedBytes
from trainer.recovery.telling import free_frames
from trainer.recovery.untouched import StepGuard
from trainer.resume_state import optimizer_tensors


class FailAt(TorchDispatchMode):
    """Lets memory run out at one operation of all that are done inside this block; 0 only counts them."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place, self.done = place, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.done += 1
        if self.done == self.place:
            raise torch.OutOfMemoryError(f"Tried to allocate 1.00 MiB in {func}")
        return func(*args, **(kwargs or {}))


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2), torch.nn.LayerNorm(2))


def everything(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    return [tensor.detach().clone() for tensor in (*parameters, *optimizer_tensors(optimizer).values())]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def ask_for_step(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)


MAKERS: dict[str, Callable[[list[torch.nn.Parameter]], torch.optim.AdamW]] = {
    "fused": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, fused=True),
    "plain": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, fused=False, foreach=False),
    "host": lambda parameters: HostAdamW(parameters, lr=0.1),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("steps_before", [0, 2])
def test_an_update_that_fails_anywhere_is_undone_or_known_to_be_half_done(kind: str, steps_before: int) -> None:
    def prepared() -> tuple[torch.optim.AdamW, StepGuard]:
        optimizer = MAKERS[kind](list(network().parameters()))
        for _ in range(steps_before):
            ask_for_step(optimizer)
            optimizer.step()
        return optimizer, StepGuard(optimizer)

    optimizer, _ = prepared()
    ask_for_step(optimizer)
    with FailAt(0) as counting:
        optimizer.step()
    undisturbed, undone, done = everything(optimizer), 0, 0
    for place in range(1, counting.done + 1):
        optimizer, guard = prepared()
        before = everything(optimizer)
        ask_for_step(optimizer)
        guard.begin()
        try:
            with FailAt(place):
                optimizer.step()
        except torch.OutOfMemoryError as error:
            traceback.clear_frames(error.__traceback__)
        else:
            # Only what brings the weights back from the host is tried once more.
            assert kind == "host"
            assert same(everything(optimizer), undisturbed)
            done += 1
            continue
        if guard.undo():
            undone += 1
            assert same(everything(optimizer), before)
            ask_for_step(optimizer)
            optimizer.step()
            assert same(everything(optimizer), undisturbed)
    # torch's profiler marks begin and end of a step after the update: one mark, or four around the host's.
    assert undone >= {"fused": counting.done - 1, "plain": 1, "host": counting.done - done - 4}[kind]
    assert (done > 0) == (kind == "host")


def test_the_account_raises_at_the_limit_with_honest_figures_and_frees_what_failed() -> None:
    with LimitedBytes(1 << 20) as account:
        kept = torch.ones(1 << 17)
        with pytest.raises(torch.OutOfMemoryError, match=r"512 KiB in use, and the limit .* is 1\.0 MiB") as caught:
            torch.ones(1 << 18)
        assert caught.value.asked_bytes == 1 << 20  # type: ignore[attr-defined]
        free_frames(caught.value)
        torch.ones(1 << 16)
        assert account.live == kept.nbytes


def test_the_account_counts_what_comes_from_the_host_once_and_when_it_arrives() -> None:
    with LiveBytes() as account:
        with on_host():
            weight = torch.ones(1 << 10)
        assert account.live == 0
        arrived([weight])
        arrived([weight])
        assert account.live == weight.nbytes
        del weight
        assert account.live == 0


def test_weights_that_are_not_finite_are_refused() -> None:
    check_weights(network().parameters(), 3)
    broken = network()
    with torch.no_grad():
        next(broken.parameters())[0, 0] = float("inf")
    with pytest.raises(Diverged, match=r"After step 3 .* not saved"):
        check_weights(broken.parameters(), 3)
