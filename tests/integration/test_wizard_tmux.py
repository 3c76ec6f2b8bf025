"""The wizard in a real terminal, tmux, by keys alone."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.counting import REPOSITORY, counting_run
from trainer.run.folder import RunFolder
from trainer.run.status import Status, glance

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
PATIENCE_S = 60


class Tmux:
    """A tmux server of its own with one window of 80x24."""

    def __init__(self, command: list[str]) -> None:
        self._name = f"wizard-{uuid.uuid4().hex[:8]}"
        self._run("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", *command)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *arguments], capture_output=True, text=True, cwd=REPOSITORY, check=True
        )
        return done.stdout

    def screen(self) -> str:
        """Return what is on the screen."""
        return self._run("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._run("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def sees(self, *texts: str) -> str:
        """Wait until all texts are on the screen; return it."""
        end = time.monotonic() + PATIENCE_S
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            assert time.monotonic() < end, f"waited in vain for {texts} at\n{screen}"
            time.sleep(0.1)

    def end(self) -> None:
        """End the server and what runs in it."""
        subprocess.run(["tmux", "-L", self._name, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    """A live run of a worker that counts."""
    projects = tmp_path / "hypernetworks"
    projects.mkdir()
    monkeypatch.setenv("HYPERNET_PROJECTS", str(projects))
    with counting_run(projects) as folder:
        yield folder


@pytest.fixture
def tmux(run: RunFolder) -> Iterator[Tmux]:
    names = [name for name in os.environ if name.startswith(("HYPERNET_", "XDG_"))]
    terminal = Tmux(["env", *(f"{name}={os.environ[name]}" for name in names), sys.executable, "-m", "tui"])
    yield terminal
    terminal.end()


def test_a_live_run_is_opened_paused_and_stopped_by_keys(run: RunFolder, tmux: Tmux) -> None:
    tmux.sees("Hypernet Wizard", "▸ gollum  running  step ", "/ 100,000", "Ctrl+Q leave")
    tmux.press("Enter")
    tmux.sees("gollum  running  step ", "0.05 s a step", "loss ", "└", "Ctrl+Q leave (the run goes on)")
    tmux.press("p")
    tmux.sees("gollum  paused", "p go on", "command taken: pause")
    assert glance(run).status is Status.PAUSED
    tmux.press("e")
    tmux.sees("Change from the next step on", "3e-3")
    tmux.press("x", "BSpace", "BSpace", "7", "Enter")
    tmux.sees("command taken: set learning rate 3e-7")
    tmux.resize(120, 40)
    tmux.sees("gollum  paused")
    tmux.resize(80, 24)
    tmux.press("x")
    tmux.sees("Stop the run?")
    tmux.press("y")
    tmux.sees("gollum  stopped", "r resume")
    assert glance(run).status is Status.STOPPED


def test_killing_the_terminal_leaves_the_run_and_a_new_one_shows_it(run: RunFolder, tmux: Tmux) -> None:
    tmux.sees("▸ gollum  running")
    tmux.end()
    step = glance(run).state.step
    again = Tmux(["env", f"HYPERNET_PROJECTS={os.environ['HYPERNET_PROJECTS']}", sys.executable, "-m", "tui"])
    try:
        again.sees("▸ gollum  running")
        again.press("Enter")
        again.sees("gollum  running  step ", "started on")
        assert glance(run).state.step > step
    finally:
        again.end()
