"""`hypernet captions`: seen before it is written, taken back when it was wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.commands import hypernet

from trainer.captions.store import read_stored, write_changes
from trainer.captions.tokens import TokenCounter
from trainer.captions.undo import last_change, undo_last
from trainer.errors import AppError
from trainer.project import Project, create_project

CAPTIONS = {"a": b"cat, sea, red house\n", "b": b"\xef\xbb\xbfdog, sea\r\n", "c": "Zoë's café, sea".encode(), "d": None}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = create_project("heap", tmp_path, "", root=tmp_path / "projects")
    made.processed.mkdir()
    for name, data in CAPTIONS.items():
        Image.new("RGB", (8, 8)).save(made.processed / f"{name}.png")
        if data is not None:
            (made.processed / f"{name}.txt").write_bytes(data)
    return made


def texts(project: Project) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(project.processed.glob("*.txt"))}


def read_json(capfd: pytest.CaptureFixture[str], *words: str) -> Any:
    told = hypernet(capfd, *words, "--json")
    assert told.code == 0, told.err
    return json.loads(told.out)


def test_captions_are_listed_with_their_tokens(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    told = hypernet(capfd, "captions", str(project.root)).out
    assert "a.png (6 of 75 tokens): cat, sea, red house" in told
    assert "no caption file" in told
    listed = read_json(capfd, "captions", str(project.root))["captions"]
    assert [each["text"] for each in listed] == ["cat, sea, red house", "dog, sea", "Zoë's café, sea", ""]
    counted = read_json(capfd, "captions", str(project.root), "--tags")["tags"]
    assert list(counted.items())[:2] == [("sea", 3), ("cat", 1)]


def test_a_change_is_shown_then_written_then_taken_back(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    before = texts(project)
    words = ("captions", str(project.root), "--find", r"\b(cat|dog)\b", "--by", r"big \1", "--regex", "--prefix", "x, ")
    told = hypernet(capfd, *words).out
    assert "- cat, sea, red house\n  + x, big cat, sea, red house" in told
    assert "3 of 4 captions would change" in told
    assert texts(project) == before
    changes = read_json(capfd, *words, "--write")
    assert sorted(changes["written"]) == ["a.png", "b.png", "c.png"]
    assert texts(project)["b"] == b"x, big dog, sea"
    assert texts(project)["c"].decode() == "x, Zoë's café, sea"
    assert "d" not in texts(project), "a picture without a caption is not given one"
    assert "Took back replacing" in hypernet(capfd, "captions", str(project.root), "--undo").out
    assert texts(project) == before, "to the byte: byte order mark and line ends too"
    told = hypernet(capfd, "captions", str(project.root), "--undo")
    assert told.code == 1
    assert "Nothing to undo" in told.err


def test_tags_are_removed_and_sorted(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("captions", str(project.root), "--remove-tag", "cat", "--sort", "count", "--write")
    assert hypernet(capfd, *words).code == 0
    assert texts(project)["a"] == b"sea, red house"
    assert texts(project)["b"] == b"sea, dog"


def test_undoing_and_changing_at_once_is_refused(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    before = texts(project)
    told = hypernet(capfd, "captions", str(project.root), "--undo", "--find", "sea", "--by", "lake", "--write")
    assert told.code == 2
    assert "one at a time" in told.err
    assert texts(project) == before


def test_a_bad_expression_is_one_message(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    told = hypernet(capfd, "captions", str(project.root), "--find", "(", "--regex", "--write")
    assert told.code == 1
    assert "Bad regular expression" in told.err


def test_a_caption_changed_elsewhere_is_left_alone(project: Project) -> None:
    stored = read_stored(project.processed, TokenCounter())
    (project.processed / "b.txt").write_text("somebody else's")
    changes = {stored[f"{name}.png"].picture: "mine" for name in "ab"}
    written, conflicts = write_changes(changes, {each.picture: each.hash for each in stored.values()}, "a test")
    assert [path.name for path in written] == ["a.png"]
    assert [path.name for path in conflicts] == ["b.png"]
    assert texts(project)["b"] == b"somebody else's"


def test_undoing_leaves_what_was_changed_since(project: Project) -> None:
    pictures = {project.processed / f"{name}.png": f"new {name}" for name in "abd"}
    write_changes(pictures, {}, "a test")
    assert last_change(project.processed) == "a test"
    (project.processed / "a.txt").write_text("since")
    undone = undo_last(project.processed)
    assert undone.changed_since == ("a.txt",)
    assert set(undone.restored) == {"b.txt", "d.txt"}
    assert texts(project)["a"] == b"since"
    assert texts(project)["b"] == CAPTIONS["b"]
    assert "d" not in texts(project)


def test_a_damaged_undo_file_restores_what_it_can(project: Project) -> None:
    write_changes({project.processed / f"{name}.png": "new" for name in "ab"}, {}, "a test")
    log = next((project.processed / ".caption-undo").glob("*.jsonl"))
    evil = json.dumps({"name": "../../project.toml", "before": "aGVsbG8=", "after": ""})
    log.write_text(log.read_text()[:-20] + "\n" + evil + "\n")
    undone = undo_last(project.processed)
    assert undone.restored == ("a.txt",)
    assert (project.root / "project.toml").read_text() != "hello"
    with pytest.raises(AppError, match="Nothing to undo"):
        undo_last(project.processed)
