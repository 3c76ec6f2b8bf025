"""What a worker does about signals: the first wish to end makes it save and stop, the second ends it now."""

import os
import signal
import time
from types import FrameType

_SLICE_S = 0.1


class Stopped(BaseException):
    """The worker left off what it was doing, as it should save and stop.

    No `Exception`: whoever catches all faults, so that a preview or validation never ends a run, must let this pass.
    """


class StopRequest:
    """Whether the worker should save and stop after the step it is in."""

    def __init__(self) -> None:
        self.requested = False
        self._signalled = False

    def request(self) -> None:
        """Ask the worker to stop, as a command does."""
        self.requested = True

    def check(self) -> None:
        """Leave off here where a stop was asked for: called where what is done so far can be thrown away.

        Raises:
            Stopped: it was.
        """
        if self.requested:
            raise Stopped

    def install(self) -> None:
        """Take over SIGTERM and SIGINT and ignore SIGHUP; call it early in a worker's main thread.

        The first SIGTERM or SIGINT asks the worker to stop; a second one ends the process with exit code 143 or 130.
        """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def install_child(self) -> None:
        """Leave the usual signals to the supervisor, which passes a wish to stop on as SIGUSR1."""
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda number, frame: self.request())

    def wait(self, seconds: float) -> bool:
        """Sleep, e.g. while paused, and wake up early for a signal.

        Returns:
            Whether the worker should stop.
        """
        # No threading.Event: setting one from a handler that interrupts its own wait can deadlock.
        end = time.monotonic() + seconds
        while not self.requested and (left := end - time.monotonic()) > 0:
            time.sleep(min(_SLICE_S, left))
        return self.requested

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            # At once and without clean-up, which might hang; the last saved state is whole at any moment.
            os._exit(128 + number)
        self._signalled = self.requested = True
