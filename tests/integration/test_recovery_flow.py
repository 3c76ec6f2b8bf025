"""The supervisor as a real process, over workers that fail by a script: what it tells, asks, changes and starts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import trainer
from tests.support.commands import hypernet
from tests.support.projects import events, wait_for_event
from trainer.faults import FaultKind
from trainer.recovery.changes import read_changes
from trainer.recovery.fault import Fault
from trainer.run.control import send
from trainer.run.folder import RunFolder
from trainer.run.identity import process_start_s
from trainer.run.lock import is_held
from trainer.run.status import Status, glance

SUPPORT = Path(__file__).resolve().parents[1] / "support"
Play = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "hypernetworks/p/output", "p", date(2026, 11, 23))


@pytest.fixture
def play(run: RunFolder) -> Iterator[Play]:
    started: list[subprocess.Popen[bytes]] = []

    def play(*acts: list[Any], settings: str = "") -> subprocess.Popen[bytes]:
        run.config_file.write_text(f"[training]\nsteps = 9\nbatch_size = 4\n{settings}")
        (run.path / "script.json").write_text(json.dumps(acts))
        with open(run.worker_log, "ab") as log:
            command = [sys.executable, "-m", "fake_supervisor", str(run.path), "fake_child"]
            environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
            process = subprocess.Popen(command, stderr=log, stdout=log, env=environment, start_new_session=True)
        started.append(process)
        return process

    yield play
    for process in started:
        process.kill()
        process.wait()


def fault(kind: FaultKind, step: int = 3, saved: bool = True, message: str = "It broke.", **details: Any) -> list[Any]:
    return ["fault", Fault(kind, step, "step", "Out of memory", message, "Advice.", details, saved).as_payload()]


ASK = '[recovery]\non_oom = "ask"\nanswer_s = 600.0\n'


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_out_of_memory_goes_on_at_the_same_step_on_less_and_everything_is_on_record(run: RunFolder, play: Play) -> None:
    before = [["step", 1], ["step", 2], ["step", 3], ["state", 3]]
    process = play(
        [*before, fault(FaultKind.MEMORY, asked_bytes=7, free_bytes=5, total_bytes=9)], [["step", 4], ["finish", 4]]
    )
    assert process.wait(180) == 0
    (told,) = events(run, "recovering")
    assert (told["why"], told["step"], told["by"]) == ("memory", 3, "policy")
    assert told["changes"] == {"memory.micro_batch": "2"}
    assert "step 3 is saved" in told["message"]
    assert told["details"]["asked_bytes"] == 7
    assert [phase["settings"]["micro_batch"] for phase in events(run, "phase") if "settings" in phase] == [0, 2]
    assert [(change.step, change.why) for change in read_changes(run)] == [(3, "memory")]
    assert "micro_batch" not in run.config_file.read_text()
    assert len(events(run, "started")) == 1
    assert [event["seq"] for event in events(run, "step")] == sorted(event["seq"] for event in events(run, "step"))
    assert glance(run).status is Status.FINISHED
    assert events(run, "question") == []


def test_down_the_ladder_to_its_end_the_last_word_holds_the_figures(run: RunFolder, play: Play) -> None:
    gone = fault(FaultKind.MEMORY, live_bytes=3 << 20, asked_bytes=2 << 20, limit_bytes=4 << 20)
    assert play(*[[["step", 3], ["state", 3], gone]] * 4).wait(180) == 1
    changes = [dict(change.settings) for change in read_changes(run)]
    assert changes == [
        {"memory.micro_batch": "2"},
        {"memory.micro_batch": "1"},
        {"memory.gradient_checkpointing": "true"},
    ]
    failed = events(run, "failed")[-1]
    assert glance(run).status is Status.OUT_OF_MEMORY
    for part in ("Nothing is left", "3.0 MiB in use", "2.0 MiB more asked for", "limit is 4.0 MiB"):
        assert part in failed["message"]


def test_a_question_is_answered_from_the_command_line_while_no_worker_lives(
    run: RunFolder, play: Play, capfd: pytest.CaptureFixture[str]
) -> None:
    process = play([["step", 3], ["state", 3], fault(FaultKind.MEMORY)], [["finish", 4]], settings=ASK)
    question = wait_for_event(run, "question")
    assert question["choices"] == [option["id"] for option in question["options"]]
    assert question["choices"] == ["half-micro-batch", "checkpointing", "stop"]
    assert question["default"] == "half-micro-batch"
    assert question["deadline_t"] > time.time() + 500
    assert question["options"][1]["settings"] == ["memory.gradient_checkpointing=true"]
    assert question["lost"].startswith("Nothing was lost")
    assert glance(run).status is Status.NEEDS_YOU
    assert "checkpointing" in hypernet(capfd, "answer", str(run.path)).out
    refused = hypernet(capfd, "answer", str(run.path), "sing")
    assert refused.code == 1
    assert "none of half-micro-batch, checkpointing, stop" in refused.said
    assert hypernet(capfd, "answer", str(run.path), "checkpointing").code == 0
    assert process.wait(180) == 0
    answered = events(run, "answered")[-1]
    assert (answered["id"], answered["choice"], answered["by"]) == (question["id"], "checkpointing", "user")
    assert events(run, "recovering")[-1]["changes"] == {"memory.gradient_checkpointing": "true"}


def test_an_unanswered_question_takes_the_default(run: RunFolder, play: Play) -> None:
    settings = ASK.replace("600.0", "0.3")
    assert play([["state", 3], fault(FaultKind.MEMORY)], [["finish", 4]], settings=settings).wait(180) == 0
    answered = events(run, "answered")[-1]
    assert (answered["choice"], answered["by"]) == ("half-micro-batch", "time-out")


@pytest.mark.parametrize("how", ["command", "signal", "answer"])
def test_a_question_can_be_answered_by_stopping(run: RunFolder, play: Play, how: str) -> None:
    process = play([["state", 3], fault(FaultKind.MEMORY)], settings=ASK)
    question = wait_for_event(run, "question")
    if how == "signal":
        process.send_signal(signal.SIGTERM)
    elif how == "command":
        send(run, "stop")
    else:
        send(run, "answer", question=question["id"], choice="stop")
    assert process.wait(180) == 0
    assert glance(run).status is Status.STOPPED
    assert events(run, "stopped")[-1]["step"] == 3


def test_the_policy_stop_saves_and_ends(run: RunFolder, play: Play) -> None:
    stop = '[recovery]\non_oom = "stop"\n'
    assert play([["state", 3], fault(FaultKind.MEMORY, message="No room.")], settings=stop).wait(180) == 1
    assert glance(run).status is Status.OUT_OF_MEMORY
    assert "No room." in events(run, "failed")[-1]["message"]


def test_a_killed_worker_is_replaced_and_the_steps_since_the_state_are_made_again(run: RunFolder, play: Play) -> None:
    first = [["state", 1], ["step", 2], ["step", 3], ["signal", signal.SIGKILL]]
    assert play(first, [["step", 2], ["step", 3], ["finish", 3]]).wait(180) == 0
    (told,) = events(run, "recovering")
    assert (told["why"], told["step"], told["changes"]) == ("killed", 1, {})
    assert "SIGKILL" in told["message"]
    assert "2 steps are computed again from step 1" in told["message"]
    assert glance(run).state.step == 3


def test_a_worker_killed_again_and_again_ends_the_run_with_advice(run: RunFolder, play: Play) -> None:
    killed = [["step", 3], ["signal", signal.SIGKILL]]
    assert play(killed, killed, killed).wait(180) == 1
    failed = events(run, "failed")[-1]
    assert "3 times without a step of progress" in failed["message"]
    assert "RAM" in failed["hint"]


def test_divergence_goes_back_to_a_good_state_with_a_lower_rate(run: RunFolder, play: Play) -> None:
    bad = fault(FaultKind.NAN, 5, pictures=["a.png"], timesteps=[3])
    assert play([["state", 3], ["state", 4], ["step", 5], bad], [["finish", 9]]).wait(180) == 0
    (told,) = events(run, "recovering")
    assert (told["why"], told["step"]) == ("nan", 3)
    assert told["changes"] == {"optimizer.rate_scale": pytest.approx(0.3)}
    assert "2 steps are computed again from step 3" in told["message"]
    assert told["details"]["pictures"] == ["a.png"]
    assert [path.name for path in run.state.glob("state-*")] == ["state-00000003.safetensors"]


def test_a_frozen_worker_is_told_of_then_replaced(run: RunFolder, play: Play) -> None:
    hangs = [["step", 1], ["step", 2], ["signal", signal.SIGSTOP]]
    process = play(hangs, [["finish", 2]], settings="[recovery]\nhang_s = 1.0\n")
    warning = wait_for_event(run, "warning")
    assert warning["about"] == "hang"
    assert "after step 2" in warning["message"]
    assert process.wait(180) == 0
    assert events(run, "recovering")[-1]["why"] == "hang"
    assert process_start_s(warning["pid"]) is None


def test_a_full_disk_is_waited_for_and_can_be_stopped(run: RunFolder, play: Play) -> None:
    full = fault(FaultKind.DISK, 3, needed_bytes=1 << 60, folder=str(run.path), path="x")
    process = play([["state", 3], full])
    question = wait_for_event(run, "question")
    assert (question["choices"], question["deadline_t"]) == (["wait", "stop"], None)
    send(run, "answer", question=question["id"], choice="wait")
    until(lambda: len(events(run, "ack")) == 1)
    assert events(run, "answered") == []
    send(run, "stop")
    assert process.wait(180) == 0
    assert glance(run).status is Status.STOPPED


def test_a_worker_that_cannot_even_start_fails_with_its_last_words(run: RunFolder, play: Play) -> None:
    assert play([["exit", 7]]).wait(180) == 1
    failed = events(run, "failed")[-1]
    assert "exit code 7" in failed["message"]
    assert "last words" in failed["message"]


def test_a_stop_reaches_the_worker_and_the_worker_dies_with_its_supervisor(run: RunFolder, play: Play) -> None:
    process = play([["step", 1], ["wait", 1]])
    wait_for_event(run, "step")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(180) == 0
    assert glance(run).status is Status.STOPPED
    second = play([["step", 2], ["wait", 2]])
    wait_for_event(run, "step", lambda event: event["step"] == 2)
    children = Path(f"/proc/{second.pid}/task/{second.pid}/children").read_text().split()
    second.kill()
    second.wait()
    until(lambda: all(process_start_s(int(pid)) is None for pid in children))
    assert not is_held(run)
    assert glance(run).status is Status.LOST


def test_commands_for_the_worker_outlast_a_question(run: RunFolder, play: Play) -> None:
    process = play([["state", 3], fault(FaultKind.MEMORY)], [["wait", 3]], settings=ASK)
    question = wait_for_event(run, "question")
    waiting = send(run, "set_learning_rate", value="1e-6")
    send(run, "answer", question=question["id"], choice="checkpointing")
    wait_for_event(run, "ack", lambda event: event["id"] == waiting)
    process.terminate()
    assert process.wait(180) == 0


def test_a_worker_imports_the_very_package_that_its_supervisor_runs(tmp_path: Path) -> None:
    package = Path(trainer.__file__).parent
    shutil.copytree(package, tmp_path / "trainer", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "where.py").write_text("import trainer\nopen('where', 'w').write(trainer.__file__)\n")
    start = "from pathlib import Path; from trainer.recovery.child import Child; Child(Path(), 'where').end()"
    # From a folder that holds another copy than the one that is installed, as a checkout does.
    subprocess.run([sys.executable, "-c", start], cwd=tmp_path, check=True)
    assert (tmp_path / "where").read_text() == str(tmp_path / "trainer/__init__.py")
