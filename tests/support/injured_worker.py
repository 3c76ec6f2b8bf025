"""A real worker that is hurt once at each place that `injuries.json` in the run's folder lists, one for each start.

`python -m injured_worker RUN PIPE PARENT`; a place is the dotted name of a function, with what is raised in it.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

ERRORS = {
    "memory": lambda: MemoryError("no memory"),
    "text": lambda: RuntimeError("CUDA error: out of memory"),
    "cuda": lambda: RuntimeError("CUDA error: an illegal memory access was encountered"),
}


def hurt(place: str, error: str, calls: int) -> None:
    """Let a function raise at its `calls`th call."""
    module_name, *path = place.split(":")
    owner: Any = importlib.import_module(module_name)
    *way, name = path[0].split(".")
    for part in way:
        owner = getattr(owner, part)
    plain, count = getattr(owner, name), 0

    def hurting(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == calls:
            raise ERRORS[error]()
        return plain(*args, **kwargs)

    setattr(owner, name, hurting)


if __name__ == "__main__":
    from trainer.worker import work

    injuries = Path(sys.argv[1]) / "injuries.json"
    now, *later = json.loads(injuries.read_text()) or [[]]
    injuries.write_text(json.dumps(later))
    for injury in now:
        hurt(*injury)
    sys.exit(work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
