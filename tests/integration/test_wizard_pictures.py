"""Real pictures in a pseudo-terminal whose other end answers as kitty, as a terminal with sixel, or as neither."""

import base64
import contextlib
import io
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.support.terminals import WIZARD, Terminal
from tests.tui.test_terminal_pictures import CELL, KITTY, PLAIN, SIXEL, unsixel
from tui.terminal_pictures import QUESTION


class Answering(Terminal):
    """Answers the wizard's question, and keeps all that was sent."""

    def __init__(self, answer: bytes, *arguments: str) -> None:
        self._answer, self.sent = answer, b""
        super().__init__([*WIZARD, *arguments])

    def read(self, seconds: float) -> None:
        before = len(self.seen)
        super().read(seconds)
        self.sent += self.seen[before:]
        if self._answer and QUESTION in self.sent:
            os.write(self._master, self._answer)
            self._answer = b""

    def sends(self, pattern: bytes) -> re.Match[bytes]:
        """Wait until something was sent since the last key; return it."""
        self.until(lambda: re.search(pattern, self.seen, re.DOTALL) is not None, f"waited in vain for {pattern!r}")
        found = re.search(pattern, self.seen, re.DOTALL)
        assert found
        return found

    def leave(self) -> int:
        """Leave the wizard, reading to the end, as it could not end while its pictures wait to be read."""
        self.press(b"\x11")
        with contextlib.suppress(OSError):
            while True:
                self.read(0.2)
        return self.end()


@pytest.fixture(autouse=True)
def own_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERNET_PROJECTS", str(tmp_path))
    for name in ("NO_COLOR", "COLORTERM", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)


def test_kitty_gets_pictures_and_loses_them_when_something_else_is_shown() -> None:
    terminal = Answering(KITTY + CELL + PLAIN, "demo", "--images", "auto")
    terminal.sees("2 Crop", "the demo model")
    terminal.press(b"2")
    sent = terminal.sends(rb"\x1b_Ga=T,f=100,i=(\d+),p=1,c=(\d+),r=(\d+),C=1,q=2,(m=.*?m=0;[^\x1b]*\x1b)\\")
    text = b"".join(re.findall(rb"m=[01];([^\x1b]*)\x1b", sent[4]))
    with Image.open(io.BytesIO(base64.standard_b64decode(text))) as picture:
        assert picture.size == (9 * int(sent[2]), 18 * int(sent[3]))
    terminal.press(b"\x1bOP")
    terminal.sends(rb"\x1b_Ga=d,d=I,i=%b,q=2\x1b\\" % sent[1])
    terminal.press(b"\x1b")
    terminal.sends(rb"\x1b_Ga=T,f=100,i=%b," % sent[1])
    assert terminal.leave() == 0


def test_a_terminal_with_sixel_gets_pictures_and_again_when_one_changes() -> None:
    terminal = Answering(CELL + SIXEL, "demo", "--images=auto")
    terminal.sees("2 Crop", "the demo model")
    terminal.press(b"2")
    shown = []
    for key in (b"\x1b[B", b"\x1b[A"):
        sent = terminal.sends(rb"\x1b7\x1b\[\d+;\d+H(\x1bP0;1;0q[^\x1b]+\x1b\\)\x1b8")
        shown.append(unsixel(sent[1].decode()))
        terminal.press(key)
    assert terminal.leave() == 0
    assert shown[0].size != (0, 0)
    assert shown[0].tobytes() != shown[1].tobytes()


def test_without_the_option_nothing_is_asked_and_with_it_a_plain_terminal_is_told_why() -> None:
    silent = Answering(b"")
    silent.sees("Hypernet Wizard", "Welcome")
    assert silent.leave() == 0
    assert QUESTION not in silent.sent
    assert b"\x1b_G" not in silent.sent
    plain = Answering(PLAIN, "--images", "auto")
    plain.sees("half blocks: the terminal")
    assert plain.leave() == 0
    assert b"\x1b_Ga=T" not in plain.sent
    wrong = Answering(b"", "--images", "webp")
    wrong.sees("none of auto, blocks, kitty, sixel")
    assert os.waitstatus_to_exitcode(wrong.end()) == 2
