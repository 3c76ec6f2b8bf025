"""The wizard dies with its terminal; the worker that it watches doesn't."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.counting import REPOSITORY, counting_run
from trainer.run.folder import RunFolder
from trainer.run.lock import owner
from trainer.run.status import Status, glance
from tui.feed import RunFeed

PATIENCE_S = 60


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    """A live run of a worker that counts."""
    projects = tmp_path / "hypernetworks"
    projects.mkdir()
    monkeypatch.setenv("HYPERNET_PROJECTS", str(projects))
    with counting_run(projects) as folder:
        yield folder


class Terminal:
    """A wizard in a pseudo-terminal of 80x24 that was started with hang-ups ignored, as nohup does."""

    def __init__(self) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.chdir(REPOSITORY)
            os.execve(sys.executable, [sys.executable, "-m", "tui"], {**os.environ, "TERM": "xterm-256color"})
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._seen = b""

    def sees(self, text: str) -> None:
        """Read until a text was drawn."""
        end = time.monotonic() + PATIENCE_S
        while text.encode() not in self._seen:
            assert time.monotonic() < end, self._seen[-3000:]
            if select.select([self._master], [], [], 0.2)[0]:
                self._seen += os.read(self._master, 65536)

    def press(self, keys: bytes) -> None:
        """Press keys, having seen nothing since."""
        self._seen = b""
        os.write(self._master, keys)

    def hang_up(self) -> int:
        """Close the terminal; return the signal that ended the wizard, or 0."""
        os.close(self._master)
        return os.WTERMSIG(self.end())

    def end(self) -> int:
        """Wait until the wizard has ended; return how, as os.wait does."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("the wizard did not end")


def test_a_hang_up_ends_the_wizard_and_not_the_run(run: RunFolder) -> None:
    terminal = Terminal()
    terminal.sees("Running")
    terminal.press(b"\r")
    terminal.sees("a step")
    before = glance(run)
    assert terminal.hang_up() == signal.SIGHUP
    end = time.monotonic() + PATIENCE_S
    while glance(run).state.step <= before.state.step:
        assert time.monotonic() < end
        time.sleep(0.05)
    holder = owner(run)
    assert holder is not None
    assert holder.is_alive
    assert glance(run).status is Status.RUNNING
    feed = RunFeed(run)
    feed.advance()
    assert [point.step for point in feed.view.state.points] == list(range(1, feed.view.state.step + 1))


def test_leaving_says_that_the_run_goes_on(run: RunFolder) -> None:
    terminal = Terminal()
    terminal.sees("Running")
    terminal.press(b"\r")
    terminal.sees("a step")
    terminal.press(b"\x11")
    terminal.sees("The run goes on; `hypernet attach gollum/2026-11-23/gollum`")
    assert terminal.end() == 0
    assert glance(run).status is Status.RUNNING
