"""Whether a worker outlives its user's logout, and how to start it so that it does.

systemd-logind may kill what is left of a session (`KillUserProcesses=`, logind.conf(5)), and the user's own service
manager ends with the last session unless the user lingers (loginctl(1)); a process's cgroup tells which applies.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CommandOutput = Callable[[Sequence[str]], str]
SCOPE = ("systemd-run", "--user", "--scope", "--quiet", "--collect", "--")
"""Starts a process, by the same pid, under the user's service manager instead of the session."""

_HINT = (
    "Run `loginctl enable-linger` once, and start the run then, so that it goes on when you log out. "
    "Until then stay logged in; tmux alone does not help."
)


@dataclass(frozen=True)
class LogoutBehaviour:
    """What becomes of a process started here when the user logs out."""

    place: str
    """"session" (of logind), "user-manager" or "elsewhere" (a service, a container, no systemd)."""
    kills_session: bool
    lingers: bool
    can_scope: bool
    """Whether `systemd-run` is there."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a worker's command so that it survives; empty when nothing is needed or helps."""
        in_danger = self.place == "session" and self.kills_session
        return SCOPE if in_danger and self.lingers and self.can_scope else ()

    @property
    def warning(self) -> str | None:
        """A warning for the user, or None when the worker survives."""
        if self.place == "session" and self.kills_session and not self.prefix:
            return f"This machine ends your processes when you log out. {_HINT}"
        if self.place == "user-manager" and not self.lingers:
            return f"This session belongs to your user manager, which ends with your last login. {_HINT}"
        return None


def logout_behaviour(root: Path = Path("/"), output: CommandOutput | None = None) -> LogoutBehaviour:
    """Find out what happens at logout.

    Args:
        root: Where the file system begins; another folder in tests.
        output: Runs a command and returns what it prints, "" when it fails; replaced in tests.
    """
    output = output or _output
    place = _place(root)
    if place == "elsewhere":
        return LogoutBehaviour(place, False, False, False)
    user = _user()
    return LogoutBehaviour(
        place,
        kills_session=_kills(root, user, output),
        lingers=output(["loginctl", "show-user", user, "--property=Linger", "--value"]).strip() == "yes",
        can_scope=bool(output(["systemd-run", "--version"])),
    )


def logout_warning() -> str | None:
    """Return a warning when a run started here would end at logout."""
    return logout_behaviour().warning


def _place(root: Path) -> str:
    if not (root / "run/systemd/system").is_dir():
        return "elsewhere"
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "elsewhere"
    if "/session-" in groups:
        return "session"
    return "user-manager" if "/user@" in groups else "elsewhere"


def _kills(root: Path, user: str, output: CommandOutput) -> bool:
    settings = dict(_settings(root))
    manager = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    told = output(["busctl", "get-property", *manager, "KillUserProcesses"]).split()
    answer = told[-1] if told else settings.get("KillUserProcesses", "no")
    kills = answer.lower() in ("yes", "true", "1", "on")
    only = settings.get("KillOnlyUsers", "").split()
    spared = settings.get("KillExcludeUsers", "root").split()
    return kills and (user in only if only else user not in spared)


def _settings(root: Path) -> Iterator[tuple[str, str]]:
    """Give logind's settings, the weakest first; comments in the main file state the compiled-in defaults."""
    mains = [root / folder / "systemd/logind.conf" for folder in ("usr/lib", "run", "etc")]
    dropins = {
        path.name: path
        for folder in ("usr/lib", "run", "etc")
        for path in (root / folder / "systemd/logind.conf.d").glob("*.conf")
    }
    for path in [*mains, *(dropins[name] for name in sorted(dropins))]:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        stated = [line.strip().partition("=") for line in lines if "=" in line]
        for commented in (True, False):
            for name, _, value in stated:
                if name.startswith("#") == commented:
                    yield name.lstrip("# ").strip(), value.strip()


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _output(command: Sequence[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
