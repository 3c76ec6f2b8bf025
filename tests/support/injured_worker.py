"""A real worker that is hurt, or stopped, once at each place listed for it: `python -m injured_worker RUN PIPE PARENT`.

`injuries.json` in the run's folder holds one list of injuries for each worker of the run, the first one first. An
injury is [place, error, call]: the dotted name of a function, what is raised in it, and at its which call. With a way
to stop in place of an error, the call goes on once the worker knows of the stop.
"""

import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from trainer.run.control import send
from trainer.run.folder import RunFolder
from trainer.run.signals import StopRequest

ERRORS = {
    "memory": lambda: _out_of_memory(),
    "ram": lambda: MemoryError("no memory"),
    "text": lambda: RuntimeError("CUDA error: out of memory"),
    "cuda": lambda: RuntimeError("CUDA error: an illegal memory access was encountered"),
}
STOPS = {
    "stop": lambda: send(RunFolder(Path(sys.argv[1])), "stop"),
    "signal": lambda: os.kill(os.getppid(), signal.SIGTERM),
}


def _stop(how: str) -> None:
    """Ask for a stop as a user does, and wait until the worker was told."""
    known, plain = threading.Event(), StopRequest.request

    def request(self: StopRequest) -> None:
        plain(self)
        known.set()

    StopRequest.request = request
    STOPS[how]()
    assert known.wait(60), "nobody told the worker to stop"


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
        if calls == call and error in STOPS:
            _stop(error)
        elif calls == call:
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
