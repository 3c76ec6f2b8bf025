"""A real supervisor over another worker: `python -m fake_supervisor RUN MODULE`."""

import sys
from pathlib import Path

from trainer.recovery.supervisor import supervise

if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1]), sys.argv[2]))
