"""Real runs without the seconds that loading torch takes: forked from a process that has loaded it and done nothing.

Supervisor and worker are processes of their own as ever, with the same signals, pipe, lock and log; only starting the
interpreter anew is left out. What a start itself does is tested by those who start workers as users do.
"""

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SUPPORT = Path(__file__).resolve().parent
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "trainer.training",
        "trainer.worker",
        "trainer.recovery.supervisor",
        "diffusers.models.unets.unet_2d_condition",
        "diffusers.models.autoencoders.autoencoder_kl",
        "transformers.models.clip.modeling_clip",
    ]
)


def sit(folder: Path, log: Path, module: str, timeout_s: float = 400) -> int:
    """Have a supervisor carry out a run, and return its exit code.

    Args:
        folder: The run.
        log: What both processes print is added to this file.
        module: The worker.
        timeout_s: After this it is killed.

    Raises:
        TimeoutError: it was.
    """
    process = start(folder, log, module)
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(log.read_text())
    return process.exitcode


def start(folder: Path, log: Path, module: str) -> multiprocessing.process.BaseProcess:
    """Start what `sit` waits for."""
    process = _context.Process(target=_supervise, args=(folder, log, module, dict(os.environ)), daemon=True)
    process.start()
    return process


def _supervise(folder: Path, log: Path, module: str, environment: dict[str, str]) -> None:
    os.setsid()
    with open(log, "ab") as file:
        for handle in (1, 2):
            os.dup2(file.fileno(), handle)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(SUPPORT))
    from trainer.recovery import child
    from trainer.recovery.supervisor import supervise

    # Only there: the worker may start other programs, such as nvidia-smi.
    setattr(child, "subprocess", SimpleNamespace(Popen=_Forked, DEVNULL=subprocess.DEVNULL))  # noqa: B010
    sys.exit(supervise(folder, module))


class _Forked:
    """What `subprocess.Popen` gives, for a Python module that is run in a fork."""

    def __init__(self, command: list[str], pass_fds: tuple[int, ...], **options: Any) -> None:
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _run(command[command.index("-m") + 1 :], pass_fds)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self.wait(os.WNOHANG)

    def wait(self, options: int = 0) -> int | None:
        """Wait for the end; return the exit code."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def _run(command: list[str], pass_fds: tuple[int, ...]) -> None:
    """Run a module as the main program of this process, which keeps nothing of its parent open."""
    code = 1
    try:
        for handle in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, *pass_fds}:
            with contextlib.suppress(OSError):
                os.close(handle)
        sys.argv = list(command)
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
