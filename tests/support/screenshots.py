"""Makes docs/screens/*.svg from the real program on real runs of the demo: `python -m tests.support.screenshots`.

Takes some minutes: a whole demo training, and one that runs out of memory on purpose.
"""

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.tui import walk
from tests.tui.walk import Walker
from trainer.demo.job import prepare_demo
from trainer.run.control import send
from trainer.run.folder import find_runs
from trainer.run.lock import kill_worker
from trainer.run.status import glance
from trainer.start import start_run
from tui.app import WizardApp

SIZE = (100, 30)
OUT = Path(__file__).resolve().parents[2] / "docs" / "screens"
PATIENCE_S = 900
SHOWN_STEP = 150
"""The step from which on the running training makes a good picture."""
ROOMY = {"memory": {"vram_limit": "64MiB"}, "recovery": {"on_oom": "ask", "answer_s": 600.0, "probe": "never"}}
TIGHT = "memory.vram_limit=33MiB"
"""What all four pictures at once don't fit into."""


class Album:
    """Walks through the wizard and keeps what it sees."""

    def __init__(self, walker: Walker) -> None:
        self.walker = walker

    async def sees(self, *texts: str) -> None:
        """Wait until texts are there."""
        await self.walker.sees(*texts)

    async def press(self, *keys: str) -> None:
        """Press keys."""
        await self.walker.press(*keys)

    async def keep(self, name: str, *texts: str) -> None:
        """Wait until texts are there, and save the screen."""
        await self.walker.sees(*texts)
        await asyncio.sleep(1.5)
        OUT.mkdir(parents=True, exist_ok=True)
        svg = self.walker.app.export_screenshot(title="hypernet")
        # The drawing's own ids change with its content; without them a new picture differs only where it looks new.
        (OUT / f"{name}.svg").write_text(re.sub(r"terminal-\d+", f"terminal-{name}", svg), encoding="utf-8")
        print(f"{name}.svg", flush=True)


async def steps(album: Album) -> None:
    """From the welcome to a training under way."""
    await album.keep("welcome", "Welcome.", "the demo")
    await album.press("d")
    await album.keep("folders", "Folders ●", "the demo model", "20 pictures")
    await album.press("ctrl+n")
    await album.keep("crop", "Crop ●", "16 fine", "▀")
    await album.press("ctrl+n")
    await album.keep("caption", "Caption ●", "20 captioned", "▀")
    await album.press("ctrl+n")
    await album.keep("settings", "Settings ●", "fits")
    await album.press("ctrl+n")
    await album.keep("review", "Review ●", "Start training")
    await album.press("enter")
    await album.sees("demo  ", "step ")
    await album.walker.until(lambda: _step(album.walker) >= SHOWN_STEP)
    await album.keep("train", "held out", "▀", "leave (the run goes on)")


async def around(album: Album) -> None:
    """What can be opened while it trains, and what came of it."""
    await album.press("f1")
    await album.keep("help", "How a run goes")
    await album.press("escape", "l")
    await album.keep("log", "the run's story")
    await album.press("escape", "ctrl+p")
    await album.keep("commands", "Search for commands")
    await album.press("escape", "f2")
    await album.keep("doctor", "GPU", "torch  ", "a sample")
    await album.press("escape", "escape")
    await album.keep("home", "Running", "demo", "Projects")
    await album.press("enter")
    await album.sees("demo  finished", "u results")
    await album.press("u")
    await album.keep("results", "finished: ", "★", "▀")
    await album.press("g")
    await album.sees("Strengths")
    await album.press("ctrl+n")
    await album.sees("grid of")
    await album.walker.misses(" drawn")
    await album.walker.misses("drawing")
    await album.keep("grid", "▀", "▸")


async def recovery(album: Album) -> None:
    """A run that is held to too little memory on purpose."""
    await album.sees("needs you")
    await album.press("enter")
    await album.keep("recover", "out of memory", "best")


def main() -> int:
    """Make all pictures."""
    walk.PATIENCE_S = PATIENCE_S
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "hypernetworks"
    root.mkdir(parents=True, exist_ok=True)
    os.environ.update(HYPERNET_PROJECTS=str(root), TERM="xterm-256color", COLORTERM="truecolor")
    try:
        _walk(steps, around)
        project = prepare_demo(lambda line: None)
        run = start_run(project, project.settings({}, ROOMY))
        while glance(run).state.step < SHOWN_STEP // 3:
            time.sleep(1)
        send(run, "change_settings", value=TIGHT)
        _walk(recovery)
    finally:
        for run in find_runs(root / "demo"):
            if glance(run).status.is_live:
                kill_worker(run)
    return 0


def _walk(*chapters: Callable[[Album], Awaitable[None]]) -> None:
    async def go() -> None:
        app = WizardApp()
        async with app.run_test(size=SIZE, notifications=True) as pilot:
            album = Album(Walker(app, pilot))
            for chapter in chapters:
                await chapter(album)

    asyncio.run(go())


def _step(walker: Walker) -> int:
    told = re.search(r"step ([\d,]+) /", walker.frame)
    return int(told[1].replace(",", "")) if told else 0


if __name__ == "__main__":
    sys.exit(main())
