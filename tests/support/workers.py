"""Functions that worker processes run in tests."""

import os


def double_or_die(number: int) -> int:
    """Return twice the number; 7 ends the process as the kernel would."""
    if number == 7:
        os._exit(9)
    return 2 * number
