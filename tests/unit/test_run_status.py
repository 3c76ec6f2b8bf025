"""How a run stands: one judgement of lock, last event and age."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from trainer.run.events import EventWriter
from trainer.run.folder import RunFolder
from trainer.run.lock import RunLock, is_held, owner
from trainer.run.report import details, status_lines, summary, table_lines
from trainer.run.state import replay
from trainer.run.status import Status, glance, status_of

STARTED: dict[str, Any] = {"kind": "started", "t": 0, "pid": 1, "steps": 10}
STEP: dict[str, Any] = {"kind": "step", "t": 1, "step": 1, "loss": 0.1}


def failed(error: str) -> dict[str, Any]:
    return {"kind": "failed", "t": 2, "error": error, "message": "m", "hint": "h"}


@pytest.mark.parametrize(
    ("events", "held", "age_s", "status"),
    [
        ([], False, 1, Status.STARTING),
        ([], True, 1, Status.STARTING),
        ([], False, 1000, Status.LOST),
        ([STARTED], True, 1, Status.STARTING),
        ([STARTED], False, 1, Status.LOST),
        ([STARTED, STEP], True, 1, Status.RUNNING),
        ([STARTED, STEP], True, -5, Status.RUNNING),
        ([STARTED, STEP], True, 31, Status.STALLED),
        ([STARTED, STEP], False, 1, Status.LOST),
        ([STARTED, STEP, {"kind": "paused", "t": 2, "step": 1}], True, 1, Status.PAUSED),
        ([STARTED, STEP, {"kind": "paused", "t": 2, "step": 1}], False, 1, Status.LOST),
        ([{"kind": "question", "t": 2, "id": "q", "text": "?", "choices": []}], True, 1, Status.NEEDS_YOU),
        ([STARTED, {"kind": "ack", "t": 2, "id": "i", "command": "stop"}], True, 1, Status.STOPPING),
        ([STARTED, {"kind": "recovering", "t": 2, "why": "memory"}], False, 1, Status.STARTING),
        ([STARTED, {"kind": "recovering", "t": 2, "why": "memory"}], False, 1000, Status.LOST),
        ([STARTED, {"kind": "stopped", "t": 2, "step": 1}], False, 1000, Status.STOPPED),
        ([STARTED, {"kind": "finished", "t": 2, "step": 1}], True, 1000, Status.FINISHED),
        ([STARTED, failed("Bad file")], False, 1000, Status.FAILED),
        ([STARTED, failed("torch.OutOfMemoryError")], False, 1000, Status.OUT_OF_MEMORY),
        ([STARTED, failed("Out of memory")], False, 1000, Status.OUT_OF_MEMORY),
    ],
)
def test_status(events: list[dict[str, Any]], held: bool, age_s: float, status: Status) -> None:
    assert status_of(replay(events), held, age_s) is status


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "gollum/output", "gollum", date(2026, 11, 23))


def test_a_pause_is_seen_behind_a_night_of_heartbeats(run: RunFolder) -> None:
    with RunLock(run), EventWriter(run.events_file) as writer:
        writer.emit("started", pid=1, host="h", steps=10)
        for number in range(1, 1500):
            writer.emit("step", step=number, loss=0.1, learning_rate=1e-5, seconds=1.0)
        writer.emit("paused", step=1499)
        for _ in range(6000):
            writer.emit("heartbeat")
        assert glance(run).status is Status.PAUSED
        assert glance(run).state.step == 1499
    assert glance(run).status is Status.LOST


def test_the_time_told_of_a_long_log_is_without_the_pause_in_its_middle(run: RunFolder) -> None:
    clock = iter(range(10**6))
    with EventWriter(run.events_file, lambda: next(clock)) as writer:
        writer.emit("started", pid=1, host="h", steps=10**4)
        for number in range(1, 6000):
            if number == 3000:
                writer.emit("paused", step=2999)
                clock = iter(range(10**5, 10**6))
                writer.emit("resumed", step=2999)
            writer.emit("step", step=number, loss=0.1, learning_rate=1e-5, seconds=1.0)
    look = glance(run)
    assert look.state.elapsed_s > 10**5
    assert details(look)["elapsed_s"] == 6000
    assert "01:40:00 so far, on h" in status_lines(look)


def test_the_lock_is_seen_by_others_and_names_its_holder(run: RunFolder) -> None:
    assert owner(run) is None
    assert not is_held(run)
    with RunLock(run):
        assert is_held(run)
        holder = owner(run)
        assert holder is not None
        assert holder.is_alive
    assert not is_held(run)


def test_a_damaged_lock_file_names_nobody(run: RunFolder) -> None:
    run.lock_file.write_bytes(b"\xff not json")
    assert owner(run) is None
    assert not is_held(run)
    with RunLock(run):
        assert owner(run) is not None


def test_reports_are_plain_and_harmless(run: RunFolder) -> None:
    with EventWriter(run.events_file) as writer:
        writer.emit("started", pid=1, host="h", steps=10)
        writer.emit("step", step=1, loss=0.5, learning_rate=1e-5, seconds=1.0)
        writer.emit("preview", step=1, path="\x1b[31m.png")
        writer.emit("failed", error="Bad file", message="x.pt is \x1b[2J broken.", hint="Take another.")
    look = glance(run)
    text = status_lines(look)
    assert text[0] == "gollum/2026-11-23/gollum: failed"
    assert text[-3:-1] == ["Take another.", f"`hypernet resume {run.argument}` goes on from the last state"]
    assert all(line.isprintable() for line in text)
    assert table_lines([look])[0].startswith("gollum/2026-11-23/gollum  failed")
    assert summary(look)["step"] == 1
    assert details(look)["failure"]["error"] == "Bad file"
    assert details(look)["worker_pid"] is None
