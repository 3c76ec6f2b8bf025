"""Every kind of terminal: few colours, none, no Unicode, tmux and screen, and any size at any time."""

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminals import WIZARD, Terminal, Tmux, needs_tmux
from tests.tui.counting import counting_run
from trainer.run.folder import RunFolder
from trainer.run.status import Status, glance

COLOURS = re.compile(rb"\x1b\[(?:[0-9;:]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;:m]")
MANY_COLOURS = re.compile(rb"[34]8[;:](?:2|5)[;:]")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    """A live run of a worker that counts."""
    projects = tmp_path / "hypernetworks"
    projects.mkdir()
    monkeypatch.setenv("HYPERNET_PROJECTS", str(projects))
    for name in ("NO_COLOR", "COLORTERM", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    with counting_run(projects) as folder:
        yield folder


def watched(terminal: Terminal) -> bytes:
    """Open the run by keys, look at it, pause it, and leave; return all that was sent."""
    terminal.sees("Running", "gollum")
    sent = terminal.seen
    terminal.press(b"\r")
    terminal.sees("a step", "loss", "CPU", "leave (the run goes on)")
    sent += terminal.seen
    terminal.press(b"p")
    terminal.sees("paused", "command taken: pause")
    sent += terminal.seen
    terminal.press(b"\x11")
    assert terminal.end() == 0
    return sent


def test_a_linux_console_gets_its_own_font_and_sixteen_colours(run: RunFolder) -> None:
    sent = watched(Terminal(over={"TERM": "linux"}))
    text = sent.decode()
    assert COLOURS.search(sent)
    assert not MANY_COLOURS.search(sent)
    assert not re.search("[\u2800-\u28ff▸◂…]", text)
    assert "█" in text or "░" in text
    assert glance(run).status is Status.PAUSED


def test_a_plain_xterm_works_with_few_colours(run: RunFolder) -> None:
    sent = watched(Terminal(over={"TERM": "xterm"}))
    assert not MANY_COLOURS.search(sent)
    assert glance(run).status is Status.PAUSED


def test_no_color_sends_attributes_only(run: RunFolder) -> None:
    sent = watched(Terminal(over={"NO_COLOR": "1"}))
    assert not COLOURS.search(sent)
    assert re.search(rb"\x1b\[[0-9;]*7[;m]", sent), "what is chosen is drawn in reverse"
    assert glance(run).status is Status.PAUSED


def test_ascii_sends_nothing_else_to_the_terminal(run: RunFolder) -> None:
    assert watched(Terminal([*WIZARD, "--ascii"])).isascii()
    assert glance(run).status is Status.PAUSED


@pytest.mark.skipif(shutil.which("screen") is None, reason="screen is not installed")
def test_it_works_in_screen_and_survives_its_detaching(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = tmp_path / "screens"
    sockets.mkdir(mode=0o700)
    monkeypatch.setenv("SCREENDIR", str(sockets))
    name = f"w{uuid.uuid4().hex[:8]}"
    first = Terminal(["screen", "-U", "-c", "/dev/null", "-S", name, *WIZARD])
    try:
        first.sees("Running", "gollum")
        first.press(b"\r")
        first.sees("a step", "leave (the run goes on)")
        # Ctrl+A d detaches; the wizard stays where it is, as it has its own terminal there.
        first.press(b"\x01d")
        first.end()
        again = Terminal(["screen", "-U", "-c", "/dev/null", "-r", name])
        again.sees("gollum", "running", "leave (the run goes on)")
        again.press(b"p")
        again.sees("command taken: pause")
        again.press(b"\x11")
        again.end()
    finally:
        subprocess.run(["screen", "-S", name, "-X", "quit"], capture_output=True, check=False, env=dict(os.environ))
    assert glance(run).status is Status.PAUSED


def fills(rows: list[str], height: int) -> bool:
    """Tell whether the run's screen takes exactly so many rows, from its head to its keys."""
    is_whole = len(rows) == height and rows[0].startswith("  gollum  running  step ")
    return is_whole and any(word in rows[-1] for word in ("leave", "the run goes"))


@needs_tmux
def test_sizes_change_while_it_runs_whatever_the_shell_exports(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    terminal = Tmux()
    try:
        terminal.sees("▸ gollum  running")
        terminal.press("Enter")
        terminal.sees("a step")
        for width, height in [(200, 60), (100, 30), (40, 10), (80, 24)]:
            terminal.resize(width, height)
            terminal.until(lambda rows, height=height: fills(rows, height))
            assert max(map(len, terminal.screen().splitlines())) <= width
            if height >= 24:
                terminal.sees("loss ", "CPU ", "└", "started on")
        terminal.press("Escape")
        terminal.sees("▸ gollum  running")
    finally:
        terminal.end()
