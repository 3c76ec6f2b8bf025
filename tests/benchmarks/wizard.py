"""How soon the wizard paints, whether it ever blocks, how often it redraws, and what it costs the training it shows."""

import asyncio
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.benchmarks.figures import Figure, Took
from tests.benchmarks.startup import write_long_run
from tests.support.terminals import Terminal
from trainer.run.events import EventWriter, read_events
from trainer.run.folder import RunFolder
from trainer.run.lock import RunLock, process_identity
from trainer.run.status import glance

PAINT_GOAL_S, LAG_GOAL_S, REDRAW_GOAL_S, COST_GOAL = 0.5, 0.1, 1.1, 0.01
EVENTS = 100_000
TICK_S = 0.01
STEPS_A_SECOND = 20


def measure_wizard(quick: bool = False) -> list[Figure]:
    """Measure whole processes in a pseudo-terminal, and the event loop within this process."""
    rounds, num_events, seconds = (1, 2_000, 3.0) if quick else (9, EVENTS, 12.0)
    with tempfile.TemporaryDirectory() as name, _projects(Path(name) / "hypernetworks") as projects:
        _paint()
        paints = [_paint() for _ in range(rounds)]
        blocks: list[Took] = []
        intervals: list[float] = []
        for number in range(1 if quick else 3):
            folder = _live_run(projects, f"long{number}", num_events)
            block, gaps = asyncio.run(_follow(folder, seconds))
            blocks.append(block)
            intervals += gaps
            folder.lock_file.unlink()
    of = f"a live run of {num_events:,} events"
    return [
        Figure("hypernet: from the command to the first frame", "s", _walls(paints), PAINT_GOAL_S, "imports included"),
        Figure("its CPU time", "s", _cpus(paints), note="a check, on a busy machine"),
        Figure(f"longest block of the interface, {of}", "s", _walls(blocks), LAG_GOAL_S, "opening it, then following"),
        Figure("CPU time of the longest block", "s", _cpus(blocks), note="a check, on a busy machine"),
        Figure(f"from one redraw to the next, {of}", "s", tuple(intervals), REDRAW_GOAL_S),
    ]


def measure_cost(quick: bool = False) -> list[Figure]:
    """Measure the pace of one demo training while the wizard shows it and while nobody watches, by turns."""
    turns, seconds = (1, 3.0) if quick else (7, 15.0)
    shares, ratios = [], []
    with tempfile.TemporaryDirectory() as name, _projects(Path(name) / "hypernetworks"), _training() as folder:
        for _ in range(turns):
            alone = _pace(folder, seconds)
            with _watched() as viewer:
                begun = viewer.cpu_times()
                watched = _pace(folder, seconds)
                ended = viewer.cpu_times()
            shares.append((ended.user + ended.system - begun.user - begun.system) / seconds)
            ratios.append(watched / alone - 1)
    return [
        Figure("demo training: what the attached wizard costs its speed", "share", tuple(ratios), COST_GOAL),
        Figure("processor time of the wizard while it follows", "share", tuple(shares), note="of one core"),
    ]


def _walls(samples: Sequence[Took]) -> tuple[float, ...]:
    return tuple(took.wall_s for took in samples)


def _cpus(samples: Sequence[Took]) -> tuple[float, ...]:
    return tuple(took.cpu_s for took in samples)


@contextmanager
def _projects(root: Path) -> Iterator[Path]:
    """Let the wizard see an empty folder of projects only."""
    root.mkdir()
    before = os.environ.get("HYPERNET_PROJECTS")
    os.environ["HYPERNET_PROJECTS"] = str(root)
    try:
        yield root
    finally:
        os.environ.pop("HYPERNET_PROJECTS")
        if before is not None:
            os.environ["HYPERNET_PROJECTS"] = before


def _paint() -> Took:
    begun = time.perf_counter()
    terminal = Terminal()
    terminal.sees("Hypernet Wizard")
    wall_s, used = time.perf_counter() - begun, psutil.Process(terminal.pid).cpu_times()
    terminal.hang_up()
    return Took(wall_s, used.user + used.system)


def _live_run(projects: Path, name: str, num_events: int) -> RunFolder:
    """Write a long run that has not ended."""
    root = projects / name
    root.mkdir()
    (root / "project.toml").write_text(f'name = "{name}"\npictures = ""\n')
    written = write_long_run(root, num_events)
    lines = written.events_file.read_bytes().splitlines(keepends=True)
    written.events_file.write_bytes(b"".join(lines[:-1]))
    written.config_file.write_text(f'name = "{name}"\n[training]\nsteps = {2 * num_events}\n')
    return written


async def _follow(folder: RunFolder, seconds: float) -> tuple[Took, list[float]]:
    """Open a run in the wizard and follow it; return the longest block and the times between redraws."""
    from tui.app import WizardApp
    from tui.messages import RunChosen
    from tui.widgets.line import Line

    app, drawn, walls, cpus = WizardApp(), [], [0.0], [0.0]

    def note(line: Line, text: str) -> None:
        if line.id == "head" and text != getattr(line, "_text", ""):
            drawn.append(time.perf_counter())
        say(line, text)

    say = Line.say
    Line.say = note  # type: ignore[method-assign]
    try:
        with RunLock(folder), EventWriter(folder.events_file) as events, _stepping(events):
            async with app.run_test(size=(80, 24)):
                app.post_message(RunChosen(folder))
                end = time.perf_counter() + seconds
                while (now := time.perf_counter()) < end:
                    used = time.thread_time()
                    await asyncio.sleep(TICK_S)
                    walls.append(time.perf_counter() - now - TICK_S)
                    cpus.append(time.thread_time() - used)
    finally:
        Line.say = say  # type: ignore[method-assign]
    steady = drawn[len(drawn) // 2 :]
    return Took(max(walls), max(cpus)), [later - earlier for earlier, later in itertools.pairwise(steady)]


@contextmanager
def _stepping(events: EventWriter) -> Iterator[None]:
    """Write steps as a worker does."""
    ended = threading.Event()
    events.emit("started", **process_identity(), steps=10**6, resumed_at_step=None)

    def work() -> None:
        step = 10**5
        while not ended.wait(1 / STEPS_A_SECOND):
            step += 1
            events.emit("step", step=step, loss=0.1, learning_rate=1e-5, grad_norm=0.01, seconds=1 / STEPS_A_SECOND)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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
def _watched() -> Iterator[psutil.Process]:
    """Open the wizard on the run and let it settle."""
    terminal = Terminal()
    terminal.sees("demo", "running")
    terminal.press(b"\r")
    terminal.sees("a step")
    stop = threading.Event()
    reader = threading.Thread(target=_drain, args=(terminal, stop))
    reader.start()
    time.sleep(2.0)
    try:
        yield psutil.Process(terminal.pid)
    finally:
        stop.set()
        reader.join()
        terminal.hang_up()


def _drain(terminal: Terminal, stop: threading.Event) -> None:
    while not stop.is_set():
        terminal.read(0.2)


def _pace(folder: RunFolder, seconds: float) -> float:
    """Return the median seconds of the steps made from now on."""
    begun = time.time()
    time.sleep(seconds)
    told = [e for e in read_events(folder.events_file) if e["kind"] == "step" and begun < e["t"] < begun + seconds]
    return statistics.median(event["seconds"] for event in told)


def _until(condition: Callable[[], bool], patience_s: float = 600.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)
