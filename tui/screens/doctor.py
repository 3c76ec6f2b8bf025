"""Doctor: what this machine has for training, and what to do about what it lacks."""

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.keys import bindings
from tui.messages import Renewed
from tui.screens.base import WizardScreen
from tui.widgets.keyline import KeyLine
from tui.widgets.line import Line
from tui.widgets.picture import Loaded, Picture, load_picture

if TYPE_CHECKING:
    from trainer.doctor.findings import Finding

SPIN_S = 0.1
SPINNER = "|/-\\"
TOPIC_WIDTH = 9
INDENT = " " * (6 + TOPIC_WIDTH + 1)


class DoctorScreen(WizardScreen):
    """Shows findings as they come; torch, asked in a process of its own, comes last.

    Args:
        plain: Draw pictures with characters only.
    """

    CSS_PATH = "doctor.tcss"
    PURPOSE = (
        "What this machine has for training. A line that begins with note or bad says beneath what to do. "
        "The picture shows how pictures look on this terminal."
    )
    BINDINGS = bindings("doctor.again", "doctor.back")
    FOOTER = ("doctor.again", "doctor.back", "app.help", "app.leave")

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
        self._plain = plain
        self._machine: list[Finding] | None = None
        self._torch: Finding | None = None
        self._sample: Loaded | None = None
        self._turn = 0

    def compose(self) -> ComposeResult:
        """Lay out findings, sample picture and keys."""
        yield Static("Doctor", id="title")
        with Horizontal(id="middle"):
            with VerticalScroll(id="findings"):
                yield Line(id="lines")
            with Vertical(id="sample"):
                yield Picture(plain=self._plain, id="picture")
                yield Static(id="caption")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Look at once."""
        self.query_one("#findings").focus()
        self.set_interval(SPIN_S, self._spin)
        self.action_again()
        self.in_background(self._read_sample, "reading a sample picture", "sample")

    def on_screen_resume(self) -> None:
        """Draw the keys, which depend on what lies on top."""
        self.draw_keys()

    def on_resize(self) -> None:
        """Fit the lines, and judge the new size."""
        self.call_after_refresh(self._draw)

    def why_not(self, action: str) -> str:
        """Return why an action can't be done now."""
        return "It looks already." if action == "again" and self._is_looking else ""

    @property
    def _is_looking(self) -> bool:
        return self.is_busy("machine") or self.is_busy("torch")

    def action_again(self) -> None:
        """Look at everything once more."""
        self._machine, self._torch = None, None
        self.in_background(self._look_at_machine, "looking at the machine", "machine")
        self.in_background(self._ask_torch, "asking torch", "torch")
        self._draw()

    def action_back(self) -> None:
        """Close."""
        self.dismiss()

    def _look_at_machine(self) -> None:
        from trainer.doctor.look import look_at_machine

        self._machine = look_at_machine()
        self.post_message(Renewed())

    def _ask_torch(self) -> None:
        from trainer.doctor.look import look_at_torch

        self._torch = look_at_torch()
        self.post_message(Renewed())

    def _read_sample(self) -> None:
        from trainer.demo.assets import demo_pictures_dir

        pictures = sorted(Path(demo_pictures_dir("character")).glob("*.png"))
        self._sample = load_picture(pictures[0]) if pictures else None
        self.post_message(Renewed())

    def _spin(self) -> None:
        if self._machine is None or self._torch is None:
            self._turn += 1
            self._draw()

    @on(Renewed)
    def _draw(self) -> None:
        if not self.is_seen:
            return
        room = self.query_one("#findings").size.width or self.size.width
        width = max(30, room - 2)
        sections = [self._machine, [self._torch] if self._torch else None, self._terminal()]
        waiting = ("the machine", "torch, which takes some seconds")
        lines: list[str] = []
        for section, what in zip(sections, (*waiting, ""), strict=True):
            if section is None:
                lines.append(f"{SPINNER[self._turn % len(SPINNER)]}     looking at {what}…")
            else:
                lines += [line for finding in section for line in lines_of(finding, width)]
        self.query_one("#lines", Line).say("\n".join(lines))
        if self._sample is not None:
            self.query_one("#picture", Picture).show(self._sample.picture)
        self.query_one("#caption", Static).update(Content(self._caption()))
        self.draw_keys()

    def _terminal(self) -> "list[Finding]":
        from trainer.doctor.look import look_at_terminal

        # Textual takes NO_COLOR out of the environment.
        environment = {**os.environ, **({"NO_COLOR": "1"} if self.app.no_color else {})}
        return look_at_terminal(environment, (self.app.size.width, self.app.size.height))

    def _caption(self) -> str:
        if self._sample is None:
            return ""
        how = "shades of characters" if self._plain else "half blocks"
        return f"a sample, {self._sample.width}×{self._sample.height},\nas {how}"


def lines_of(finding: "Finding", width: int) -> list[str]:
    """Return a finding as lines: standing, topic, text, and beneath what to do."""
    head = f"{finding.standing:<4}  {finding.topic:<{TOPIC_WIDTH}} "
    lines = textwrap.wrap(finding.text, width, initial_indent=head, subsequent_indent=INDENT)
    return [*lines, *textwrap.wrap(finding.advice, width, initial_indent=INDENT, subsequent_indent=INDENT)]
