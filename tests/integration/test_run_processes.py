"""Workers as real processes: killed, signalled, commanded, and left behind by their terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from trainer.cli import runs
from trainer.errors import AppError
from trainer.run.control import send
from trainer.run.events import EventWriter, read_events
from trainer.run.folder import RunFolder
from trainer.run.identity import Identity, process_start_s
from trainer.run.launch import start_worker, wait_for_start
from trainer.run.lock import RunLock, is_held, kill_worker, owner
from trainer.run.state import RunState, replay
from trainer.run.status import Status, glance

SUPPORT = Path(__file__).resolve().parents[1] / "support"
ENVIRONMENT = {"PYTHONPATH": str(SUPPORT)}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder.create(tmp_path / "hypernetworks/p/output", "p", date(2026, 11, 23))
    folder.config_file.write_text("")
    yield folder
    if is_held(folder):
        kill_worker(folder)


def launch(run: RunFolder, *arguments: str) -> int:
    return start_worker(run, "fake_worker", arguments, environment=ENVIRONMENT)


def state_of(run: RunFolder) -> RunState:
    return replay(read_events(run.events_file))


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_worker_runs_in_its_own_session_and_finishes(run: RunFolder) -> None:
    pid = launch(run, "5")
    started = wait_for_start(run)
    assert started["pid"] == pid
    until(lambda: glance(run).status is Status.FINISHED and not is_held(run))
    assert state_of(run).step == 5
    assert run.worker_log.stat().st_mode & 0o777 == 0o600


def test_commands_go_round(run: RunFolder) -> None:
    pid = launch(run)
    wait_for_start(run)
    assert os.getsid(pid) == pid
    send(run, "pause")
    until(lambda: glance(run).status is Status.PAUSED)
    paused_at = state_of(run).step
    last = state_of(run).last_t or 0
    until(lambda: (state_of(run).last_t or 0) > last)
    assert state_of(run).step == paused_at
    assert state_of(run).last_kind == "heartbeat"
    send(run, "resume")
    until(lambda: state_of(run).step > paused_at)
    send(run, "stop")
    until(lambda: glance(run).status is Status.STOPPED and not is_held(run))
    assert [event["command"] for event in read_events(run.events_file) if event["kind"] == "ack"] == [
        "pause",
        "resume",
        "stop",
    ]


def test_a_second_worker_is_refused_and_changes_nothing(run: RunFolder) -> None:
    pid = launch(run)
    wait_for_start(run)
    with pytest.raises(AppError, match=f"pid {pid}"):
        launch(run)
    with pytest.raises(AppError, match=rf"another worker \(pid {pid}"), RunLock(run):
        pass
    second = subprocess.run(
        [sys.executable, "-m", "fake_worker", str(run.path)],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert second.returncode == 1
    assert "another worker" in second.stderr
    assert len([event for event in read_events(run.events_file) if event["kind"] == "started"]) == 1


def test_a_killed_worker_lets_go_and_its_run_goes_on(run: RunFolder) -> None:
    first = launch(run)
    wait_for_start(run)
    until(lambda: state_of(run).step >= 3)
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_held(run))
    send(run, "stop")
    assert glance(run).status is Status.LOST
    worker = owner(run)
    assert worker is not None
    until(lambda: not worker.is_alive)
    done = state_of(run).step
    launch(run)
    assert wait_for_start(run)["resumed_at_step"] == done
    until(lambda: state_of(run).step > done)
    assert glance(run).status is Status.RUNNING
    numbers = [event["seq"] for event in read_events(run.events_file)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_watching_and_starting_runs_loads_no_heavy_library() -> None:
    program = (
        "import sys, trainer.cli.runs, trainer.run.launch, trainer.run.follow, trainer.run.control, trainer.devices\n"
        "heavy = {'torch', 'numpy', 'diffusers', 'transformers', 'textual', 'PIL', 'psutil', 'filelock'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sigkill_leaves_the_run_lost_whatever_its_log_said(run: RunFolder) -> None:
    launch(run)
    wait_for_start(run)
    until(lambda: glance(run).status is Status.RUNNING)
    killed = kill_worker(run)
    until(lambda: not is_held(run))
    until(lambda: not killed.is_alive)
    assert glance(run).status is Status.LOST
    with pytest.raises(AppError, match="No worker"):
        kill_worker(run)


def test_a_stopped_process_is_stalled_not_running(run: RunFolder) -> None:
    pid = launch(run)
    wait_for_start(run)
    until(lambda: glance(run).status is Status.RUNNING)
    os.kill(pid, signal.SIGSTOP)
    assert glance(run, now=time.time() + 60).status is Status.STALLED


def test_another_process_with_the_same_pid_is_not_the_worker() -> None:
    own = Identity.own()
    assert own.is_alive
    assert not Identity(own.pid, (own.process_start_s or 0) + 1, own.host).is_alive
    assert not Identity(own.pid, own.process_start_s, "elsewhere").is_alive
    assert not Identity(own.pid, None, own.host).is_alive


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: process_start_s(child.pid) is None)
    assert child.returncode is None
    child.wait()


def test_sigterm_saves_and_stops(run: RunFolder) -> None:
    pid = launch(run)
    wait_for_start(run)
    os.kill(pid, signal.SIGTERM)
    until(lambda: glance(run).status is Status.STOPPED)
    until(lambda: not is_held(run))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_a_worker_in_its_step(number: signal.Signals, code: int) -> None:
    program = (
        "import time; from trainer.run.signals import StopRequest\n"
        "stop = StopRequest(); stop.install(); print('ready', flush=True)\n"
        "while not stop.requested: time.sleep(0.01)\n"
        "print('stopping', flush=True)\n"
        "while True: time.sleep(1)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    worker.send_signal(signal.SIGHUP)
    worker.send_signal(number)
    assert worker.stdout.readline() == "stopping\n"
    worker.send_signal(number)
    assert worker.wait(60) == code
    worker.stdout.close()


def test_a_worker_that_dies_at_once_is_told_with_its_last_words(run: RunFolder) -> None:
    run.worker_log.write_text("old news\n")
    start_worker(run, "no_such_module_anywhere")
    with pytest.raises(AppError) as caught:
        wait_for_start(run)
    assert "exit code 1" in caught.value.message
    assert "no_such_module_anywhere" in caught.value.message
    assert "old news" not in caught.value.message


def test_a_worker_does_not_import_from_the_projects_folder(run: RunFolder) -> None:
    for folder in (run.project_root, run.path):
        (folder / "filelock.py").write_text("raise SystemExit('hijacked')")
    launch(run, "2")
    assert wait_for_start(run)["kind"] == "started"


def test_a_worker_survives_the_terminal_it_was_started_from(run: RunFolder) -> None:
    program = (
        "import signal, sys, time; from pathlib import Path\n"
        "from trainer.run.folder import RunFolder; from trainer.run.launch import start_worker, wait_for_start\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "run = RunFolder(Path(sys.argv[1]))\n"
        "start_worker(run, 'fake_worker'); wait_for_start(run); print('started', flush=True); time.sleep(600)\n"
    )
    viewer, terminal = pty.fork()
    if viewer == 0:
        os.environ.update(ENVIRONMENT)
        os.execv(sys.executable, [sys.executable, "-c", program, str(run.path)])
    shown = b""
    while b"started" not in shown:
        shown += os.read(terminal, 1024)
    os.close(terminal)
    _, status = os.waitpid(viewer, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGHUP
    done = state_of(run).step
    until(lambda: state_of(run).step > done + 3)
    worker = owner(run)
    assert worker is not None
    assert worker.is_alive
    os.kill(worker.pid, signal.SIGTERM)
    until(lambda: glance(run).status is Status.STOPPED)


@pytest.fixture
def hypernet(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("HYPERNET_PROJECTS", str(run.project_root.parent))
    app = typer.Typer(rich_markup_mode=None)
    for command in (runs.runs, runs.attach, runs.status, runs.pause, runs.stop, runs.save, runs.resume):
        app.command(command.__name__)(command)
    app.command("set")(runs.set_)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_the_command_line_lists_commands_and_follows_a_run(run: RunFolder, hypernet: Callable[..., Any]) -> None:
    launch(run, "100000")
    wait_for_start(run)
    listed = json.loads(hypernet("runs", "--json").stdout)
    assert [(entry["run"], entry["steps_total"]) for entry in listed] == [("p/2026-11-23/p", 100_000)]
    assert "acknowledged" in hypernet("pause", "p").stdout
    until(lambda: glance(run).status is Status.PAUSED)
    assert json.loads(hypernet("status", "p", "--json").stdout)["status"] == "paused"
    assert "acknowledged" in hypernet("set", "p", "--learning-rate", "1e-6").stdout
    assert "paused" in hypernet("runs").stdout
    assert "acknowledged" in hypernet("stop", "p").stdout
    until(lambda: not is_held(run))
    refused = hypernet("save", "p").exception
    assert isinstance(refused, AppError)
    assert "is stopped" in refused.message
    followed = hypernet("attach", "p")
    assert followed.exit_code == 0
    assert "stopped at step" in followed.stdout
    assert isinstance(hypernet("attach", "nobody").exception, AppError)


def test_a_finished_run_is_not_resumed(run: RunFolder, hypernet: Callable[..., Any]) -> None:
    with EventWriter(run.events_file) as writer:
        writer.emit("started", pid=1, host="h", steps=5)
        writer.emit("finished", step=5, results=[])
    finished = hypernet("resume", "p").exception
    assert isinstance(finished, AppError)
    assert finished.title == "Run is finished"


def test_attach_ends_with_the_run_and_says_that_it_failed(run: RunFolder) -> None:
    launch(run)
    wait_for_start(run)
    environment = {**os.environ, "HYPERNET_PROJECTS": str(run.project_root.parent), "PYTHONUNBUFFERED": "1"}
    # Tests that a shell runs in the background inherit from it that Ctrl-C is ignored.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import typer; from trainer.cli import runs; typer.run(runs.attach)"
    )
    viewers = [
        subprocess.Popen([sys.executable, "-c", program, "p"], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    leaving, staying = viewers
    assert leaving.stdout is not None
    assert staying.stdout is not None
    for viewer in (leaving.stdout, staying.stdout):
        assert any("step" in line for line in iter(viewer.readline, ""))
    leaving.send_signal(signal.SIGINT)
    assert "The run goes on" in leaving.stdout.read()
    assert leaving.wait(60) == 0
    assert is_held(run)
    kill_worker(run)
    assert "hypernet resume" in staying.stdout.read()
    assert staying.wait(60) == 1
    leaving.stdout.close()
    staying.stdout.close()
