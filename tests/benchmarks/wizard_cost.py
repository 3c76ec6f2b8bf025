"""What the wizard costs the training that it shows: steps under way while it draws, and steps halfway between.

A machine's speed drifts by more than the wizard costs, from one minute to the next and from one second to the next.
So each redraw is compared with the same training between it and the next one, hundreds of times.
"""

import bisect
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.benchmarks.figures import Figure
from tests.benchmarks.wizard import only_projects
from tests.support.terminals import Terminal
from trainer.run.control import send
from trainer.run.events import read_events
from trainer.run.folder import RunFolder
from trainer.run.status import glance

COST_GOAL = 0.01
SETTLE_S = 6.0
"""For the wizard to load all that it loads ahead."""
BEFORE_S, AFTER_S = 0.15, 0.05
"""A redraw reaches the terminal at most so long after the wizard woke up for it, and is over so long after."""
APART_S = 0.5
"""What comes sooner after a redraw than this belongs to it."""


def measure_cost(quick: bool = False) -> list[Figure]:
    """Measure how much longer steps take while the wizard reads and draws, and how much of a core it takes itself."""
    parts, seconds = (1, 8.0) if quick else (10, 30.0)
    costs, shares, redraws = [], [], 0
    with (
        tempfile.TemporaryDirectory() as name,
        only_projects(Path(name) / "hypernetworks"),
        _training() as folder,
        _watching() as (viewer, drawn),
    ):
        for _ in range(parts):
            begun, used = time.time(), viewer.cpu_times()
            time.sleep(seconds)
            ended, used_later = time.time(), viewer.cpu_times()
            shares.append((used_later.user + used_later.system - used.user - used.system) / (ended - begun))
            moments = [moment for moment in _bursts(drawn) if begun < moment < ended - 2 * APART_S]
            redraws += len(moments)
            costs.append(cost_of(moments, _step_ends(folder)))
    return [
        Figure(
            "demo training: what the attached wizard costs its speed",
            "share",
            tuple(costs),
            COST_GOAL,
            f"{redraws} redraws; mean {statistics.mean(costs):.2%} ± {_error(costs):.2%}",
        ),
        Figure("processor time of the wizard while it follows", "share", tuple(shares), note="of one core"),
    ]


def cost_of(redraws: Sequence[float], step_ends: Sequence[float]) -> float:
    """Return what share of its time a training loses to redraws, both given as moments in UTC seconds.

    Steps under way at a redraw are compared with those under way between that redraw and the next.
    """
    usual = statistics.median(end - begin for begin, end in itertools.pairwise(step_ends))

    def lost(moment: float) -> float:
        first = bisect.bisect_left(step_ends, moment - BEFORE_S)
        last = bisect.bisect_left(step_ends, moment + AFTER_S)
        ends = step_ends[max(0, first - 1) : last + 1]
        return sum(end - begin - usual for begin, end in itertools.pairwise(ends))

    gaps = [(moment, later) for moment, later in itertools.pairwise(redraws)]
    differences = [lost(moment) - lost((moment + later + AFTER_S + BEFORE_S) / 2) for moment, later in gaps]
    return sum(differences) / (redraws[-1] - redraws[0])


def _error(samples: Sequence[float]) -> float:
    """Return the standard error of a mean."""
    return statistics.stdev(samples) / len(samples) ** 0.5 if len(samples) > 1 else float("nan")


def _bursts(moments: Sequence[float]) -> list[float]:
    """Return the first moment of each redraw."""
    firsts: list[float] = []
    for moment in list(moments):
        if not firsts or moment - firsts[-1] >= APART_S:
            firsts.append(moment)
    return firsts


def _step_ends(folder: RunFolder) -> list[float]:
    return [event["t"] for event in read_events(folder.events_file) if event["kind"] == "step"]


@contextmanager
def _training() -> Iterator[RunFolder]:
    """Train the demo, without an end to it and without previews, until told otherwise."""
    from trainer.demo.job import prepare_demo
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
def _watching() -> Iterator[tuple[psutil.Process, list[float]]]:
    """Open the wizard on the run and let it settle; the list grows by each moment at which something was drawn."""
    terminal = Terminal()
    stop, drawn = threading.Event(), list[float]()

    def note() -> None:
        while not stop.is_set():
            length = len(terminal.seen)
            terminal.read(0.2)
            if len(terminal.seen) != length:
                drawn.append(time.time())

    reader = threading.Thread(target=note)
    try:
        terminal.sees("demo", "running")
        terminal.press(b"\r")
        terminal.sees("a step")
        reader.start()
        time.sleep(SETTLE_S)
        yield psutil.Process(terminal.pid), drawn
    finally:
        stop.set()
        if reader.is_alive():
            reader.join()
        terminal.hang_up()


def _until(condition: Callable[[], bool], patience_s: float = 600.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)
