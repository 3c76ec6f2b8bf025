"""Whether a run survives its user's logout, judged from a machine made of files."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from trainer.run import logout
from trainer.run.logout import SCOPE, logout_behaviour


@pytest.fixture(autouse=True)
def a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logout, "_user", lambda: "ann")


def machine(root: Path, cgroup: str = "0::/user.slice/user-1000.slice/session-3.scope", **files: str) -> Path:
    (root / "run/systemd/system").mkdir(parents=True)
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup + "\n")
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def tools(linger: str = "no", bus: str = "", scope: bool = True):  # type: ignore[no-untyped-def]
    def output(command: Sequence[str]) -> str:
        said = {"loginctl": linger + "\n", "busctl": bus, "systemd-run": "systemd 257" if scope else ""}
        return said[command[0]]

    return output


def test_no_systemd_no_warning(tmp_path: Path) -> None:
    found = logout_behaviour(tmp_path, tools())
    assert (found.warning, found.prefix) == (None, ())


def test_a_service_or_container_is_not_concerned(tmp_path: Path) -> None:
    assert (
        logout_behaviour(machine(tmp_path, cgroup="0::/system.slice/cron.service"), tools(bus="b true")).warning is None
    )


def test_a_session_that_is_killed_is_left_when_the_user_lingers(tmp_path: Path) -> None:
    root = machine(tmp_path)
    assert logout_behaviour(root, tools("yes", "b true")).prefix == SCOPE
    assert logout_behaviour(root, tools("yes", "b true")).warning is None
    warning = logout_behaviour(root, tools("no", "b true")).warning
    assert warning is not None
    assert "loginctl enable-linger" in warning
    assert logout_behaviour(root, tools("yes", "b true", scope=False)).warning is not None
    assert logout_behaviour(root, tools("no", "b false")).warning is None


def test_a_user_manager_ends_with_the_last_login(tmp_path: Path) -> None:
    root = machine(tmp_path, cgroup="0::/user.slice/user-1000.slice/user@1000.service/app.slice/tmux.scope")
    assert logout_behaviour(root, tools("no", "b false")).warning is not None
    assert logout_behaviour(root, tools("yes", "b false")).warning is None


@pytest.mark.parametrize(
    ("files", "killed"),
    [
        ({}, False),
        ({"etc__systemd__logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, True),
        ({"etc__systemd__logind.conf": "[Login]\n#KillUserProcesses=yes\nKillUserProcesses=no\n"}, False),
        ({"etc__systemd__logind.conf": "KillUserProcesses = yes"}, True),
        ({"usr__lib__systemd__logind.conf.d__a.conf": "KillUserProcesses=yes"}, True),
        ({"etc__systemd__logind.conf": "KillUserProcesses=yes\nKillExcludeUsers=root ann"}, False),
        ({"etc__systemd__logind.conf": "KillUserProcesses=yes\nKillOnlyUsers=bob"}, False),
        (
            {
                "etc__systemd__logind.conf": "KillUserProcesses=no",
                "etc__systemd__logind.conf.d__10.conf": "KillUserProcesses=yes",
                "run__systemd__logind.conf.d__05.conf": "KillUserProcesses=no",
            },
            True,
        ),
    ],
)
def test_settings_are_read_where_the_bus_is_silent(tmp_path: Path, files: dict[str, str], killed: bool) -> None:
    assert logout_behaviour(machine(tmp_path, **files), tools()).kills_session is killed
