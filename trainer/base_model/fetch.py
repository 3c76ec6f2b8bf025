"""A download as a process of its own, `python -m trainer.base_model.fetch NAME`: it can be ended at any moment.

It prints one JSON object a line: {"done": bytes, "total": bytes} now and then, at the end {"path": …} or
{"title": …, "message": …, "hint": …}.
"""

import json
import sys
import time

from trainer.base_model.hub import download_model
from trainer.errors import AppError

_EVERY_S = 0.2


def main() -> int:
    """Download the model named on the command line."""
    told_s = 0.0

    def show(done: int, total: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _EVERY_S:
            told_s = time.monotonic()
            print(json.dumps({"done": done, "total": total}), flush=True)

    try:
        path = download_model(sys.argv[1], show)
    except AppError as error:
        print(json.dumps({"title": error.title, "message": error.message, "hint": error.hint}), flush=True)
        return 1
    print(json.dumps({"path": str(path)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
