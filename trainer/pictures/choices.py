"""What the user decided about single pictures: manual frames and pictures left out, kept in `pictures.toml`.

```
left_out = ["blurred.jpg"]

[frames]
"portrait.jpg" = [120.0, 40.0, 900.0, 900.0]    # left, top, width, height in upright source pixels
```
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit

from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.pictures.geometry import Frame
from trainer.text import printable

CHOICES_FILE = "pictures.toml"


@dataclass(frozen=True)
class Choices:
    """Decisions by source file name."""

    frames: Mapping[str, Frame] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    def with_frame(self, name: str, frame: Frame | None) -> "Choices":
        """Return the choices with one manual frame set, or with None taken back."""
        frames = {key: value for key, value in self.frames.items() if key != name}
        return Choices(frames if frame is None else {**frames, name: frame}, self.left_out)

    def with_left_out(self, name: str, left_out: bool = True) -> "Choices":
        """Return the choices with one picture left out or taken back."""
        return Choices(self.frames, self.left_out | {name} if left_out else self.left_out - {name})


def read_choices(root: Path) -> Choices:
    """Read a project's `pictures.toml`; none there is no choices.

    Raises:
        AppError: it is damaged; the message names the entry.
    """
    path = root / CHOICES_FILE
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Choices()
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from None
    left_out, frames = tree.get("left_out", []), tree.get("frames", {})
    if not isinstance(left_out, list) or not all(isinstance(name, str) for name in left_out):
        raise _unreadable(path, "left_out must be a list of file names")
    if not isinstance(frames, dict):
        raise _unreadable(path, "frames must be a table")
    return Choices({name: _frame(path, name, numbers) for name, numbers in frames.items()}, frozenset(left_out))


def write_choices(root: Path, choices: Choices) -> None:
    """Replace a project's `pictures.toml`.

    Raises:
        AppError: it cannot be written.
    """
    document = tomlkit.document()
    document["left_out"] = sorted(choices.left_out)
    document["frames"] = {
        name: [round(number, 2) for number in (frame.left, frame.top, frame.width, frame.height)]
        for name, frame in sorted(choices.frames.items())
    }
    path = root / CHOICES_FILE
    try:
        write_atomic(path, tomlkit.dumps(document))
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise AppError(
            "Cannot save what you chose",
            f"{printable(path)}: {reason.lower()}.",
            "Free some space, or rename the file.",
        ) from None


def parse_frame(text: str) -> Frame:
    """Read "LEFT,TOP,SIDE" or "LEFT,TOP,WIDTH,HEIGHT" in source pixels; raises AppError."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 3:
        numbers.append(numbers[2])
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise AppError(
            "Not a frame",
            f'"{printable(text, 60)}" is not LEFT,TOP,SIDE or LEFT,TOP,WIDTH,HEIGHT.',
            "Write pixels of the upright source picture, e.g. 120,40,900",
        )
    return Frame(*numbers)


def _frame(path: Path, name: str, numbers: Any) -> Frame:
    plain = isinstance(numbers, list) and all(type(each) in (int, float) and math.isfinite(each) for each in numbers)
    if not plain or len(numbers) != 4:
        raise _unreadable(path, f"frames.{printable(name, 60)} must be four numbers: left, top, width, height")
    return Frame(*map(float, numbers))


def _unreadable(path: Path, reason: str) -> AppError:
    return AppError(
        "Cannot read what you chose", f"{printable(path)}: {reason}.", "Mend the file, or move it away to start anew."
    )
