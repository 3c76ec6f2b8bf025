"""Captions as an editor holds them: written only over what was read."""

from pathlib import Path

import pytest
from PIL import Image

from trainer.captions import undo
from trainer.captions.store import hash_of, read_stored, write_changes
from trainer.captions.tokens import TokenCounter
from trainer.captions.undo import last_change, undo_last


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa cat\r\nat sea\r\n")
    (tmp_path / "b.txt").write_text("")
    return tmp_path


def test_captions_are_read_with_their_length_and_what_is_missing(folder: Path) -> None:
    read = read_stored(folder, TokenCounter())
    assert [(each.text, each.is_there, each.tokens) for each in read.values()] == [
        ("a cat\nat sea", True, 4), ("", True, 0), ("", False, 0),
    ]  # fmt: skip
    assert read_stored(folder / "nowhere", TokenCounter()) == {}


def test_what_others_changed_is_left_alone_and_the_rest_can_be_taken_back(folder: Path) -> None:
    read = read_stored(folder, TokenCounter())
    before = (folder / "a.txt").read_bytes()
    (folder / "b.txt").write_text("theirs")
    pictures = [each.picture for each in read.values()]
    known = {each.picture: each.hash for each in read.values()}
    written, conflicts = write_changes(dict.fromkeys(pictures, "mine"), known, "a test")
    assert [path.name for path in written] == ["a.png", "c.png"]
    assert [path.name for path in conflicts] == ["b.png"]
    assert (folder / "b.txt").read_text() == "theirs"
    assert read_stored(folder, TokenCounter())["c.png"].hash == hash_of("mine")
    assert undo_last(folder).restored == ("a.txt", "c.txt")
    assert (folder / "a.txt").read_bytes() == before
    assert not (folder / "c.txt").exists()


def test_hundreds_of_single_edits_can_be_taken_back_one_by_one(folder: Path) -> None:
    for number in range(510):
        write_changes({folder / "c.png": f"text {number}"}, {}, f"edit {number}")
    for number in reversed(range(510)):
        assert last_change(folder) == f"edit {number}"
        undo_last(folder)
    assert not (folder / "c.txt").exists()
    assert last_change(folder) == ""


def test_large_changes_do_not_fill_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "KEPT_BYTES", 30_000)
    for number in range(40):
        write_changes({folder / "c.png": f"{number} " + "x" * 1_000}, {}, f"edit {number}")
    kept = sorted((folder / undo.UNDO_FOLDER).iterdir())
    assert undo.KEPT_ALWAYS <= len(kept) < 30
    assert last_change(folder) == "edit 39"
