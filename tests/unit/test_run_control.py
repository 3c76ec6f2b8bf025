"""Commands: each obeyed once, in order, whatever else lies in the folder."""

import errno
import os
from datetime import date
from pathlib import Path

import pytest

from trainer.errors import AppError
from trainer.run.control import Commands, discard, send
from trainer.run.events import EventWriter, read_events
from trainer.run.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "p/output", "p", date(2026, 11, 23))


def test_commands_arrive_in_order_and_are_acknowledged_once(run: RunFolder) -> None:
    sent = [send(run, "pause"), send(run, "set_learning_rate", value="1e-4:10, 1e-5"), send(run, "resume")]
    with EventWriter(run.events_file) as writer:
        commands = Commands(run, writer)
        taken = commands.take()
        assert commands.take() == []
    assert [command.id for command in taken] == sent
    assert [command.name for command in taken] == ["pause", "set_learning_rate", "resume"]
    assert taken[1].fields == {"value": "1e-4:10, 1e-5"}
    acks = read_events(run.events_file)
    assert [(ack["kind"], ack["id"]) for ack in acks] == [("ack", id_) for id_ in sent]
    assert list(run.control.iterdir()) == []


@pytest.mark.parametrize("value", ["", "fast", "1e-5:x", "-1", "nan", "0", "1e-5:100, 0"])
def test_a_rate_that_cannot_be_read_is_refused_before_it_is_sent(run: RunFolder, value: str) -> None:
    with pytest.raises(AppError, match="set_learning_rate"):
        send(run, "set_learning_rate", value=value)
    assert list(run.control.iterdir()) == []


def test_fields_are_checked(run: RunFolder) -> None:
    with pytest.raises(AppError, match="choice"):
        send(run, "answer", question="q")
    with pytest.raises(ValueError, match="Did you mean pause"):
        send(run, "paus")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"command": 7}',
        b'{"command": "format disk"}',
        b'{"command": "pause", "x": 1}',
        b'{"command": "set_learning_rate", "value": 5}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b" " * (1 << 20) + b"{}",
    ],
)
def test_what_is_no_command_is_put_aside_with_a_warning(run: RunFolder, content: bytes) -> None:
    (run.control / "0000 \x1b[31m.json").write_bytes(content)
    send(run, "save")
    with EventWriter(run.events_file) as writer:
        assert [command.name for command in Commands(run, writer).take()] == ["save"]
        assert Commands(run, writer).take() == []
    warning, ack = read_events(run.events_file)
    assert (warning["kind"], ack["kind"]) == ("warning", "ack")
    assert warning["message"].isprintable()
    assert [path.suffix for path in run.control.iterdir()] == [".bad"]


def test_neither_links_nor_folders_nor_unfinished_files_are_commands(run: RunFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text('{"command": "stop"}')
    (run.control / "1.json").symlink_to(outside)
    (run.control / "2.json").mkdir()
    (run.control / ".3.json.abc.tmp").write_text('{"command": "stop"}')
    with EventWriter(run.events_file) as writer:
        assert Commands(run, writer).take() == []
    assert outside.exists()


def test_a_full_disk_does_not_keep_a_worker_from_obeying(run: RunFolder) -> None:
    class FullDisk(EventWriter):
        def emit(self, kind: str, **payload: object) -> dict[str, object]:
            raise OSError(errno.ENOSPC, "No space left on device")

    send(run, "stop")
    with FullDisk(run.events_file) as writer:
        assert [command.name for command in Commands(run, writer).take()] == ["stop"]
        assert Commands(run, writer).take() == []


def test_a_command_that_another_process_takes_first_is_nobodys_trouble(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(run, "stop")
    with EventWriter(run.events_file) as writer:
        names = os.listdir(run.control)
        assert [command.name for command in Commands(run, writer).take(("stop",))] == ["stop"]
        monkeypatch.setattr(os, "listdir", lambda folder: names)
        assert Commands(run, writer).take() == []
    assert [event["kind"] for event in read_events(run.events_file)] == ["ack"]


def test_commands_for_a_worker_that_is_gone_can_be_dropped(run: RunFolder) -> None:
    send(run, "stop")
    discard(run)
    with EventWriter(run.events_file) as writer:
        assert Commands(run, writer).take() == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "absent")
    with pytest.raises(AppError, match="Command not delivered"):
        send(run, "pause")
