"""`python -m trainer RUN`: the worker of a run folder."""

import sys
from pathlib import Path

from trainer.worker import work

if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
