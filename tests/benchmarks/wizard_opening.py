"""How long the wizard's interface is blocked when something is opened.

`python -m tests.benchmarks.wizard_opening PROJECT SCREEN` measures one screen in a process of its own, as a user has
it, and prints seconds of wall-clock and of processor time.
"""

import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path

from textual.message import Message

from tests.benchmarks.figures import Took
from trainer.project import open_project

SETTLE_S = 3.0
"""On Home, before anything is opened: a person looks before they press a key."""
WATCHED_S = 6.0
TICK_S = 0.01
DOCTOR = "doctor"


def opening(root: Path, screen: str) -> Took:
    """Return the longest block of a process that opens a step's screen of a project, or the doctor's."""
    command = [sys.executable, "-m", "tests.benchmarks.wizard_opening", str(root), screen]
    wall_s, cpu_s = map(float, subprocess.check_output(command, text=True).split())
    return Took(wall_s, cpu_s)


async def longest_block(what: Message | str, seconds: float) -> Took:
    """Post a message to the wizard or do one of its actions; return how long its interface was blocked at most."""
    from tui.app import WizardApp

    gc.disable()  # as the command does; the wizard turns it on
    app, walls, cpus = WizardApp(), [0.0], [0.0]
    async with app.run_test(size=(80, 24)):
        await asyncio.sleep(SETTLE_S)
        if isinstance(what, str):
            app.call_later(app.run_action, what)
        else:
            app.post_message(what)
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            used = time.thread_time()
            await asyncio.sleep(TICK_S)
            walls.append(time.perf_counter() - now - TICK_S)
            cpus.append(time.thread_time() - used)
    return Took(max(walls), max(cpus))


def main() -> None:
    """Measure and print."""
    from tui.messages import JourneyWanted

    root, screen = Path(sys.argv[1]), sys.argv[2]
    what = DOCTOR if screen == DOCTOR else JourneyWanted(open_project(root), screen)
    took = asyncio.run(longest_block(what, WATCHED_S))
    print(took.wall_s, took.cpu_s)


if __name__ == "__main__":
    main()
