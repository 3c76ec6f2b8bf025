"""Caption files in any encoding, words of file names, templates and tags by A1111's rules."""

import random
from pathlib import Path

import pytest

from trainer.captions import patterns
from trainer.captions.filename import words_of
from trainer.captions.files import caption_for, read_caption, write_caption
from trainer.captions.folder import caption_folder, each
from trainer.captions.record import CaptionRecord
from trainer.captions.templates import fill, load_template, template_names, vary_tags
from trainer.errors import AppError


@pytest.mark.parametrize(
    ("data", "text", "note"),
    [
        (b"a cup of coffee", "a cup of coffee", ""),
        ("a café, 猫 🧙".encode(), "a café, 猫 🧙", ""),
        (b"\xef\xbb\xbfwith a mark\r\n", "with a mark", ""),
        ("utf-16".encode("utf-16"), "utf-16", ""),
        (b"first\r\nsecond\rthird\n", "first\nsecond\nthird", ""),
        ("caf\u00e9 \u2019s".encode("cp1252"), "café ’s", "Windows-1252"),
        (b"gap \x81\xe9", "gap \x81é", "Latin-1"),
        (b"ze\x00ro", "zero", "zero bytes"),
        (b"", "", ""),
    ],
)
def test_captions_are_read_whatever_their_encoding(tmp_path: Path, data: bytes, text: str, note: str) -> None:
    (tmp_path / "cat.txt").write_bytes(data)
    caption = read_caption(tmp_path / "cat.png")
    assert caption is not None
    assert caption.text == text
    assert note in "".join(caption.notes)
    assert bool(caption.notes) == bool(note)


def test_ten_thousand_words_are_read_whole_and_a_gigantic_file_in_part(tmp_path: Path) -> None:
    words = " ".join(f"wörd{number}" for number in range(10_000))
    (tmp_path / "long.txt").write_text(words, encoding="utf-8")
    assert caption_for(tmp_path / "long.png") == words
    (tmp_path / "huge.txt").write_text("é" * 700_000, encoding="utf-8")
    caption = read_caption(tmp_path / "huge.png")
    assert caption is not None
    assert set(caption.text) == {"é"}
    assert "longer than" in caption.notes[0]


def test_missing_empty_and_unreadable_captions(tmp_path: Path) -> None:
    assert read_caption(tmp_path / "none.png") is None
    assert caption_for(tmp_path / "00012-0-red cat.png") == "red cat"
    (tmp_path / "00012-0-red cat.txt").write_text("")
    assert caption_for(tmp_path / "00012-0-red cat.png") == ""
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(AppError, match="is a directory"):
        read_caption(tmp_path / "folder.png")


def test_written_captions_are_utf8_and_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    path = write_caption(tmp_path / "a.b.png", "naïve 🧙\x1b[31m")
    assert path == tmp_path / "a.b.txt"
    assert path.read_bytes() == "naïve 🧙\x1b[31m".encode()
    with pytest.raises(AppError, match="Cannot write a caption"):
        write_caption(tmp_path / "nowhere" / "x.png", "text")


@pytest.mark.parametrize(
    ("stem", "regex", "join", "words"),
    [
        ("00012-0-a man with hat", "", " ", "a man with hat"),
        ("2023-05-06 beach", "", " ", "beach"),
        ("IMG_1234", "", " ", "IMG_1234"),
        ("007", "", " ", ""),
        ("00001-0-red_cat-sits", r"[a-z]+", ", ", "red, cat, sits"),
        ("red cat", r"(r)(e)d|cat", "+", "re+"),
        ("cat", r"\d+", " ", ""),
    ],
)
def test_words_of_file_names(stem: str, regex: str, join: str, words: str) -> None:
    assert words_of(stem, regex, join) == words


def test_bad_expression_names_the_field() -> None:
    with pytest.raises(AppError, match=r"data\.filename_regex"):
        words_of("cat", "(")


def test_an_expression_that_takes_for_ever_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "PATIENCE_S", 0.2)
    with pytest.raises(AppError, match=r"takes too long: data\.filename_regex is"):
        words_of("a" * 200 + "!", "(a|aa)+$")


def test_templates_that_ship() -> None:
    assert set(template_names()) == {
        "filewords", "hypernetwork", "none", "style", "style_filewords", "subject", "subject_filewords"
    }  # fmt: skip
    assert load_template("filewords") == ("[filewords]",)
    lines = {name: load_template(name) for name in template_names()}
    assert [len(lines[name]) for name in ("hypernetwork", "subject", "subject_filewords")] == [27] * 3
    assert [len(lines[name]) for name in ("style", "style_filewords")] == [19] * 2
    assert all("[filewords]" in line and "[name]" not in line for line in lines["hypernetwork"])
    assert all("[filewords]" in line and "[name]" in line for line in lines["style_filewords"])
    assert all(len(set(each)) == len(each) for each in lines.values())


def test_own_templates_are_read_and_blank_lines_are_empty_prompts(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(b"\xef\xbb\xbf  a [name] \r\n\r\n[filewords]\r\n")
    assert load_template(str(path)) == ("a [name]", "", "[filewords]")
    path.write_text("\n \n")
    with pytest.raises(AppError, match="holds no line"):
        load_template(str(path))
    with pytest.raises(AppError, match="Did you mean hypernetwork") as caught:
        load_template("hypernetworks")
    assert "data.template" in caught.value.message


def test_fill_is_plain_replacement() -> None:
    assert fill("a [name], [filewords], [other]", "gollum", "by a [name]") == "a gollum, by a gollum, [other]"
    assert fill(r"[filewords]", "x", r"\1 {0} %s") == r"\1 {0} %s"


class Scripted:
    """A generator that gives the numbers it was given, and reverses instead of shuffling."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)

    def shuffle(self, x: list[str], /) -> None:
        x.reverse()


def test_tags_are_dropped_then_shuffled_untrimmed() -> None:
    assert vary_tags("a, b,c", shuffle=False, dropout=0.0, rng=Scripted()) == "a, b,c"
    assert vary_tags("a, b,c", shuffle=False, dropout=0.5, rng=Scripted(0.9, 0.5, 0.6)) == "a,c"
    assert vary_tags("a, b,c", shuffle=True, dropout=0.5, rng=Scripted(0.9, 0.51, 0.1)) == " b,a"
    assert vary_tags("a, b,c", shuffle=True, dropout=1.0, rng=random.Random(0)) == ""
    shuffled = vary_tags("a,b,c,d,e", shuffle=True, dropout=0.0, rng=random.Random(1))
    assert shuffled != "a,b,c,d,e"
    assert sorted(shuffled.split(",")) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ("ignore", {"own": "new", "inherits": "new", "bare": "new"}),
        ("keep", {"own": "old", "inherits": "from source", "bare": "new"}),
        ("prepend", {"own": "old new", "inherits": "from source new", "bare": "new"}),
        ("append", {"own": "new old", "inherits": "new from source", "bare": "new"}),
    ],
)
def test_existing_captions(tmp_path: Path, existing: str, expected: dict[str, str]) -> None:
    (tmp_path / "own.txt").write_text("old")
    (tmp_path / "source.txt").write_text("from source\n")
    crops = [tmp_path / f"{name}.png" for name in expected]
    report = caption_folder(
        crops,
        each(lambda crop: "new"),
        existing=existing,
        source_of={"inherits.png": tmp_path / "source.png", "own.png": tmp_path / "source.png"},
    )
    assert {name: (tmp_path / f"{name}.txt").read_text() for name in expected} == expected
    assert report.unchanged == (("own.png",) if existing == "keep" else ())
    assert report.without == ()


@pytest.mark.parametrize("killed", ["before", "after"])
def test_a_kill_around_the_writing_adds_no_caption_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    """The process is gone just before the caption is in its place, or just after: nothing else was written then."""
    picture = tmp_path / "a.png"
    picture.write_bytes(b"pixels")
    (tmp_path / "a.txt").write_text("old")

    def write_and_die(crop: Path, text: str) -> None:
        if killed == "after":
            write_caption(crop, text)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("trainer.captions.folder.write_caption", write_and_die)
        patched.setattr(CaptionRecord, "note", lambda *_any: None)
        with pytest.raises(KeyboardInterrupt):
            caption_folder([picture], each(lambda crop: "new"), existing="append", recipe="one")
    for _ in range(2):
        caption_folder([picture], each(lambda crop: "new"), existing="append", recipe="one")
        assert (tmp_path / "a.txt").read_text() == "new old"
    (tmp_path / "a.txt").write_text("by hand")  # what is done stays done, edited or not
    caption_folder([picture], each(lambda crop: "new"), existing="append", recipe="one")
    assert (tmp_path / "a.txt").read_text() == "by hand"


def test_nothing_to_write_writes_no_file(tmp_path: Path) -> None:
    report = caption_folder([tmp_path / "a.png"], each(lambda crop: " "))
    assert report.without == ("a.png",)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.txt").write_text("old")
    report = caption_folder([tmp_path / "a.png"], each(lambda crop: ""), existing="ignore")
    assert (report.without, report.unchanged) == ((), ("a.png",))
    assert (tmp_path / "a.txt").read_text() == "old"
