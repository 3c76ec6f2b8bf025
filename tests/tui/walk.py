"""Walking through the wizard by keys alone, and reading its screen as text."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from unittest import mock

from rich.console import Console
from textual import events
from textual.app import App
from textual.pilot import Pilot

from tui.app import WizardApp

SMALL, LARGE = (80, 24), (120, 40)
PATIENCE_S = 60
"""Longer than anything takes on a machine that is busy with something else."""

Body = Callable[["Walker"], Awaitable[None]]


class Walker:
    """Presses keys and looks at the screen."""

    def __init__(self, app: WizardApp, pilot: Pilot[None]) -> None:
        self.app, self._pilot = app, pilot

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        await self._pilot.press(*keys)

    async def burst(self, *keys: str) -> None:
        """Press keys faster than they are taken, as when a slow connection delivers them all at once."""
        for key in keys:
            self.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await self._pilot.pause()

    async def type(self, text: str) -> None:
        """Type plain letters and digits."""
        await self._pilot.press(*text)

    async def resize(self, width: int, height: int) -> None:
        """Change the size of the terminal."""
        await self._pilot.resize_terminal(width, height)
        await self._pilot.pause()

    def rows(self) -> list[str]:
        """Return the frame as rows of text."""
        return rows_of(self.app)

    @property
    def frame(self) -> str:
        """The frame as one text."""
        return "\n".join(self.rows())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"waited in vain at\n{self.frame}"
            await self._pilot.pause(0.05)

    async def sees(self, *texts: str) -> str:
        """Wait until all texts are on the screen; return the frame."""

        def all_there() -> bool:
            frame = self.frame
            return all(text in frame for text in texts)

        await self.until(all_there)
        return self.frame

    async def misses(self, text: str) -> str:
        """Wait until a text is gone from the screen; return the frame."""
        await self.until(lambda: text not in self.frame)
        return self.frame


def rows_of(app: App[None]) -> list[str]:
    """Return what an app shows as rows of text."""
    # A picture of the screen takes ten times as long to draw as its text, and is asked for while tests wait.
    with mock.patch.object(Console, "export_svg", lambda console, **options: console.export_text()):
        rows = app.export_screenshot().split("\n")
    height = app.size.height
    return [row.rstrip() for row in rows[:height]] + [""] * (height - len(rows))


def walk_in(app: App[None], size: tuple[int, int], *keys: str) -> list[str]:
    """Open an app of a test's own, press keys and return what it shows."""

    async def go() -> list[str]:
        async with app.run_test(size=size) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            return rows_of(app)

    return asyncio.run(go())


def walk(body: Body, size: tuple[int, int] = SMALL, *, ascii_only: bool = False) -> None:
    """Open the wizard and walk."""

    async def go() -> None:
        app = WizardApp(ascii_only=ascii_only)
        async with app.run_test(size=size, notifications=True) as pilot:
            await body(Walker(app, pilot))
            # A user's Ctrl+Q is taken by a screen that is there; closing here would pull one away half made.
            await pilot.pause()

    asyncio.run(go())


async def open_run(walker: Walker) -> None:
    """From Home, open the run of the long story."""
    await walker.sees("▸ gollum")
    await walker.press("enter")
    await walker.sees("step 1,240 / 2,000", "12 of 12")
