"""The worker as its supervisor sees it: a child that sends events and ends in one way or another."""

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path

from trainer.recovery.pipe import EventSource
from trainer.run.events import Event
from trainer.run.launch import same_package

WORKER = "trainer.worker"


class Child:
    """A started worker.

    Args:
        run: The run's folder.
        module: The module that works; `trainer.worker` except in tests.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, run: Path, module: str = WORKER) -> None:
        reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(run), str(writing), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **same_package()},
                pass_fds=(writing,),
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._source = EventSource(reading)
        self._selector = selectors.DefaultSelector()
        self._selector.register(reading, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def events(self, timeout_s: float) -> list[Event]:
        """Wait for events and return those that came; none after the time."""
        if self._source.open:
            self._selector.select(timeout_s)
        return self._source.new()

    @property
    def is_over(self) -> bool:
        """Whether it has ended; events of its last moments may still be there to read."""
        return self._process.poll() is not None

    def ask_to_stop(self) -> None:
        """Have it save and stop."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def end(self) -> int:
        """Wait for its end, give up the pipe and return its exit code, negative for a signal."""
        code = self._process.wait()
        self._selector.close()
        self._source.close()
        return code
