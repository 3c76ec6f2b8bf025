"""The lines that copy pictures from another computer to this one."""

import getpass
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.text import printable

SSH_PORT = "22"


@dataclass(frozen=True)
class Address:
    """How this machine is reached."""

    user: str
    host: str
    port: str

    @property
    def is_usual_port(self) -> bool:
        """Whether the port need not be named."""
        return self.port == SSH_PORT


def own_address(environment: Mapping[str, str]) -> Address:
    """Return how this machine was reached by SSH; by its own name without SSH.

    Args:
        environment: With `SSH_CONNECTION`: the client's address and port, the server's address and port (ssh(1)).
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "user"
    parts = environment.get("SSH_CONNECTION", "").split()
    if len(parts) == 4 and parts[3].isdecimal():
        host = f"[{parts[2]}]" if ":" in parts[2] else parts[2]
        return Address(user, host, parts[3])
    return Address(user, socket.gethostname(), SSH_PORT)


def upload_lines(folder: Path, address: Address) -> tuple[str, str]:
    """Return the `rsync` and the `scp` line to type on the computer that has the pictures; harmless to show.

    Args:
        folder: Where the pictures go; absolute.
        address: How this machine is reached.
    """
    target = shlex.quote(f"{address.user}@{address.host}:{folder}/")
    shell, port = ("", "") if address.is_usual_port else (f"-e 'ssh -p {address.port}' ", f"-P {address.port} ")
    lines = f"rsync -av {shell}PICTURES/ {target}", f"scp {port}PICTURES/* {target}"
    return printable(lines[0], 1000), printable(lines[1], 1000)
