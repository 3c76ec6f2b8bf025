"""Files are replaced whole or not at all, and outside text cannot speak to the terminal."""

import os
import socket
import urllib.error
from pathlib import Path

import pytest

from trainer.files import replace_atomic, write_atomic
from trainer.network import network_reason
from trainer.text import duration_text, nearest, printable, size_text, without_options


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def fail() -> None:
        with replace_atomic(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_names_of_full_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("😀" * 62 + ".txt")
    write_atomic(path, "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\nb", "a\rb", "\x00", "a\u202eb", "\u2028", "\udc80", "\x9b1m"])
def test_nothing_that_controls_a_terminal_gets_through(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert "\\" in shown
    shown.encode("utf-8")


def test_harmless_text_stays_as_it_is_and_long_text_is_cut_in_the_middle() -> None:
    assert printable("[bold] Zürich 猫 😀 'x'") == "[bold] Zürich 猫 😀 'x'"
    cut = printable("a" * 200 + "z" * 200, 101)
    assert len(cut) == 101
    assert cut.startswith("aaa")
    assert cut.endswith("zzz")


def test_figures_for_people() -> None:
    assert (size_text(0), size_text(1536), size_text(3.25 * 2**30)) == ("0 B", "1.5 KiB", "3.2 GiB")
    assert (duration_text(59.6), duration_text(3661)) == ("00:01:00", "01:01:01")
    assert duration_text(20 * 86_400) == "20 days"
    assert nearest("stpes", ["steps", "size"]) == " Did you mean steps?"
    assert nearest("zzz", ["steps"]) == ""


def test_messages_lose_what_only_a_command_line_needs() -> None:
    told = "Take another (--name), or crop (`hypernet crop NAME`); complete files (1 of 2) are kept."
    assert without_options(told) == "Take another, or crop; complete files (1 of 2) are kept."


def test_a_name_that_is_not_resolved_is_told_in_plain_words() -> None:
    unknown = urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))
    wrapped = RuntimeError("[Errno -2] Name or service not known")
    wrapped.__cause__ = unknown
    for error in (unknown, wrapped):
        assert network_reason(error) == "the server's name can't be resolved: no network, or a wrong address"
    assert network_reason(OSError("closed\nmore")) == "closed"
    assert network_reason(TimeoutError()) == "TimeoutError"
