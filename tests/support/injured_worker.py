"""A real worker that is hurt once at each place listed for it: `python -m injured_worker RUN PIPE PARENT`.

`injuries.json` in the run's folder holds one list of injuries for each worker of the run, the first one first. An
injury is [place, error, call]: the dotted name of a function, what is raised in it, and at its which call.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

ERRORS = {
    "memory": lambda: _out_of_memory(),
    "ram": lambda: MemoryError("no memory"),
    "text": lambda: RuntimeError("CUDA error: out of memory"),
    "cuda": lambda: RuntimeError("CUDA error: an illegal memory access was encountered"),
}


def _out_of_memory() -> Exception:
    import torch

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def hurt(place: str, error: str, call: int) -> None:
    """Let a function, named as `module:Class.method`, raise at one of its calls."""
    module, _, dotted = place.partition(":")
    owner: Any = importlib.import_module(module)
    *way, name = dotted.split(".")
    for part in way:
        owner = getattr(owner, part)
    plain, calls = getattr(owner, name), 0

    def hurting(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
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
