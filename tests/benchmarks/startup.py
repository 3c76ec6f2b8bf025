"""How long a person waits for `hypernet --help`, and for a run with 100,000 events to show itself."""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

from tests.benchmarks.figures import Figure, Took, alternate, take_time
from trainer.run.events import EventWriter, read_events
from trainer.run.folder import RunFolder
from trainer.run.identity import Identity
from trainer.run.state import replay

EVENTS = 100_000
HELP_GOAL_S, ATTACH_GOAL_S = 0.3, 1.0
_BEGUN_T, _STEP_S = 1.8e9, 0.5


def measure_startup(quick: bool = False) -> list[Figure]:
    """Measure whole processes, from their start to their end, and reading a run within a process."""
    rounds, num_events = (1, 2_000) if quick else (9, EVENTS)
    with tempfile.TemporaryDirectory() as name:
        folder = write_long_run(Path(name) / "long", num_events)
        run = str(folder.path)
        found = alternate(
            {
                "python": _process([sys.executable, "-c", "pass"]),
                "help": _process([*_hypernet(), "--help"]),
                "status": _process([*_hypernet(), "status", run]),
                "attach": _process([*_hypernet(), "attach", run]),
                "attach_all": _process([*_hypernet(), "attach", "--all", run]),
                "replay": lambda: take_time(lambda: replay(read_events(folder.events_file))),
            },
            rounds,
        )

    def figure(name: str, what: str, at_most: float | None = None, note: str = "") -> Figure:
        return Figure(what, "s", tuple(took.wall_s for took in found[name]), at_most, note)

    helps, bare, of = found["help"], found["python"], f"{num_events:,} events"
    return [
        figure("help", "hypernet --help", HELP_GOAL_S),
        Figure("hypernet --help, CPU time", "s", tuple(took.cpu_s for took in helps), note="a check"),
        figure("python", "an empty Python", note="to compare with"),
        Figure(
            "--help ÷ an empty Python", "ratio", tuple(h.wall_s / b.wall_s for h, b in zip(helps, bare, strict=True))
        ),
        figure("status", f"hypernet status, {of}", ATTACH_GOAL_S),
        figure("attach", f"hypernet attach, {of}", ATTACH_GOAL_S, "until its last lines are printed"),
        figure("attach_all", f"hypernet attach --all, {of}", note="tells the whole story"),
        figure("replay", f"reading and replaying {of}", ATTACH_GOAL_S, "what a viewer does to draw curves"),
    ]


def write_long_run(root: Path, num_events: int) -> RunFolder:
    """Write the folder of a finished run as a worker leaves it: mostly steps, some validations, files and gauges."""
    folder = RunFolder.create(root / "output", "long", date(2026, 11, 23))
    ticks = iter(range(num_events + 1))
    with EventWriter(folder.events_file, clock=lambda: _BEGUN_T + _STEP_S * next(ticks)) as writer:
        writer.emit("started", **asdict(Identity.own()), steps_total=num_events, resumed_at_step=None)
        writer.emit("phase", name="training", done=0, total=num_events)
        for step in range(1, num_events - 2):
            _emit(writer, step)
        writer.emit("finished", step=num_events, seconds=_STEP_S * num_events, paths=["long.pt"], best_step=100)
    return folder


def _emit(writer: EventWriter, number: int) -> None:
    if number % 100 == 0:
        writer.emit("validated", step=number, held_out=0.15 + 1 / number, training=0.14 + 1 / number, best=True)
    elif number % 100 == 1:
        writer.emit("saved", step=number, path=f"hypernetworks/long-{number}.pt")
    elif number % 10 == 5:
        writer.emit("heartbeat")
    else:
        writer.emit(
            "step",
            step=number,
            loss=0.1 + (number * 2_654_435_761 % 2**32) / 2**33,
            learning_rate=1e-5,
            grad_norm=0.01234567890123,
            seconds=0.4987654321,
            vram_bytes=None,
        )


def _hypernet() -> list[str]:
    script = Path(sys.executable).with_name("hypernet")
    return [str(script)] if script.exists() else [sys.executable, "-m", "trainer.cli.main"]


def _process(command: list[str]) -> Callable[[], Took]:
    def run() -> Took:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = take_time(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Took(took.wall_s, cpu_s)

    return run
