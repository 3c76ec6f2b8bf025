"""Captions by models, from the command and as a job: joined, stopped, gone on with, and never an error in a file."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.captioners import tiny_blip, tiny_deepbooru, tiny_wd
from support.commands import hypernet
from support.photos import copy_photographs

from trainer.captions.files import read_caption
from trainer.captions.undo import undo_last
from trainer.pictures.folder import crop_folder
from trainer.pictures.options import CropOptions
from trainer.project import Project, create_project, open_project
from trainer.run.control import send
from trainer.run.events import read_events
from trainer.run.facts import Situation
from trainer.run.jobs import start_job
from trainer.run.state import replay
from trainer.run.status import Status, read_status

TAGS = (("general", 9), ("long_hair", 0), ("outdoors", 0), ("hatsune_miku", 4))
LIMIT_S = 180.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_blip(folder / "blip")
    tiny_deepbooru(folder / "booru.pt", ("long_hair", "rating:safe", "1girl"))
    tiny_wd(folder / "wd", TAGS)
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    copy_photographs(tmp_path / "pictures", 5)
    made = create_project("heap", tmp_path / "pictures", "", root=tmp_path / "projects")
    crop_folder(made.pictures, made.processed, CropOptions(64), workers=1)
    return made.update(caption={"device": "cpu"}, settings={"data": {"size": 64}})


def captions_of(project: Project) -> dict[str, str]:
    found = {path: read_caption(path) for path in sorted(project.processed.glob("*.png"))}
    return {path.name: caption.text for path, caption in found.items() if caption is not None}


def test_several_captioners_are_joined_in_the_order_asked_for(
    project: Project, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("--set", f"blip.model={models / 'blip'}", "--set", f"deepbooru.model={models / 'booru.pt'}")
    low = ("--set", "deepbooru.threshold=0", "--batch", "2", "--text", "gollum")
    told = hypernet(capfd, "caption", str(project.root), "--with", "text,deepbooru,blip", *options, *low)
    assert told.code == 0, told.said
    assert "5 captions written" in told.out
    assert "Loading" not in told.err
    captions = captions_of(project)
    assert len(captions) == 5
    for text in captions.values():
        assert text.startswith("gollum, 1girl, long hair, ")
        assert len(text.split(", ")) == 4
        assert "rating" not in text
    kept = open_project(project.root).config.caption
    assert (kept.source, kept.batch_size, kept.deepbooru.threshold) == ("text,deepbooru,blip", 2, 0.0)


def test_what_is_done_is_not_done_again_unless_told_so(
    project: Project, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in project.processed.glob("*.png"):
        path.with_suffix(".txt").write_text("old")
    words = ("caption", str(project.root), "--with", "wd", "--existing", "append", "--set", f"wd.model={models / 'wd'}")
    low = ("--set", "wd.threshold=0", "--set", "wd.character_threshold=0")
    assert "5 captions written" in hypernet(capfd, *words, *low).out
    first = captions_of(project)
    assert set(first.values()) != {"old"}
    assert all(text.startswith("hatsune miku, ") and text.endswith(" old") for text in first.values())
    # A caption changed by hand, one removed, one of a new picture.
    edited, removed = sorted(first)[:2]
    (project.processed / edited).with_suffix(".txt").write_text("by hand")
    (project.processed / removed).with_suffix(".txt").unlink()
    told = hypernet(capfd, *words).out
    assert "1 captions written, 4 unchanged" in told
    assert captions_of(project)[edited] == "by hand"
    told = hypernet(capfd, *words, "--again").out
    assert "5 captions written" in told
    assert captions_of(project)[edited].endswith(" by hand")


def test_what_captioning_overwrote_can_be_taken_back(
    project: Project, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = sorted(project.processed.glob("*.png"))[0].with_suffix(".txt")
    own.write_bytes(b"\xef\xbb\xbfold\r\n")
    words = ("caption", str(project.root), "--with", "wd", "--existing", "ignore", "--set", f"wd.model={models / 'wd'}")
    assert hypernet(capfd, *words, "--set", "wd.threshold=0").code == 0
    assert len(captions_of(project)) == 5
    undone = undo_last(project.processed)
    assert len(undone.restored) == 5
    assert own.read_bytes() == b"\xef\xbb\xbfold\r\n"
    assert len(captions_of(project)) == 1
    assert "5 captions written" in hypernet(capfd, *words).out, "taken back is not done"


def test_a_missing_model_is_told_before_anything_starts(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    for name, files, source in (
        ("blip", "config.json", "Salesforce/blip-image-captioning-base"),
        ("wd", "model.onnx, selected_tags.csv", "SmilingWolf/wd-vit-tagger-v3"),
    ):
        told = hypernet(capfd, "caption", str(project.root), "--with", name)
        assert told.code == 1
        assert files in told.err
        assert source in told.err
        assert str(Path("captioners") / name) in told.err
        assert "--with filename" in told.err
    told = hypernet(capfd, "caption", str(project.root), "--with", "wd", "--set", "wd.model=/nowhere/at/all")
    assert "/nowhere/at/all" in told.err
    assert captions_of(project) == {}


def test_files_put_where_the_message_says_are_found(
    project: Project, models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "data" / "hypernet-wizard" / "captioners"
    place.mkdir(parents=True)
    (place / "wd").symlink_to(models / "wd")
    listed = hypernet(capfd, "caption", "--list").out
    assert f"{place / 'wd'}: ready" in listed
    assert "to be downloaded" in listed
    told = hypernet(capfd, "caption", str(project.root), "--with", "wd", "--set", "wd.threshold=0")
    assert told.code == 0, told.err
    assert len(captions_of(project)) == 5


def test_a_picture_that_cannot_be_read_gets_no_error_for_a_caption(
    project: Project, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = sorted(project.processed.glob("*.png"))[2]
    broken.write_bytes(broken.read_bytes()[:400])
    words = ("caption", str(project.root), "--with", "wd", "--set", f"wd.model={models / 'wd'}")
    told = hypernet(capfd, *words, "--set", "wd.threshold=0")
    assert told.code == 0
    assert f"LEFT {broken.name}" in told.out
    assert "4 captions written" in told.out
    assert not broken.with_suffix(".txt").exists()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_caption_job_is_stopped_and_gone_on_with(tmp_path: Path, models: Path) -> None:
    made = create_project("many", tmp_path, "", root=tmp_path / "projects")
    made = made.update(caption={"source": "wd", "wd": {"model": str(models / "wd"), "threshold": 0.0}, "batch_size": 2})
    made.processed.mkdir()
    numbers = np.random.default_rng(0)
    for index in range(30):
        pixels = numbers.integers(0, 255, (400, 400, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(made.processed / f"{index:05d}-0-a.png", compress_level=0)
    job = start_job(made.root, "caption", {})
    until(lambda: len(replay(read_events(job.events_file)).items) >= 3)
    send(job, "stop")
    until(lambda: not read_status(job).is_live)
    assert read_status(job) is Status.STOPPED, job.worker_log.read_text()
    done = len(captions_of(made))
    assert 3 <= done < 30
    again = start_job(made.root, "caption", {})
    until(lambda: not read_status(again).is_live)
    state = replay(read_events(again.events_file))
    assert state.situation is Situation.FINISHED, again.worker_log.read_text()
    statuses = [item.status for item in state.items]
    assert statuses.count("unchanged") == done
    assert statuses.count("written") == 30 - done
    assert len(captions_of(made)) == 30


def test_lack_of_memory_makes_batches_smaller_and_is_told(
    project: Project, models: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from trainer.captions.wd import WdTagger

    write = WdTagger.write

    def narrow(self: WdTagger, pictures: list[Image.Image]) -> list[str]:
        if len(pictures) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return write(self, pictures)

    monkeypatch.setattr(WdTagger, "write", narrow)
    words = ("caption", str(project.root), "--with", "wd", "--set", f"wd.model={models / 'wd'}", "--batch", "4")
    assert hypernet(capfd, *words, "--set", "wd.threshold=0").code == 0
    assert len(captions_of(project)) == 5
    newest = project.root / "jobs" / "caption" / "0001" / "events.jsonl"
    warnings = [event["message"] for event in read_events(newest) if event["kind"] == "warning"]
    assert [text for text in warnings if "going on with 2" in text]
    assert [text for text in warnings if "going on with 1" in text]
