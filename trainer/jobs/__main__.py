"""`python -m trainer.jobs FOLDER`: the worker of a job's folder."""

import sys
from pathlib import Path

from trainer.jobs.worker import work

if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
