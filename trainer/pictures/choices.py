"""What the user decided about single pictures: frames, modes and pictures left out, kept in `pictures.toml`.

```
left_out = ["blurred.jpg"]

[modes]
"crowd.jpg" = "focal"

[frames]
"portrait.jpg" = [120.0, 40.0, 900.0, 900.0]    # left, top, width, height in upright source pixels
```
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import tomlkit

from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.pictures.geometry import Frame
from trainer.pictures.options import Mode
from trainer.text import printable

CHOICES_FILE = "pictures.toml"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Choices:
    """Decisions by source file name."""

    frames: Mapping[str, Frame] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    modes: Mapping[str, Mode] = field(default_factory=dict)
    """Where another mode than the project's was chosen; never together with a frame."""

    def with_frame(self, name: str, frame: Frame | None) -> "Choices":
        """Return the choices with one manual frame set, or with None neither frame nor mode of its own."""
        frames, modes = _without(self.frames, name), _without(self.modes, name)
        return replace(self, frames=frames if frame is None else {**frames, name: frame}, modes=modes)

    def with_mode(self, name: str, mode: Mode) -> "Choices":
        """Return the choices with one picture framed by a mode of its own, instead of by hand."""
        return replace(self, frames=_without(self.frames, name), modes={**self.modes, name: mode})

    def with_left_out(self, name: str, left_out: bool = True) -> "Choices":
        """Return the choices with one picture left out or taken back."""
        return replace(self, left_out=self.left_out | {name} if left_out else self.left_out - {name})


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
    left_out, frames, modes = tree.get("left_out", []), tree.get("frames", {}), tree.get("modes", {})
    if not isinstance(left_out, list) or not all(isinstance(name, str) for name in left_out):
        raise _unreadable(path, "left_out must be a list of file names")
    if not isinstance(frames, dict):
        raise _unreadable(path, "frames must be a table")
    if not isinstance(modes, dict) or not all(mode in get_args(Mode) for mode in modes.values()):
        raise _unreadable(path, f"modes must be a table of {', '.join(get_args(Mode))}")
    read = {name: _frame(path, name, numbers) for name, numbers in frames.items()}
    return Choices(read, frozenset(left_out), {name: mode for name, mode in modes.items() if name not in read})


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
    document["modes"] = dict(sorted(choices.modes.items()))
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


def _without(mapping: Mapping[str, Value], name: str) -> dict[str, Value]:
    return {key: value for key, value in mapping.items() if key != name}


def _frame(path: Path, name: str, numbers: Any) -> Frame:
    plain = isinstance(numbers, list) and all(type(each) in (int, float) and math.isfinite(each) for each in numbers)
    if not plain or len(numbers) != 4:
        raise _unreadable(path, f"frames.{printable(name, 60)} must be four numbers: left, top, width, height")
    return Frame(*map(float, numbers))


def _unreadable(path: Path, reason: str) -> AppError:
    return AppError(
        "Cannot read what you chose", f"{printable(path)}: {reason}.", "Mend the file, or move it away to start anew."
    )
