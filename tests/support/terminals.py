"""Real terminals in which tests open the wizard: a bare pseudo-terminal, and tmux."""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 180
WIZARD = (sys.executable, "-m", "tui")
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def own_environment() -> list[str]:
    """Return this test's folders as NAME=VALUE, for a wizard that would not inherit them."""
    kept = ("HYPERNET_", "XDG_", "OMP_", "HF_")
    return [f"{name}={value}" for name, value in os.environ.items() if name.startswith(kept)]


class Terminal:
    """A command in a pseudo-terminal of 80x24 that was started with hang-ups ignored, as nohup does."""

    def __init__(self, command: Sequence[str] = WIZARD, over: Mapping[str, str] | None = None) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.chdir(REPOSITORY)
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color", **(over or {})})
        self.resize(80, 24)
        self.seen = b""
        """All that was sent to the terminal since the last key."""

    def resize(self, width: int, height: int) -> None:
        """Change the size of the terminal."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def sees(self, *texts: str) -> None:
        """Read until all texts were drawn."""
        self.until(lambda: all(text in self.text for text in texts), f"waited in vain for {texts}")

    def until(self, condition: Callable[[], bool], why: str) -> None:
        """Read until a condition holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"{why}: {self.text[-3000:]}"
            self.read(0.2)

    def read(self, seconds: float) -> None:
        """Read what was drawn, after waiting for it for so long."""
        if select.select([self._master], [], [], seconds)[0]:
            self.seen += os.read(self._master, 65536)

    @property
    def text(self) -> str:
        """What was sent, without escape sequences."""
        return re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|[()][A-Z0-9]|.)", "", self.seen.decode("utf-8", "replace"))

    def press(self, keys: bytes) -> None:
        """Press keys, having seen nothing since."""
        self.seen = b""
        os.write(self._master, keys)

    def hang_up(self) -> int:
        """Close the terminal; return the signal that ended the command, or 0."""
        os.close(self._master)
        return os.WTERMSIG(self.end())

    def end(self) -> int:
        """Wait until the command has ended; return how, as os.wait does."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("the command did not end")


class Tmux:
    """A tmux server of its own with one window."""

    def __init__(self, command: Sequence[str] = WIZARD, width: int = 80, height: int = 24) -> None:
        self._name = f"wizard-{uuid.uuid4().hex[:8]}"
        size = ("-x", str(width), "-y", str(height))
        wrapped = ("env", *own_environment(), *command)
        # UTF-8 whatever the locale is; no configuration of the user's.
        self._run("-u", "-f", "/dev/null", "new-session", "-d", *size, *wrapped)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *arguments], capture_output=True, text=True, cwd=REPOSITORY, check=True
        )
        return done.stdout

    @property
    def pid(self) -> int:
        """The process in the window."""
        return int(self._run("display-message", "-p", "#{pane_pid}"))

    def screen(self) -> str:
        """Return what is on the screen."""
        return self._run("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._run("send-keys", "-l", text)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def until(self, condition: Callable[[list[str]], bool]) -> None:
        """Wait until a condition holds of the screen's rows."""
        end = time.monotonic() + PATIENCE_S
        while not condition(self.screen().splitlines()):
            assert time.monotonic() < end, f"waited in vain at\n{self.screen()}"
            time.sleep(0.1)

    def sees(self, *texts: str, patience_s: float = PATIENCE_S) -> str:
        """Wait until all texts are on the screen; return it."""
        end = time.monotonic() + patience_s
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            assert time.monotonic() < end, f"waited in vain for {texts} at\n{screen}"
            time.sleep(0.1)

    def end(self) -> None:
        """End the server and what runs in it."""
        subprocess.run(["tmux", "-L", self._name, "kill-server"], capture_output=True, check=False)
