"""Every file that is no usable picture is named with its reason."""

import os
from pathlib import Path

import pytest
from PIL import Image
from support.hostile import write_bomb, write_cut_short
from support.photos import copy_photographs, photograph, photographs

from trainer.errors import AppError
from trainer.pictures.look import few_pictures_warning, look, picture_files
from trainer.pictures.options import CropOptions


def test_real_photographs_can_be_used() -> None:
    for path in photographs():
        assert look(path, CropOptions(256)).status == "fine", path.name


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.png", b"", "empty (0 bytes)"),
        ("notes.png", b"Dear diary,\nno picture.", "a text file"),
        ("page.jpg", b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        ("drawing.png", b'<?xml version="1.0"?><svg width="9"/>', "an SVG drawing"),
        ("paper.jpg", b"%PDF-1.7\n\x00\x01", "a PDF document"),
        ("noise.jpg", bytes(range(200, 256)) * 3, "not a picture in a format"),
        ("header.png", b"\x89PNG\r\n\x1a\n", "header is damaged"),
        ("phone.heic", b"\x00\x00\x00\x18ftypheic" + bytes(60), "HEIF"),
    ],
)
def test_files_that_are_no_pictures(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert picture_files(tmp_path) == [path]
    seen = look(path, CropOptions(512))
    assert seen.status == "left-out"
    assert not seen.usable
    assert reason in seen.reason
    assert path.read_bytes() == content


def test_files_cut_in_half_are_left_out_in_every_format(tmp_path: Path) -> None:
    for path in write_cut_short(tmp_path):
        seen = look(path, CropOptions(128))
        assert seen.status == "left-out", path.name
        assert "cut short" in seen.reason or "damaged" in seen.reason, path.name


def test_bomb_and_dangling_link(tmp_path: Path) -> None:
    assert "megapixels" in look(write_bomb(tmp_path / "bomb.png")).reason
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert [path.name for path in picture_files(tmp_path)] == ["bomb.png", "gone.png"]
    assert "cannot be read" in look(tmp_path / "gone.png").reason


def test_one_pixel_is_too_small_and_small_ones_say_how_much(tmp_path: Path) -> None:
    with Image.open(photograph("chelsea")) as photo:
        photo.resize((1, 1)).save(tmp_path / "one.png")
        photo.resize((100, 60)).save(tmp_path / "tiny.png")
    assert look(tmp_path / "one.png").reason == "it is too small: 1×1 pixels"
    assert "too small: 100×60 pixels would be enlarged 9 times" in look(tmp_path / "tiny.png", CropOptions(512)).reason
    small = look(photograph("chelsea"), CropOptions(512))
    assert small.status == "warning"
    assert small.notes == ("it is small (451×300) and would be enlarged by 71%",)
    assert "enlarged 2.6 times" in look(photograph("chelsea"), CropOptions(768)).notes[0]


def test_wrong_extension_and_animation_are_used_and_noted(tmp_path: Path) -> None:
    with Image.open(photograph("astronaut")) as photo:
        photo.thumbnail((128, 128))
        photo.save(tmp_path / "real.webp")
        photo.save(tmp_path / "moving.gif", save_all=True, append_images=[photo.rotate(90)])
    (tmp_path / "real.webp").rename(tmp_path / "photo.png")
    wrong, moving = look(tmp_path / "photo.png"), look(tmp_path / "moving.gif")
    assert wrong.status == moving.status == "warning"
    assert "WEBP picture although its name has .png" in wrong.notes[0]
    assert "2 frames; only the first is used" in moving.notes[0]


def test_long_strip_says_how_little_a_crop_keeps(tmp_path: Path) -> None:
    with Image.open(photograph("retina")) as photo:
        photo.crop((0, 0, 1400, 300)).save(tmp_path / "strip.png")
    assert "keeps 21% of it" in look(tmp_path / "strip.png", CropOptions(256)).notes[0]


def test_files_come_in_natural_order_and_others_are_not_complained_about(tmp_path: Path) -> None:
    source = copy_photographs(tmp_path / "source", 1)[0]
    for name in ("b10.png", "b2.png", "B1.PNG", ".hidden.png", "without_extension"):
        (tmp_path / name).write_bytes(source.read_bytes())
    for name in ("b2.txt", "notes.json", "data", "b1.caption"):
        (tmp_path / name).write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert [path.name for path in picture_files(tmp_path)] == ["B1.PNG", "b2.png", "b10.png", "without_extension"]


def test_missing_folder_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="no such file or directory"):
        picture_files(tmp_path / "nowhere")


def test_fewer_than_ten_pictures_is_a_warning() -> None:
    assert "Only 4 usable pictures" in few_pictures_warning(4)
    assert few_pictures_warning(10) == ""
