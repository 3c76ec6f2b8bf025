"""Adjust a frame by hand: pure arithmetic in upright source pixels, always within the picture."""

from trainer.pictures.geometry import Frame, frame_around
from trainer.pictures.look import LARGEST_ENLARGEMENT

COARSE = 1 / 16
"""Share of the frame's side that one key press moves it by."""
FINE = 1 / 128
ZOOM = 1.1
"""How many times larger or smaller one key press makes the frame."""


def moved(frame: Frame, width: int, height: int, x_steps: int, y_steps: int, *, fine: bool = False) -> Frame:
    """Return a frame moved by steps, at least a pixel each, as far as the picture goes.

    Args:
        frame: The frame.
        width: Of the picture.
        height: Of the picture.
        x_steps: To the right; negative to the left.
        y_steps: Down; negative up.
        fine: Take small steps.
    """
    step = max(1, round(min(frame.width, frame.height) * (FINE if fine else COARSE)))
    left = min(max(frame.left + x_steps * step, 0.0), width - frame.width)
    top = min(max(frame.top + y_steps * step, 0.0), height - frame.height)
    return Frame(max(0.0, left), max(0.0, top), frame.width, frame.height)


def zoomed(frame: Frame, width: int, height: int, out_width: int, out_height: int, *, closer: bool) -> Frame:
    """Return a frame about the same middle that shows less of the picture (closer) or more.

    The largest is the largest that fits; the smallest is the one that would just not be enlarged too much.

    Args:
        frame: The frame.
        width: Of the picture.
        height: Of the picture.
        out_width: Of the training picture.
        out_height: Of the training picture.
        closer: Make the frame smaller.
    """
    largest = min(width, height * out_width / out_height)
    smallest = min(largest, out_width / LARGEST_ENLARGEMENT)
    wanted = min(max(frame.width / ZOOM if closer else frame.width * ZOOM, smallest), largest)
    x, y = frame.left + frame.width / 2, frame.top + frame.height / 2
    return frame_around(width, height, out_width, out_height, x, y, zoom=largest / wanted)


def rounded(frame: Frame) -> Frame:
    """Return a frame as `pictures.toml` keeps it, so that what is shown is what will be read again."""
    return Frame(*(round(number, 2) for number in (frame.left, frame.top, frame.width, frame.height)))
