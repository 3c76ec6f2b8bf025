"""How soon the wizard paints, whether it ever blocks, and how often it redraws."""

import asyncio
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.benchmarks.figures import Figure, Took
from tests.benchmarks.startup import write_long_run
from tests.benchmarks.wizard_opening import DOCTOR, longest_block, opening
from tests.support.terminals import Terminal
from trainer.errors import AppError
from trainer.project import create_project
from trainer.run.events import EventWriter
from trainer.run.folder import RunFolder
from trainer.run.lock import RunLock, kill_worker, process_identity

PAINT_GOAL_S, LAG_GOAL_S, REDRAW_GOAL_S = 0.5, 0.1, 1.1
EVENTS, PICTURES = 100_000, 10_000
SCREENS = ("folders", "crop", "caption", "settings", "review", DOCTOR)
STEPS_A_SECOND = 20


def measure_wizard(quick: bool = False) -> list[Figure]:
    """Measure whole processes in a pseudo-terminal, and the event loop within this process."""
    rounds, num_events, num_pictures, seconds = (1, 2_000, 100, 3.0) if quick else (9, EVENTS, PICTURES, 12.0)
    with tempfile.TemporaryDirectory() as name, only_projects(Path(name) / "hypernetworks") as projects:
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
        root = _large_project(Path(name), projects, num_pictures)
        screens = SCREENS[:1] if quick else SCREENS
        opened = {screen: [_open(root, screen) for _ in range((rounds + 2) // 3)] for screen in screens}
    of = f"a live run of {num_events:,} events"
    return [
        Figure("hypernet: from the command to the first frame", "s", _walls(paints), PAINT_GOAL_S, "imports included"),
        Figure("its CPU time", "s", _cpus(paints), note="a check, on a busy machine"),
        Figure(f"longest block of the interface, {of}", "s", _walls(blocks), LAG_GOAL_S, "opening it, then following"),
        Figure("CPU time of the longest block", "s", _cpus(blocks), note="a check, on a busy machine"),
        *(
            Figure(
                f"longest block, opening {screen} with {num_pictures:,} pictures",
                "s",
                _walls(blocks),
                LAG_GOAL_S,
                f"CPU time {statistics.median(_cpus(blocks)):.3f} s",
            )
            for screen, blocks in opened.items()
        ),
        Figure(f"from one redraw to the next, {of}", "s", tuple(intervals), REDRAW_GOAL_S),
    ]


def _walls(samples: Sequence[Took]) -> tuple[float, ...]:
    return tuple(took.wall_s for took in samples)


def _cpus(samples: Sequence[Took]) -> tuple[float, ...]:
    return tuple(took.cpu_s for took in samples)


@contextmanager
def only_projects(root: Path) -> Iterator[Path]:
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
    from tui.messages import RunChosen
    from tui.widgets.line import Line

    drawn: list[float] = []

    def note(line: Line, text: str) -> None:
        if line.id == "head" and text != getattr(line, "_text", ""):
            drawn.append(time.perf_counter())
        say(line, text)

    say = Line.say
    Line.say = note  # type: ignore[method-assign]
    try:
        with RunLock(folder), EventWriter(folder.events_file) as events, _stepping(events):
            block = await longest_block(RunChosen(folder), seconds)
    finally:
        Line.say = say  # type: ignore[method-assign]
    steady = drawn[len(drawn) // 2 :]
    return block, [later - earlier for earlier, later in itertools.pairwise(steady)]


def _large_project(folder: Path, projects: Path, num_pictures: int) -> Path:
    """Make a project of many pictures, all of them the same small one, half of them with a caption."""
    from PIL import Image

    (folder / "pictures").mkdir()
    project = create_project("large", folder / "pictures", "model.safetensors", root=projects)
    for pictures in (project.pictures, project.processed):
        pictures.mkdir(exist_ok=True)
        first = pictures / "00000-0-a.png"
        Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(first)
        for number in range(1, num_pictures):
            os.link(first, pictures / f"{number:05}-0-a.png")
    for number in range(num_pictures // 2):
        (project.processed / f"{number:05}-0-a.txt").write_text("a portrait of an old man, in oil")
    return project.root


def _open(root: Path, screen: str) -> Took:
    """Open a screen; where it begins to look at pictures, that goes on beside it and is ended afterwards."""
    from trainer.run.jobs import live_job

    took = opening(root, screen)
    job = live_job(root, "check")
    if job is not None:
        with suppress(AppError):  # it ended just now
            kill_worker(job)
    return took


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
