"""Random numbers as a function of a counter, never of a running generator.

Whatever a step draws is found from (seed, purpose, step, place in the batch), so a resumed run draws
what an uninterrupted one would, and nothing that happens between two steps can disturb training.
"""

import hashlib
import random

import torch


def counter_seed(seed: int, purpose: str, *counter: int | str) -> int:
    """Return 63 bits that depend on every argument."""
    text = "\x1f".join([str(seed), purpose, *(str(part) for part in counter)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "big") >> 1


def normal(shape: tuple[int, ...], seed: int, purpose: str, *counter: int | str) -> torch.Tensor:
    """Return standard normal numbers, float32 on the CPU, so that every device sees the same ones."""
    return torch.randn(shape, generator=torch_generator(seed, purpose, *counter))


def torch_generator(seed: int, purpose: str, *counter: int | str) -> torch.Generator:
    """Return a CPU generator for one place of the counter."""
    return torch.Generator().manual_seed(counter_seed(seed, purpose, *counter))


def python_random(seed: int, purpose: str, *counter: int | str) -> random.Random:
    """Return a Python generator for one place of the counter."""
    return random.Random(counter_seed(seed, purpose, *counter))
