"""Training pictures: the right pixels, the right names, only what changed, sources untouched."""

import errno
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.hostile import write_bomb
from support.photos import copy_photographs, photograph
from support.workers import double_or_die

from trainer.errors import AppError
from trainer.pictures import crop as crop_module
from trainer.pictures import task as task_module
from trainer.pictures.crop import cover, crop_picture, keep_shape
from trainer.pictures.decode import PictureError
from trainer.pictures.folder import CropReport, crop_folder
from trainer.pictures.geometry import Frame
from trainer.pictures.manifest import MANIFEST_NAME, read_manifest
from trainer.pictures.names import crop_name, safe_stem, source_stem
from trainer.pictures.options import CropOptions
from trainer.pictures.pool import map_processes
from trainer.pictures.task import CropResult

SMALL = CropOptions(size=128)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def statuses(report: CropReport) -> dict[str, str]:
    return {result.source: result.status for result in report.results}


def as_array(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32)


def test_centre_crop_is_the_middle_square_never_squashed() -> None:
    with Image.open(photograph("coffee")) as photo:
        expected = photo.crop((100, 0, 500, 400)).resize((256, 256), Image.Resampling.LANCZOS)
    image = crop_picture(photograph("coffee"), CropOptions(size=256)).images[0]
    assert np.abs(as_array(image) - as_array(expected)).mean() < 0.5


def test_edges_are_those_of_the_whole_resized_and_then_cut() -> None:
    with Image.open(photograph("coffee")) as photo:
        expected = photo.resize((300, 200), Image.Resampling.LANCZOS).crop((50, 0, 250, 200))
    with Image.open(photograph("coffee")) as photo:
        assert np.abs(as_array(cover(photo, 200, 200)) - as_array(expected)).max() <= 2


def test_nothing_of_the_sources_metadata_is_saved(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with Image.open(photograph("rocket")) as photo:
        exif = Image.Exif()
        exif[0x010E] = "at home, 51.5 N"
        photo.save(source / "gps.jpg", exif=exif, icc_profile=photo.info["icc_profile"], comment="secret", dpi=(9, 9))
    crop_folder(source, tmp_path / "out", SMALL)
    with Image.open(tmp_path / "out" / "00000-0-gps.png") as image:
        image.load()
        assert image.info == {}


def test_keep_aspect_gives_sides_of_64_and_loses_little() -> None:
    image = crop_picture(photograph("rocket"), CropOptions(size=512, keep_aspect=True)).images[0]
    assert image.size == (576, 384)
    assert crop_picture(photograph("astronaut"), CropOptions(size=512, keep_aspect=True)).images[0].size == (512, 512)


def test_flipped_copies_are_mirrored() -> None:
    plain, flipped = crop_picture(photograph("chelsea"), CropOptions(size=128, flip=True)).images
    assert np.array_equal(np.asarray(plain)[:, ::-1], np.asarray(flipped))


def test_alpha_is_kept_as_weight_and_colours_beneath_it(tmp_path: Path) -> None:
    with Image.open(photograph("astronaut")) as photo:
        alpha = Image.new("L", photo.size, 255)
        alpha.paste(0, (0, 0, 256, 512))
        photo.putalpha(alpha)
        photo.save(tmp_path / "masked.png")
    weighted = crop_picture(tmp_path / "masked.png", CropOptions(size=128, keep_alpha=True)).images[0]
    plain = crop_picture(photograph("astronaut"), CropOptions(size=128)).images[0]
    assert weighted.mode == "RGBA"
    assert weighted.getchannel("A").getextrema() == (0, 255)
    assert np.abs(as_array(weighted.convert("RGB")) - as_array(plain)).mean() < 1
    assert np.abs(as_array(cover(weighted, 64, 64).convert("RGB")) - as_array(cover(plain, 64, 64))).mean() < 1


def test_manual_frame_overrides_the_mode() -> None:
    frame = Frame(180, 20, 160, 160)
    with Image.open(photograph("astronaut")) as photo:
        expected = photo.crop((180, 20, 340, 180)).resize((128, 128), Image.Resampling.LANCZOS)
    crops = crop_picture(photograph("astronaut"), SMALL, frame)
    assert np.abs(as_array(crops.images[0]) - as_array(expected)).mean() < 0.5
    with pytest.raises(PictureError, match="does not lie on the picture of 512×512"):
        crop_picture(photograph("astronaut"), SMALL, Frame(500, 0, 160, 160))
    with pytest.raises(PictureError, match="manual frame is too small"):
        crop_picture(photograph("astronaut"), SMALL, Frame(0, 0, 3, 3))


def test_keep_shape_cuts_to_multiples() -> None:
    assert keep_shape(Image.new("RGB", (200, 130)), 64).size == (192, 128)
    assert keep_shape(Image.new("RGB", (30, 90)), 64).size == (64, 192)


@pytest.mark.parametrize(
    ("stem", "safe"),
    [
        ("plain name", "plain name"),
        ("two\nlines\x1b[31m", "two_lines_[31m"),
        ("quote\"'s", "quote_'s"),
        ("a\\b:c|d", "a_b_c_d"),
        ("🧙‍♂️ wizard", "🧙‍♂️ wizard"),
        ("bad\udcff", "bad_"),
        ("\u202egnp", "_gnp"),
        (" . ", "picture"),
    ],
)
def test_stems_are_made_safe(stem: str, safe: str) -> None:
    assert safe_stem(stem) == safe


def test_names_are_a1111s_and_never_too_long() -> None:
    assert crop_name(3, 1, "cat") == "00003-1-cat.png"
    assert len(crop_name(3, 1, "🧙" * 300).encode()) <= 135
    assert source_stem("00003-1-cat") == "cat"


def test_second_run_does_only_what_changed_and_sources_stay(tmp_path: Path) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    paths = copy_photographs(source, 11)
    (source / "broken.png").write_text("no picture")
    before = contents(source)

    first = crop_folder(source, processed, SMALL)
    assert list(statuses(first).values()).count("done") == 11
    assert statuses(first)["broken.png"] == "left-aside"
    assert "text file" in first.with_status("left-aside")[0].reason
    assert first.warnings == ()
    made = contents(processed)

    second = crop_folder(source, processed, SMALL)
    assert list(statuses(second).values()).count("unchanged") == 11
    assert contents(processed) == made

    paths[0].write_bytes(photograph("brick").read_bytes())
    paths[1].touch()
    third = crop_folder(source, processed, SMALL)
    assert [result.source for result in third.with_status("done")] == [paths[0].name]
    changed = {name for name, digest in contents(processed).items() if made[name] != digest} - {MANIFEST_NAME}
    assert changed == {third.with_status("done")[0].outputs[0]}

    again = crop_folder(source, processed, CropOptions(size=192))
    assert len(again.with_status("done")) == 11
    before[paths[0].name] = hashlib.sha256(photograph("brick").read_bytes()).hexdigest()
    assert contents(source) == before


def test_two_processes_give_the_same_files_as_one(tmp_path: Path) -> None:
    source = tmp_path / "source"
    copy_photographs(source, 10)
    seen: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, latest: CropResult) -> None:
        seen.append((done, total, latest.status))

    crop_folder(source, tmp_path / "one", SMALL, workers=1)
    crop_folder(source, tmp_path / "two", SMALL, workers=2, progress=progress)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    assert seen == [(count, 10, "done") for count in range(1, 11)]


def test_gone_sources_go_aside_with_captions_and_come_back(tmp_path: Path) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    copy_photographs(source, 3)
    first = crop_folder(source, processed, SMALL)
    name = next(result.outputs[0] for result in first.results if result.source == "coffee.png")
    caption = (processed / name).with_suffix(".txt")
    caption.write_text("a cup")

    left = crop_folder(source, processed, SMALL, left_out={"coffee.png"})
    assert set(left.set_aside) == {name, caption.name}
    assert statuses(left)["coffee.png"] == "left-aside"
    assert (processed / ".set-aside" / caption.name).read_text() == "a cup"
    assert not (processed / name).exists()

    back = crop_folder(source, processed, SMALL)
    assert next(result.outputs for result in back.results if result.source == "coffee.png") == (name,)
    assert caption.read_text() == "a cup"


def test_fewer_crops_than_before_leave_no_stray(tmp_path: Path) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    copy_photographs(source, 2)
    crop_folder(source, processed, CropOptions(size=64, flip=True))
    report = crop_folder(source, processed, CropOptions(size=64))
    assert len(report.set_aside) == 2
    assert len(list(processed.glob("*.png"))) == 2


def test_files_that_are_not_ours_are_set_aside_not_overwritten(tmp_path: Path) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    copy_photographs(source, 1)
    processed.mkdir()
    (processed / "00000-0-astronaut.png").write_bytes(b"made by another program")
    (processed / "00000-0-astronaut.txt").write_text("by hand")
    crop_folder(source, processed, SMALL)
    assert (processed / ".set-aside" / "00000-0-astronaut.png").read_bytes() == b"made by another program"
    assert (processed / "00000-0-astronaut.txt").read_text() == "by hand"


@pytest.mark.parametrize("record", ["not json", "[]", '{"version": 1, "pictures": [{"source": "../x"}]}', "\x00"])
def test_damaged_record_means_cropping_again(tmp_path: Path, record: str) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    copy_photographs(source, 2)
    crop_folder(source, processed, SMALL)
    (processed / MANIFEST_NAME).write_text(record)
    assert len(crop_folder(source, processed, SMALL).with_status("done")) == 2


def test_record_with_paths_in_it_is_refused(tmp_path: Path) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    copy_photographs(source, 1)
    crop_folder(source, processed, SMALL)
    tree = json.loads((processed / MANIFEST_NAME).read_text())
    tree["pictures"][0]["outputs"] = ["../source/astronaut.png"]
    (processed / MANIFEST_NAME).write_text(json.dumps(tree))
    assert read_manifest(processed).entries == {}
    crop_folder(source, processed, SMALL)
    assert (source / "astronaut.png").exists()


def test_hostile_file_names_are_cropped(tmp_path: Path) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    photo = copy_photographs(source, 1)[0]
    names = [
        "new\nline.png",
        "quote\"'s.png",
        "🧙.png",
        "[b]x[⁄].png",
        "\x1b[31mred.png",
        "é" * 120 + ".png",
        "-rf.png",
    ]
    for name in names:
        (source / name).write_bytes(photo.read_bytes())
    (source / b"latin\xe9.png".decode("utf-8", "surrogateescape")).write_bytes(photo.read_bytes())
    report = crop_folder(source, processed, CropOptions(size=64))
    assert len(report.with_status("done")) == 9
    for path in processed.glob("*.png"):
        assert path.name.isprintable() or "‍" in path.name
        path.name.encode("utf-8")


def test_folders_without_use_are_one_message(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "hopeless").mkdir()
    (tmp_path / "hopeless" / "a.png").write_text("no")
    write_bomb(tmp_path / "hopeless" / "bomb.png")
    with pytest.raises(AppError, match="holds no picture files"):
        crop_folder(tmp_path / "empty", tmp_path / "out", SMALL)
    with pytest.raises(AppError, match=r"None of the 2 pictures .*text file.*megapixels"):
        crop_folder(tmp_path / "hopeless", tmp_path / "out", SMALL)
    source = tmp_path / "source"
    copy_photographs(source, 1)
    with pytest.raises(AppError, match="one folder"):
        crop_folder(source, source, SMALL)
    with pytest.raises(AppError, match="Cannot write"):
        crop_folder(source, source / "astronaut.png" / "out", SMALL)


def test_full_disk_is_one_message_and_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    copy_photographs(source, 4)
    save, calls = crop_module.replace_atomic, []

    def save_until_full(path: Path):
        calls.append(path)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(path)

    monkeypatch.setattr(crop_module, "replace_atomic", save_until_full)
    with pytest.raises(AppError, match="no space left on device"):
        crop_folder(source, processed, SMALL, workers=1)
    monkeypatch.undo()
    assert sorted(statuses(crop_folder(source, processed, SMALL)).values()) == ["done"] * 2 + ["unchanged"] * 2


def test_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    source, processed = tmp_path / "source", tmp_path / "processed"
    copy_photographs(source, 5)

    def interrupt(done: int, total: int, latest: CropResult) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crop_folder(source, processed, SMALL, workers=1, progress=interrupt)
    assert len(crop_folder(source, processed, SMALL).with_status("unchanged")) == 3


def test_fewer_than_ten_is_a_warning(tmp_path: Path) -> None:
    copy_photographs(tmp_path / "source", 3)
    assert "Only 3 usable pictures" in crop_folder(tmp_path / "source", tmp_path / "out", SMALL).warnings[0]


def test_one_dead_worker_costs_one_item_only() -> None:
    results = dict(map_processes(double_or_die, range(10), 2))
    assert results == {number: None if number == 7 else 2 * number for number in range(10)}


def test_second_run_does_not_even_read_what_kept_its_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_photographs(tmp_path / "source", 3)
    crop_folder(tmp_path / "source", tmp_path / "out", SMALL)

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(task_module, "sha256_of", refuse)
    again = crop_folder(tmp_path / "source", tmp_path / "out", SMALL, workers=1)
    assert set(statuses(again).values()) == {"unchanged"}
