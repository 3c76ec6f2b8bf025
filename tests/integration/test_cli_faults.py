"""Whatever a user gets wrong gives one message that says what, where and what to do; exit code 1, no traceback."""

from pathlib import Path

import pytest

from tests.support.commands import Outcome, hypernet
from tests.support.disks import remount, small_disk
from tests.support.photos import copy_photographs
from trainer.demo.assets import demo_model_dir

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def projects_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERNET_PROJECTS", str(tmp_path / "hypernetworks"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def assert_message(outcome: Outcome, *parts: str) -> None:
    assert outcome.code == 1, outcome.said
    assert "Traceback" not in outcome.said
    assert "\x1b" not in outcome.said
    for part in parts:
        assert part in outcome.err, outcome.said


def new(capfd: Capture, tmp_path: Path, *, name: str = "gollum", model: str = "", pictures: str = "pics") -> Outcome:
    copy_photographs(tmp_path / "pics", 2)
    return hypernet(capfd, "new", name, "--pictures", pictures, "--model", model or str(demo_model_dir()))


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["empty", "model.safetensors"]),
        (b"<!DOCTYPE html><html>Not found</html>", ["web page", "model.safetensors"]),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", ["LFS"]),
        (b"\xff" * 64, ["model.safetensors"]),
    ],
)
def test_a_file_that_is_no_model_is_refused_by_what_it_is(
    capfd: Capture, tmp_path: Path, content: bytes, parts: list[str]
) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    outcome = new(capfd, tmp_path, model="model.safetensors")
    assert_message(outcome, *parts)
    assert not (tmp_path / "hypernetworks").exists()


def test_a_missing_model_and_no_model_at_all_are_told_apart(capfd: Capture, tmp_path: Path) -> None:
    assert_message(new(capfd, tmp_path, model="gone.safetensors"), "gone.safetensors")
    copy_photographs(tmp_path / "pics", 2)
    outcome = hypernet(capfd, "new", "gollum", "--pictures", "pics")
    assert_message(outcome, "No base model", "--model")


def test_the_newest_model_of_an_a1111_folder_is_the_default(capfd: Capture, tmp_path: Path) -> None:
    copy_photographs(tmp_path / "pics", 2)
    models = tmp_path / "stable-diffusion-webui" / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    (models / "broken.safetensors").write_bytes(b"")
    outcome = hypernet(capfd, "new", "gollum", "--pictures", "pics")
    assert "stable-diffusion-webui/models/Stable-diffusion/broken.safetensors" in outcome.out
    assert_message(outcome, "broken.safetensors")


def test_names_pictures_folders_and_projects_that_cannot_be_used(capfd: Capture, tmp_path: Path) -> None:
    assert_message(new(capfd, tmp_path, name="a/b"), "name", "letters, digits")
    assert_message(new(capfd, tmp_path, name="x\x1b[31m\n"), "letters, digits")
    assert_message(new(capfd, tmp_path, pictures="nowhere"), "nowhere is not a folder")
    assert new(capfd, tmp_path).code == 0
    before = snapshot(tmp_path / "hypernetworks")
    assert_message(new(capfd, tmp_path), "already holds a project")
    assert_message(hypernet(capfd, "crop", "golum"), "golum", "Did you mean gollum?")
    assert snapshot(tmp_path / "hypernetworks") == before


def test_steps_out_of_order_say_which_one_is_missing(capfd: Capture, tmp_path: Path) -> None:
    new(capfd, tmp_path)
    assert_message(hypernet(capfd, "caption", "gollum"), "hypernet crop gollum")
    assert_message(hypernet(capfd, "train", "gollum"), "hypernet crop gollum")


def test_an_empty_picture_folder_and_one_without_pictures(capfd: Capture, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert new(capfd, tmp_path, pictures="empty").code == 0
    assert_message(hypernet(capfd, "crop", "gollum"), "empty")
    (tmp_path / "empty" / "notes.png").write_text("not a picture")
    assert_message(hypernet(capfd, "crop", "gollum"), "notes.png")


def test_few_pictures_are_a_warning_with_the_reason(capfd: Capture, tmp_path: Path) -> None:
    new(capfd, tmp_path)
    outcome = hypernet(capfd, "crop", "gollum", "--size", "64")
    assert outcome.code == 0
    assert "10" in outcome.err


def test_bad_settings_and_wrong_usage_have_their_own_exit_codes(capfd: Capture, tmp_path: Path) -> None:
    new(capfd, tmp_path)
    assert_message(hypernet(capfd, "train", "gollum", "--set", "training.stpes=5"), "training.steps")
    assert_message(hypernet(capfd, "train", "gollum", "--preset", "tutorail"), "tutorial")
    assert hypernet(capfd, "train", "gollum", "--no-such-option").code == 2
    assert hypernet(capfd, "no-such-command").code == 2


def test_a_damaged_project_file_is_named_with_its_line(capfd: Capture, tmp_path: Path) -> None:
    new(capfd, tmp_path)
    file = tmp_path / "hypernetworks" / "gollum" / "project.toml"
    file.write_text("schema_version = 1\nname = \n")
    assert_message(hypernet(capfd, "crop", "gollum"), "project.toml", "line 2")


def test_an_unknown_run_is_named(capfd: Capture, tmp_path: Path) -> None:
    new(capfd, tmp_path)
    assert_message(hypernet(capfd, "status", "gollum"), "gollum")


def test_a_read_only_disk_is_named_and_nothing_is_left_behind(capfd: Capture, tmp_path: Path) -> None:
    with small_disk(tmp_path / "hypernetworks", "8m") as disk:
        assert new(capfd, tmp_path).code == 0
        before = snapshot(disk)
        remount(disk, "ro")
        assert_message(hypernet(capfd, "crop", "gollum", "--size", "64"), "ead-only")
        assert_message(new(capfd, tmp_path, name="other"), "ead-only")
        assert snapshot(disk) == before


def test_a_full_disk_while_cropping_is_named_and_leaves_no_torn_file(capfd: Capture, tmp_path: Path) -> None:
    with small_disk(tmp_path / "hypernetworks", "600k") as disk:
        assert new(capfd, tmp_path).code == 0
        assert_message(hypernet(capfd, "crop", "gollum", "--size", "512"), "o space left")
        assert not list(disk.rglob("*.tmp"))
        remount(disk, "size=8m")
        assert hypernet(capfd, "crop", "gollum", "--size", "512").code == 0
