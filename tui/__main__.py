"""The `hypernet` command: the wizard for a person at a terminal who asks for nothing else, else the command line.

Nothing is imported before it is known which of the two is wanted, so that `hypernet --help` stays quick.
"""

import os
import sys

ASCII, DEMO = "--ascii", "demo"


def main() -> None:
    """Open the wizard for `hypernet` and `hypernet demo` on a terminal; leave anything else to the command line."""
    arguments = sys.argv[1:]
    others = [argument for argument in arguments if argument != ASCII]
    if others in ([], [DEMO]) and _is_terminal():
        from tui.app import run

        sys.exit(run(ascii_only=ASCII in arguments, demo=others == [DEMO]))
    from trainer.cli.main import run as run_command_line

    run_command_line()


def _is_terminal() -> bool:
    # Textual reads keys from stdin and draws on stderr; a wizard in a pipe would be noise.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return os.environ.get("TERM") != "dumb" and all(stream is not None and stream.isatty() for stream in streams)


if __name__ == "__main__":
    main()
