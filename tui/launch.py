"""Opening the wizard on this terminal."""

import os
import signal
import sys
from typing import TYPE_CHECKING

from tui.app import WizardApp

if TYPE_CHECKING:
    from tui.terminal_pictures import Drawing


def run(ascii_only: bool = False, demo: bool = False, images: str = "blocks") -> int:
    """Open the wizard on this terminal; return the exit code.

    Args:
        ascii_only: Send nothing but ASCII to the terminal.
        demo: Go to the demo at once.
        images: How to draw pictures: auto, blocks, kitty or sixel.
    """
    # Where a shell exports them, they would hide every later change of the terminal's size.
    os.environ.pop("COLUMNS", None)
    os.environ.pop("LINES", None)
    # Started under nohup the wizard would outlive its terminal and spin.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    app = WizardApp(ascii_only=ascii_only, demo=demo, drawing=_drawing(images, ascii_only))
    app.run()
    if app.return_code == 0 and app.goodbye:
        print(app.goodbye, file=sys.stdout)
    return app.return_code or 0


def _drawing(images: str, is_ascii: bool) -> "Drawing | None":
    if images == "blocks":
        return None
    from tui.terminal_pictures import choose_drawing

    return choose_drawing(images, is_ascii or bool(os.environ.get("NO_COLOR")))
