"""Frames lie on the picture, have the wanted shape, and are where they were asked for."""

import pytest

from trainer.pictures.geometry import Frame, aspect_size, center_frame, enlargement, frame_around, inside, kept_share

SHAPES = [(4000, 3000), (3000, 4000), (512, 512), (1, 1), (10_000, 100), (641, 427), (7, 100_000)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("out", [(512, 512), (768, 512), (64, 128)])
def test_center_frame_is_the_largest_of_its_shape_in_the_middle(shape: tuple[int, int], out: tuple[int, int]) -> None:
    frame = center_frame(*shape, *out)
    assert inside(frame, *shape)
    assert frame.width / frame.height == pytest.approx(out[0] / out[1])
    assert frame.width == pytest.approx(shape[0]) or frame.height == pytest.approx(shape[1])
    assert frame.left + frame.width / 2 == pytest.approx(shape[0] / 2)
    assert frame.top + frame.height / 2 == pytest.approx(shape[1] / 2)


def test_frame_around_a_point_stays_on_the_picture() -> None:
    assert frame_around(1000, 500, 1, 1, 300, 250) == Frame(50, 0, 500, 500)
    assert frame_around(1000, 500, 1, 1, -50, 9999) == Frame(0, 0, 500, 500)
    assert frame_around(1000, 500, 1, 1, 900, 0, zoom=2) == Frame(750, 0, 250, 250)


def test_shares_and_enlargement() -> None:
    assert kept_share(center_frame(1000, 500, 1, 1), 1000, 500) == 0.5
    assert enlargement(Frame(0, 0, 256, 256), 512, 512) == 2
    assert not inside(Frame(600, 0, 500, 500), 1000, 500)
    assert not inside(Frame(0, 0, 0, 0), 1000, 500)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((1000, 1000), 512, (512, 512)),
        ((4000, 3000), 512, (576, 448)),
        ((3000, 4000), 512, (448, 576)),
        ((1920, 1080), 512, (640, 384)),
        ((10_000, 100), 512, (1024, 256)),
        ((300, 200), 64, (64, 64)),
    ],
)
def test_aspect_size_is_near_the_shape_in_multiples_of_64(
    shape: tuple[int, int], size: int, expected: tuple[int, int]
) -> None:
    assert aspect_size(*shape, size) == expected
