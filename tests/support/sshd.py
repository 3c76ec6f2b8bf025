"""A real OpenSSH server on the loopback, run by the present user with keys and settings of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

PATIENCE_S = 120
_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"
_SEPARATION = Path("/run/sshd")


def why_no_server() -> str:
    """Return why no server can be started here; empty when one can."""
    missing = [name for name in ("ssh", "ssh-keygen") if shutil.which(name) is None]
    if _server() is None or missing:
        return f"OpenSSH is not installed ({', '.join(['sshd'] if _server() is None else missing)} is missing)"
    if os.getuid() == 0 and not _SEPARATION.is_dir():
        return f"sshd as root wants the folder {_SEPARATION}, which is missing (mkdir {_SEPARATION})"
    return ""


def _server() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:{_SBIN}")


class Server:
    """A server that lets in the present user by a key that is made for it.

    Args:
        folder: Where keys, settings and log go.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder, self.port = folder, _free_port()
        for name in ("host", "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        (folder / "config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "PermitRootLogin yes\nPrintMotd no\n"
        )
        command = [str(_server()), "-D", "-f", str(folder / "config"), "-E", str(folder / "log")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self._wait()

    def client(self, command: Sequence[str]) -> list[str]:
        """Return the command line of a client that opens a terminal there and runs a command in it."""
        options = ("UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR", "EscapeChar=none")
        return [
            "ssh", "-tt", "-F", "/dev/null", "-i", str(self._folder / "user"), "-p", str(self.port),
            *(word for option in options for word in ("-o", option)), f"{getpass.getuser()}@127.0.0.1",
            " ".join(command),
        ]  # fmt: skip

    def viewers(self) -> list[psutil.Process]:
        """Return the wizards that run in sessions of this server."""
        found = psutil.Process(self._process.pid).children(recursive=True)
        return [process for process in found if process.cmdline()[-2:] == ["-m", "tui"] and "python" in process.name()]

    def session_of(self, viewer: psutil.Process) -> psutil.Process:
        """Return the server's own process that holds a viewer's terminal."""
        return next(process for process in viewer.parents() if process.name().startswith("sshd"))

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"sshd did not start: {self.log}")

    @property
    def log(self) -> str:
        """What the server wrote down."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def end(self) -> None:
        """End the server and its sessions."""
        for process in [*psutil.Process(self._process.pid).children(recursive=True)]:
            if process.name().startswith("sshd"):
                process.kill()
        self._process.kill()
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
