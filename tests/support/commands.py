"""The `hypernet` command, run as a user runs it but in this process."""

import sys
from dataclasses import dataclass

import pytest

from trainer.cli.main import run


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams."""
        return self.out + self.err


def hypernet(capfd: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    """Run `hypernet ARGUMENTS` and return exit code and output."""
    before = sys.argv
    sys.argv = ["hypernet", *arguments]
    code = 0
    try:
        run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.argv = before
    out, err = capfd.readouterr()
    return Outcome(code, out, err)
