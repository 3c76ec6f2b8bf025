"""Pictures and prompts on a device that is too small: tiles, then the CPU, each said once."""

from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn

from trainer.memory.fallback import RoomyEncoder, RoomyVae

CPU = torch.device("cpu")


@pytest.fixture
def vae() -> Any:
    torch.manual_seed(0)
    made = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        latent_channels=4,
        sample_size=64,
    )
    return made.requires_grad_(False).eval()


def refuse_above(vae: Any, pixels: int, counts: list[int]) -> None:
    """Have the VAE run out of memory where more than so many pixels are encoded or latents decoded at once."""

    def check(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        counts.append(args[0].shape[-1] * args[0].shape[-2])
        if counts[-1] > pixels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    vae.encoder.register_forward_pre_hook(check)
    vae.decoder.register_forward_pre_hook(check)


@pytest.mark.parametrize(("room", "way", "told"), [(10**9, "whole", 0), (32 * 32, "tiles", 1), (0, "cpu", 2)])
def test_latents_are_computed_wherever_there_is_room(vae: Any, room: int, way: str, told: int) -> None:
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    wanted = vae.encode(pixels).latent_dist.mean
    warnings: list[str] = []
    counts: list[int] = []
    if way != "cpu":
        refuse_above(vae, room, counts)
    else:
        fail = iter([True, True])
        vae.encoder.register_forward_pre_hook(lambda *_: _fail_while(fail))
    roomy = RoomyVae(vae, CPU, warnings.append)
    mean, std = roomy.encode(pixels)
    assert (roomy.way, len(warnings)) == (way, told)
    assert mean.shape == std.shape == wanted.shape
    exact = way != "tiles"
    assert torch.allclose(mean, wanted, atol=1e-5 if exact else 1.0) or not exact
    assert torch.nn.functional.cosine_similarity(mean.flatten(), wanted.flatten(), dim=0) > (0.9999 if exact else 0.7)
    roomy.encode(pixels)
    assert len(warnings) == told  # what was learned is kept
    assert all("Memory ran out while encoding" in warning for warning in warnings)


def _fail_while(fail: Any) -> None:
    if next(fail, False):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_preview_is_decoded_in_tiles_where_it_is_too_large(vae: Any) -> None:
    warnings: list[str] = []
    counts: list[int] = []
    refuse_above(vae, 16 * 16, counts)
    pictures = RoomyVae(vae, CPU, warnings.append).decode(torch.randn(2, 4, 32, 32))
    assert [picture.size for picture in pictures] == [(64, 64), (64, 64)]
    assert counts.count(32 * 32) == 1  # the second picture goes in tiles at once
    assert len(warnings) == 1


def test_other_errors_are_passed_on(vae: Any) -> None:
    warnings: list[str] = []

    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    vae.encoder.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="illegal"):
        RoomyVae(vae, CPU, warnings.append).encode(torch.zeros(1, 3, 64, 64))
    assert not warnings


def test_prompts_are_encoded_on_the_cpu_where_the_device_is_too_small() -> None:
    warnings: list[str] = []
    encoder = RoomyEncoder(nn.Linear(2, 2), CPU, warnings.append)
    fail = iter([True])

    def encode() -> str:
        _fail_while(fail)
        return "context"

    assert [encoder.run(encode), encoder.run(encode)] == ["context", "context"]
    assert encoder.on_cpu
    assert len(warnings) == 1
    assert "text encoder goes on on the CPU" in warnings[0]
