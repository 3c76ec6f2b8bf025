"""The event log: whole lines, whatever crashes, fills up or comes in between."""

import errno
import json
import os
import threading
import time
from pathlib import Path

import pytest

from trainer.run.events import EventReader, EventWriter, read_events, skim_events
from trainer.run.heartbeat import Heartbeat


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_an_event_has_version_number_time_and_kind(log: Path) -> None:
    with EventWriter(log, clock=lambda: 1000.25) as writer:
        writer.emit("step", step=1, loss=0.5)
        writer.emit("warning", message="new\nline \x1b[31m \udc80")
    first, second = read_events(log)
    assert first == {"v": 1, "seq": 1, "t": 1000.25, "kind": "step", "step": 1, "loss": 0.5}
    assert second["message"] == "new\nline \x1b[31m \udc80"
    assert log.read_bytes().count(b"\n") == 2
    assert b"\x1b" not in log.read_bytes()
    assert log.stat().st_mode & 0o777 == 0o600


def test_numbers_that_are_not_finite_stay_readable_json(log: Path) -> None:
    with EventWriter(log) as writer:
        writer.emit("step", step=1, loss=float("nan"), more={"norms": [float("inf"), 1.0]}, path=Path("a/b"))
    line = json.loads(log.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert line["loss"] == "nan"
    assert line["more"] == {"norms": ["inf", 1.0]}
    assert line["path"] == "a/b"


def test_a_payload_cannot_replace_what_every_event_has(log: Path) -> None:
    with EventWriter(log) as writer, pytest.raises(ValueError, match="seq"):
        writer.emit("step", seq=7)


def test_a_log_is_continued_after_a_torn_line(log: Path) -> None:
    with EventWriter(log) as writer:
        writer.emit("a")
        writer.emit("b")
    with open(log, "ab") as file:
        file.write(b'{"v":1,"seq":3,"t":1.0,"ki')
    with EventWriter(log) as writer:
        writer.emit("c")
    reader = EventReader(log)
    assert [(event["seq"], event["kind"]) for event in reader.new()] == [(1, "a"), (2, "b"), (3, "c")]
    assert reader.skipped == 1


def test_numbers_go_on_in_a_log_longer_than_what_is_looked_at(log: Path) -> None:
    with EventWriter(log) as writer:
        writer.emit("a")
    with open(log, "ab") as file:
        file.write(b"rubbish without a number\n" * 20_000)
    with EventWriter(log) as writer:
        assert writer.emit("b")["seq"] == 2


def test_a_reader_keeps_an_unfinished_line_for_later(log: Path) -> None:
    reader = EventReader(log)
    assert reader.new() == []
    log.write_bytes(b'{"seq":1,"t":1,"kind":"a"}\n{"seq":2,"t"')
    assert [event["kind"] for event in reader.new()] == ["a"]
    assert reader.new() == []
    with open(log, "ab") as file:
        file.write(b':2,"kind":"b"}\n')
    assert [event["kind"] for event in reader.new()] == ["b"]
    assert reader.skipped == 0


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\x00\x00",
        b"",
        b"[]",
        b"7",
        b'"kind"',
        b'{"kind":"a"}',
        b'{"kind":7,"t":1}',
        b'{"t":1} {"kind":"a"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_lines_that_are_no_events_are_counted_and_skipped(log: Path, line: bytes) -> None:
    log.write_bytes(line + b'\n{"seq":1,"t":1,"kind":"never heard of","x":[1]}\n')
    reader = EventReader(log)
    assert [event["kind"] for event in reader.new()] == ["never heard of"]
    assert reader.skipped == 1


def test_threads_write_whole_lines_with_numbers_in_order(log: Path) -> None:
    with EventWriter(log) as writer:
        threads = [threading.Thread(target=lambda: [writer.emit("x", text="y" * 500) for _ in range(200)])] * 1
        threads += [threading.Thread(target=lambda: [writer.emit("x") for _ in range(200)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [event["seq"] for event in read_events(log)] == list(range(1, 801))


def test_a_full_disk_leaves_no_half_event(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    writer = EventWriter(log)
    writer.emit("a")
    monkeypatch.setattr(os, "write", lambda handle, data: real_write(handle, data[:10]))
    with pytest.raises(OSError, match="No space") as caught:
        writer.emit("b")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    writer.emit("c")
    reader = EventReader(log)
    assert [(event["seq"], event["kind"]) for event in reader.new()] == [(1, "a"), (2, "c")]
    assert reader.skipped == 0


def test_half_an_event_that_cannot_be_taken_back_spoils_no_other(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write

    def refuse(path: object, size: int) -> None:
        raise PermissionError(errno.EPERM, "append only")

    writer = EventWriter(log)
    monkeypatch.setattr(os, "write", lambda handle, data: real_write(handle, data[:10]))
    monkeypatch.setattr(os, "truncate", refuse)
    with pytest.raises(OSError, match="No space"):
        writer.emit("a")
    monkeypatch.undo()
    writer.emit("b")
    assert [event["kind"] for event in read_events(log)] == ["b"]


def test_skimming_keeps_both_ends_and_looks_as_far_back_as_needed(log: Path) -> None:
    with EventWriter(log) as writer:
        writer.emit("started")
        for number in range(2000):
            writer.emit("step", step=number)
        writer.emit("paused")
        for _ in range(300):
            writer.emit("heartbeat")
    head, tail = skim_events(log, lambda event: event["kind"] == "paused", head_bytes=200, tail_bytes=500)
    assert head[0]["kind"] == "started"
    assert "paused" in [event["kind"] for event in tail]
    numbers = [event["seq"] for event in head + tail]
    assert len(numbers) == len(set(numbers)) < 2302
    assert numbers[-1] == 2302
    assert skim_events(log, lambda event: True)[1] == []


def test_heartbeats_fill_silence_only(log: Path) -> None:
    with EventWriter(log) as writer, Heartbeat(writer, every_s=0.15):
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            writer.emit("step")
            time.sleep(0.01)
        assert {event["kind"] for event in read_events(log)} == {"step"}
        deadline = time.monotonic() + 5
        while read_events(log)[-1]["kind"] != "heartbeat" and time.monotonic() < deadline:
            time.sleep(0.02)
    assert read_events(log)[-1]["kind"] == "heartbeat"
