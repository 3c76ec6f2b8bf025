"""The `hypernet` command: the wizard for a person at a terminal who asks for nothing else, else the command line.

Nothing is imported before it is known which of the two is wanted, so that `hypernet --help` stays quick.
"""

import os
import sys

ASCII = "--ascii"


def main() -> None:
    """Open the wizard for `hypernet` or `hypernet --ascii` on a terminal; leave anything else to the command line."""
    if sys.argv[1:] in ([], [ASCII]) and _is_terminal():
        from tui.app import run

        sys.exit(run(ascii_only=ASCII in sys.argv[1:]))
    from trainer.cli.main import run as run_command_line

    run_command_line()


def _is_terminal() -> bool:
    # Textual reads keys from stdin and draws on stderr; a wizard in a pipe would be noise.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return os.environ.get("TERM") != "dumb" and all(stream is not None and stream.isatty() for stream in streams)


if __name__ == "__main__":
    main()
