"""The `hypernet` command: the wizard for a person at a terminal who asks for nothing else, else the command line.

Nothing is imported before it is known which of the two is wanted, so that `hypernet --help` stays quick.
"""

import gc
import os
import sys
from collections.abc import Sequence

ASCII, DEMO, IMAGES, BLOCKS = "--ascii", "demo", "--images", "blocks"


def main() -> None:
    """Open the wizard for `hypernet` and `hypernet demo` on a terminal; leave anything else to the command line."""
    others, images = _without_images(sys.argv[1:])
    is_ascii = ASCII in others
    others = [argument for argument in others if argument != ASCII]
    if others in ([], [DEMO]) and _is_terminal():
        if images != BLOCKS:
            _check_images(images)
        gc.disable()  # until all is imported, see tui.ahead
        from tui.launch import run

        sys.exit(run(ascii_only=is_ascii, demo=others == [DEMO], images=images))
    from trainer.cli.main import run as run_command_line

    run_command_line()


def _without_images(arguments: Sequence[str]) -> tuple[list[str], str]:
    """Return the arguments without the way to draw pictures, and that way."""
    others, images = [], BLOCKS
    rest = iter(arguments)
    for argument in rest:
        if argument == IMAGES:
            images = next(rest, "")
        elif argument.startswith(f"{IMAGES}="):
            images = argument.partition("=")[2]
        else:
            others.append(argument)
    return others, images


def _check_images(images: str) -> None:
    from tui.terminal_pictures import CHOICES

    if images not in CHOICES:
        print(f"{IMAGES}: {images!a} is none of {', '.join(CHOICES)}.", file=sys.stderr)
        sys.exit(2)


def _is_terminal() -> bool:
    # Textual reads keys from stdin and draws on stderr; a wizard in a pipe would be noise.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return os.environ.get("TERM") != "dumb" and all(stream is not None and stream.isatty() for stream in streams)


if __name__ == "__main__":
    main()
