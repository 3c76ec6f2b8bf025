"""The keys that adjust a frame."""

from collections.abc import Callable

from trainer.pictures.adjust import moved, zoomed
from trainer.pictures.geometry import Frame
from tui.keys import bindings

Adjust = Callable[[Frame, int, int, tuple[int, int]], Frame]
"""From a frame, the picture's width and height and the sides of the training picture to another frame."""

FRAME_KEYS = bindings(
    "crop.left", "crop.right", "crop.up", "crop.down", "crop.left_fine", "crop.right_fine", "crop.up_fine",
    "crop.down_fine", "crop.closer", "crop.wider",
)  # fmt: skip
FRAME_ACTIONS = frozenset({"left", "right", "up", "down", "closer", "wider"})
"""What the keys do; with "_fine" in small steps."""


class FrameActions:
    """Actions of a screen that shows a frame and can adjust it."""

    def adjust(self, make: Adjust, what: str) -> None:
        """Put an adjusted frame on the chosen picture."""
        raise NotImplementedError

    def _move(self, x: int, y: int, *, fine: bool = False) -> None:
        self.adjust(lambda frame, width, height, out: moved(frame, width, height, x, y, fine=fine), "moving")

    def _zoom(self, *, closer: bool) -> None:
        self.adjust(lambda frame, width, height, out: zoomed(frame, width, height, *out, closer=closer), "zooming")

    def action_left(self) -> None:
        """Move the frame."""
        self._move(-1, 0)

    def action_right(self) -> None:
        """Move the frame."""
        self._move(1, 0)

    def action_up(self) -> None:
        """Move the frame."""
        self._move(0, -1)

    def action_down(self) -> None:
        """Move the frame."""
        self._move(0, 1)

    def action_left_fine(self) -> None:
        """Move the frame a little."""
        self._move(-1, 0, fine=True)

    def action_right_fine(self) -> None:
        """Move the frame a little."""
        self._move(1, 0, fine=True)

    def action_up_fine(self) -> None:
        """Move the frame a little."""
        self._move(0, -1, fine=True)

    def action_down_fine(self) -> None:
        """Move the frame a little."""
        self._move(0, 1, fine=True)

    def action_closer(self) -> None:
        """Make the frame smaller."""
        self._zoom(closer=True)

    def action_wider(self) -> None:
        """Make the frame larger."""
        self._zoom(closer=False)
