"""`python -m trainer RUN`: carries out the run of a folder."""

import sys
from pathlib import Path

from trainer.recovery.supervisor import supervise

if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
