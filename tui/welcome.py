"""What Home says while there is nothing to list."""

from tui.keys import key_for
from tui.words import wrapped

WELCOME = """\
Welcome. A hypernetwork teaches Stable Diffusion a style or a subject from a few dozen pictures.

  {demo:<4}the demo: a small network on an embedded model, trained on this very machine in about two minutes. \
It needs neither a GPU nor a download, and shows every step.

  {new:<4}a project of your own: 10 to 50 pictures, and the Stable Diffusion model that you use.

Pictures may still be on another computer: the first step shows the line that brings them here."""


def welcome_text(width: int) -> str:
    """Return the welcome in lines; what a key does stands beside the key."""
    text = WELCOME.format(demo=key_for("home.demo"), new=key_for("home.new"))
    parts = [(part, 6 if part.startswith(" ") else 0) for part in text.splitlines()]
    return "\n".join(line for part, indent in parts for line in wrapped(part, width, indent))
