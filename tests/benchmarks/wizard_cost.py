"""What the wizard costs the training that it shows: one demo training, watched and alone by turns."""

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.benchmarks.figures import Figure
from tests.benchmarks.wizard import only_projects
from tests.support.terminals import Terminal
from trainer.run.events import read_events
from trainer.run.folder import RunFolder
from trainer.run.status import glance

COST_GOAL = 0.01
SETTLE_S = 6.0
"""For the wizard to load all that it loads ahead."""
WAKE_S = 0.5
"""A wizard that was stopped catches up first."""
FEWEST_STEPS = 3
"""Of a turn, which is longer where the machine has much else to do."""


def measure_cost(quick: bool = False) -> list[Figure]:
    """Measure the pace of a training while the wizard shows it and while it is stopped.

    Turns are short and in the order alone, watched, watched, alone, so that a machine that grows slower or faster
    meanwhile favours neither.
    """
    rounds, seconds = (1, 2.0) if quick else (12, 3.5)
    costs, noise, shares = [], [], []
    with (
        tempfile.TemporaryDirectory() as name,
        only_projects(Path(name) / "hypernetworks"),
        _training() as folder,
        _watching() as viewer,
    ):

        def alone() -> float:
            viewer.send_signal(signal.SIGSTOP)
            time.sleep(WAKE_S)
            return _pace(folder, seconds)

        def watched() -> float:
            viewer.send_signal(signal.SIGCONT)
            time.sleep(WAKE_S)
            begun, begun_s = viewer.cpu_times(), time.perf_counter()
            pace = _pace(folder, seconds)
            ended, passed_s = viewer.cpu_times(), time.perf_counter() - begun_s
            shares.append((ended.user + ended.system - begun.user - begun.system) / passed_s)
            return pace

        for _ in range(rounds):
            before, first, second, after = alone(), watched(), watched(), alone()
            costs.append((first + second) / (before + after) - 1)
            noise.append(after / before - 1)
    return [
        Figure("demo training: what the attached wizard costs its speed", "share", tuple(costs), COST_GOAL),
        Figure("the same between two turns alone", "share", tuple(noise), note="what the machine does by itself"),
        Figure("processor time of the wizard while it follows", "share", tuple(shares), note="of one core"),
    ]


@contextmanager
def _training() -> Iterator[RunFolder]:
    """Train the demo, without an end to it and without previews, until told otherwise."""
    from trainer.demo.job import prepare_demo
    from trainer.run.control import send
    from trainer.start import start_run

    project = prepare_demo(lambda line: None)
    seldom = {"every": 10**6}
    config = project.settings(
        {}, {"training": {"steps": 10**6}, "save": seldom, "preview": seldom, "validation": seldom}
    )
    folder = start_run(project, config)
    try:
        _until(lambda: glance(folder).state.step >= 20)
        yield folder
    finally:
        send(folder, "stop")
        with suppress(TimeoutError):
            _until(lambda: not glance(folder).status.is_live)


@contextmanager
def _watching() -> Iterator[psutil.Process]:
    """Open the wizard on the run and let it settle."""
    terminal = Terminal()
    stop = threading.Event()
    reader = threading.Thread(target=_drain, args=(terminal, stop))
    viewer = psutil.Process(terminal.pid)
    try:
        terminal.sees("demo", "running")
        terminal.press(b"\r")
        terminal.sees("a step")
        reader.start()
        time.sleep(SETTLE_S)
        yield viewer
    finally:
        viewer.send_signal(signal.SIGCONT)
        stop.set()
        if reader.is_alive():
            reader.join()
        terminal.hang_up()


def _drain(terminal: Terminal, stop: threading.Event) -> None:
    while not stop.is_set():
        terminal.read(0.2)


def _pace(folder: RunFolder, seconds: float) -> float:
    """Return the mean seconds from one step to the next, from now on."""
    begun, ends = time.time(), list[float]()
    while len(ends) < FEWEST_STEPS:
        time.sleep(seconds)
        ends = [event["t"] for event in read_events(folder.events_file) if event["kind"] == "step"]
        ends = [end for end in ends if end > begun]
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def _until(condition: Callable[[], bool], patience_s: float = 600.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)
