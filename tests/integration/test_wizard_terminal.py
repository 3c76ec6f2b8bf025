"""The wizard dies with its terminal; the worker that it watches doesn't."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminals import PATIENCE_S, WIZARD, Terminal
from tests.tui.counting import counting_run
from trainer.run.folder import RunFolder
from trainer.run.lock import owner
from trainer.run.status import Status, glance
from tui.feed import RunFeed


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    """A live run of a worker that counts."""
    projects = tmp_path / "hypernetworks"
    projects.mkdir()
    monkeypatch.setenv("HYPERNET_PROJECTS", str(projects))
    with counting_run(projects) as folder:
        yield folder


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


def test_the_demo_opens_the_wizard_with_its_project_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERNET_PROJECTS", str(tmp_path))
    terminal = Terminal([*WIZARD, "demo"])
    terminal.sees("1 Folders", "2 Crop", "the demo model", "20 pictures")
    terminal.press(b"\x11")
    assert terminal.end() == 0
    assert len(list((tmp_path / "demo" / "processed").glob("*.txt"))) == 20
