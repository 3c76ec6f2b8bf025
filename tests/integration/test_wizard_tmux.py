"""The wizard in a real terminal, tmux, by keys alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminals import Tmux, needs_tmux
from tests.tui.counting import counting_run
from trainer.run.folder import RunFolder
from trainer.run.status import Status, glance

pytestmark = needs_tmux


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
    terminal = Tmux()
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
    tmux.press("x", "BSpace", "BSpace", "7", "Enter", "Enter")
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
    again = Tmux()
    try:
        again.sees("▸ gollum  running")
        again.press("Enter")
        again.sees("gollum  running  step ", "started on")
        assert glance(run).state.step > step
    finally:
        again.end()
