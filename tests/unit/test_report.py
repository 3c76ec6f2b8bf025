"""The report says what a run was, holds all of it, and is harmless whatever the run's texts say."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from tests.support.commands import hypernet
from tests.support.projects import make_run
from trainer.project import create_project
from trainer.report import report_at_end, write_report
from trainer.run.events import EventWriter
from trainer.run.folder import RunFolder

EVIL = "<script>alert(1)</script>\"' onerror=x \x1b[31m\u202e"


class Page(HTMLParser):
    """What is in a page: tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.words += data + "\n"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run whose held-out loss was best at step 30, with previews, a warning and hostile texts."""
    (tmp_path / "pictures").mkdir()
    project = create_project("gollum", tmp_path / "pictures", "/models/x.safetensors", "a1111", tmp_path / "projects")
    folder = make_run(project, {"preview": {"prompt": EVIL}, "training": {"steps": 60}})
    with EventWriter(folder.events_file) as events:
        events.emit("started", pid=1, process_start_s=1.0, host="h", steps=60)
        events.emit("warning", message=f"careful {EVIL}")
        for step in range(61):
            if step:
                events.emit("step", step=step, loss=1 / step, learning_rate=1e-4, grad_norm=1.0, seconds=0.1)
            if step % 10 == 0:
                held_out = 1.0 - step / 60 if step <= 30 else 0.5 + (step - 30) / 40
                events.emit("validated", step=step, held_out=held_out, training=1.0 - step / 80)
                picture = folder.images / f"gollum-{step}.png"
                Image.new("RGB", (64, 64), (step, 0, 0)).save(picture)
                events.emit("preview", step=step, path=str(picture), seconds=0.1)
        events.emit("finished", step=60, seconds=6.0, results=[])
    return folder


def test_all_of_a_run_is_in_one_page_that_asks_for_nothing(run: RunFolder) -> None:
    text = write_report(run).read_text("utf-8")
    page = Page(text)
    sources = [value or "" for name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert not {"script", "link", "iframe", "object", "a"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text
    colours = set()
    for source in sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            colours.add(picture.convert("RGB").getpixel((5, 5)))
    assert colours == {(step, 0, 0) for step in range(0, 61, 10)}


def test_texts_of_the_run_are_shown_as_text(run: RunFolder) -> None:
    text = write_report(run).read_text("utf-8")
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert(1)</script>\"' onerror=x" in Page(text).words


def test_it_tells_verdict_settings_and_use(run: RunFolder) -> None:
    text = write_report(run).read_text("utf-8")
    words = Page(text).words
    assert re.search(r"Best step:\s+30\b", words)
    assert "step 30 ★ best" in words
    assert "<hypernet:gollum:0.8>" in words
    assert "Forge and reForge" in words
    assert re.search(r"<tr class=changed><td>training\.steps</td><td>60<", text)
    assert re.search(r"<tr><td>training\.min_snr_gamma</td>", text)
    assert text.count("<polyline") == 5


def test_the_curve_that_was_judged_is_shown_where_nothing_is_held_out(run: RunFolder) -> None:
    text = run.events_file.read_text().replace('"held_out":', '"held_out":null,"mirrored":')
    run.events_file.write_text(text)
    assert "mirrored pictures" in Page(write_report(run).read_text("utf-8")).words


def test_a_broken_preview_or_a_failure_harms_nothing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.images / "gollum-30.png").write_bytes(b"no picture")
    assert "gollum-30.png cannot be read" in write_report(run).read_text("utf-8")
    before = (run.path / "report.html").read_bytes()
    monkeypatch.setattr("trainer.report.report_html", lambda *_: 1 / 0)
    report_at_end(run)
    assert (run.path / "report.html").read_bytes() == before


def test_the_command_names_the_file(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    said = hypernet(capsys, "report", str(run.path))
    assert said.code == 0, said.err
    assert Path(said.out.strip()).is_file()
