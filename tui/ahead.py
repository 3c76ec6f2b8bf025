"""What is loaded while nobody waits for it: the screens' modules and style sheets, piece by piece."""

import asyncio
import gc
import importlib
import pkgutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from textual.css.stylesheet import Stylesheet

PAUSE_S = 0.02
"""Between two pieces, for the interface to draw and to take keys."""
COLLECTOR_THRESHOLDS = 10_000, 20, 10
"""To read ten thousand captions makes some hundred thousand objects, of which none is garbage."""
FIRST = ("train", "results", "folders")
"""Screens that most people open first."""


def load_modules(cancelled: Callable[[], bool]) -> None:
    """Import all screens; belongs into a thread."""
    from tui import screens

    names = {module.name for module in pkgutil.iter_modules(screens.__path__)}
    try:
        for name in [*FIRST, *sorted(names - set(FIRST))]:
            if cancelled():
                return
            importlib.import_module(f"tui.screens.{name}")
            time.sleep(PAUSE_S)
    finally:
        spare_collector()


@cache
def spare_collector() -> None:
    """Keep what was imported from ever being searched for garbage, and the rest from being searched whole often.

    A search holds up the interface, in whatever thread it is made: for 0.2 s without this.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    # `hypernet` turns it off before it imports anything, as such searches delay the first frame too.
    gc.enable()


async def load_styles(stylesheet: Stylesheet) -> None:
    """Parse the style sheets of all screens; with the first look at a screen, Textual would parse all it knows anew."""
    for path in sorted((Path(__file__).resolve().parent / "screens").glob("*.tcss")):
        if not stylesheet.has_source(str(path)):
            stylesheet.read(path)
            stylesheet.parse()
        await asyncio.sleep(PAUSE_S)
