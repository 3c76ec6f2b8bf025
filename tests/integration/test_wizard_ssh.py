"""The wizard through a real `ssh -tt`: a connection that dies takes the viewer along and leaves the training."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.projects import photo_project
from tests.support.sshd import Server, why_no_server
from tests.support.terminals import PATIENCE_S, WIZARD, Tmux, needs_tmux, own_environment
from trainer.run.events import read_events
from trainer.run.folder import RunFolder, find_runs
from trainer.run.lock import kill_worker, owner
from trainer.run.status import Status, glance

pytestmark = [needs_tmux, pytest.mark.skipif(bool(why_no_server()), reason=why_no_server() or "there is one")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "sshd")
    yield server
    server.end()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of real photographs, ready for a training that takes longer than the test."""
    seldom = {"every": 50_000}
    settings = {"training": {"steps": 100_000}, "save": seldom, "preview": seldom, "validation": seldom}
    project = photo_project(tmp_path, 6).update(settings=settings)
    monkeypatch.setenv("HYPERNET_PROJECTS", str(project.root.parent))
    yield project.root
    for run in find_runs(project.root):
        if glance(run).status.is_live:
            kill_worker(run)


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[[], Tmux]]:
    """Connects by ssh, in a terminal of its own each time, and opens the wizard there."""
    opened: list[Tmux] = []
    remote = ["cd", str(Path(__file__).parents[2]), "&&", "exec", "env", *own_environment(), *WIZARD]

    def connect() -> Tmux:
        opened.append(Tmux(server.client(remote)))
        return opened[-1]

    yield connect
    for terminal in opened:
        terminal.end()


def eventually(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"{what}: waited in vain"
        time.sleep(0.05)


def goes_on(run: RunFolder, worker: int) -> int:
    """Wait until the same worker has made more steps; return how many."""
    step = glance(run).state.step
    eventually(lambda: glance(run).state.step > step, "the run goes on")
    holder = owner(run)
    assert holder is not None
    assert (holder.pid, holder.is_alive) == (worker, True)
    return glance(run).state.step


def reconnected(terminal: Tmux, step: int) -> None:
    """See in a new connection that the run goes on beyond a step, with its past from the beginning."""
    terminal.sees("▸ photos  running  step ")
    terminal.press("Enter")
    screen = terminal.sees("photos  running  step ", "/ 100,000", "seed ", "└", "Ctrl+Q leave (the run goes on)")
    shown = int(screen.partition("step ")[2].partition(" /")[0].replace(",", ""))
    assert shown >= step
    terminal.press("l")
    terminal.sees("the run's story", "started on", "command taken: preview", "preview images/photos-")


def test_a_cut_connection_ends_the_viewer_and_never_the_training(
    project: Path, server: Server, connect: Callable[[], Tmux]
) -> None:
    first = connect()
    first.sees("▸ photos", "captioned")
    first.press("t")
    first.sees("Train photos?")
    first.press("y")
    first.sees("photos  running  step ", "s a step", "loss ")
    first.press("v")
    first.sees("command taken: preview", "preview images/photos-")
    [run] = find_runs(project)
    eventually(lambda: glance(run).state.step >= 8, "the first steps")
    holder = owner(run)
    assert holder is not None

    [viewer] = server.viewers()
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: not viewer.is_running() or viewer.status() == psutil.STATUS_ZOMBIE, "the viewer dies")
    step = goes_on(run, holder.pid)

    second = connect()
    reconnected(second, step)
    [viewer] = server.viewers()
    server.session_of(viewer).kill()
    eventually(lambda: not viewer.is_running() or viewer.status() == psutil.STATUS_ZOMBIE, "the viewer dies")
    step = goes_on(run, holder.pid)

    third = connect()
    reconnected(third, step)
    third.press("Escape")
    third.sees("photos  running  step ")
    third.press("x")
    third.sees("Stop the run?")
    third.press("y")
    third.sees("photos  stopped", "r resume")
    assert glance(run).status is Status.STOPPED
    steps = [event["step"] for event in read_events(run.events_file) if event["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    assert [event["kind"] for event in read_events(run.events_file)].count("started") == 1
