"""Answers of a project that doesn't exist yet, kept in the state folder until it does."""

import contextlib
import json
from dataclasses import asdict, dataclass

from tui.paths import state_file

_NAME = "draft.json"


@dataclass(frozen=True)
class Draft:
    """What was typed on the first step."""

    pictures: str = ""
    name: str = ""
    model: str = ""

    def save(self) -> None:
        """Keep it.

        Raises:
            OSError: the state folder can't be written.
        """
        from trainer.files import write_atomic

        path = state_file(_NAME)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, json.dumps(asdict(self)))


def load_draft() -> Draft:
    """Return what was kept; an empty draft where there is none that can be read."""
    try:
        tree = json.loads(state_file(_NAME).read_text(encoding="utf-8"))
        return Draft(**{name: str(tree[name]) for name in Draft.__dataclass_fields__ if name in tree})
    except (OSError, ValueError, TypeError):
        return Draft()


def drop_draft() -> None:
    """Forget it, now that the project's own file has it."""
    with contextlib.suppress(FileNotFoundError):
        state_file(_NAME).unlink()
