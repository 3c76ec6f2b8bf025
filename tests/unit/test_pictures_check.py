"""The dataset doctor names what is wrong, and only that."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageFilter, ImageOps
from support.photos import copy_photographs, photograph, photographs

from trainer.captions.check import check_captions
from trainer.captions.tokens import TokenCounter
from trainer.demo.assets import demo_model_dir
from trainer.pictures import checkup
from trainer.pictures.check import CheckReport, check_folder, recorded_report
from trainer.pictures.duplicates import find_repeats
from trainer.pictures.measure import Measures, measure, remarks
from trainer.pictures.options import CropOptions


def notes(report: CheckReport) -> dict[str, str]:
    return {look.path.name: "; ".join((look.reason, *look.notes)) for look in report.looks}


def open_photo(stem: str) -> Image.Image:
    with Image.open(photograph(stem)) as photo:
        return photo.convert("RGB")


@pytest.mark.parametrize("path", photographs(), ids=lambda path: path.stem)
def test_photographs_in_focus_get_no_remark(path: Path) -> None:
    expected = ("it looks blurred",) if path.stem == "clock_motion" else ()
    assert remarks(measure(open_photo(path.stem))) == expected


@pytest.mark.parametrize("stem", ["astronaut", "coffee", "rocket", "china", "brick"])
def test_out_of_focus_pictures_are_told(stem: str) -> None:
    photo = open_photo(stem)
    photo.thumbnail((512, 512))
    assert "blurred" in remarks(measure(photo.filter(ImageFilter.GaussianBlur(3))))[0]


def test_bars_and_plain_pictures_are_told() -> None:
    photo = open_photo("china")
    boxed = Image.new("RGB", (640, 640), "black")
    boxed.paste(photo, (0, 106))
    assert remarks(measure(boxed)) == ("it has plain borders (top 17%, bottom 17%)",)
    framed = Image.new("RGB", (740, 527), "white")
    framed.paste(photo, (50, 50))
    assert "left 7%, top 9%, right 7%, bottom 9%" in remarks(measure(framed))[0]
    assert remarks(measure(Image.new("RGB", (300, 300), (90, 90, 92)))) == ("it is nearly one colour",)


VARIANTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
    "coarser": lambda photo: ImageOps.posterize(photo, 4),
    "mirrored": lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "darker": lambda photo: photo.point(lambda value: value * 0.8),
}


@cache
def small_photographs() -> tuple[list[Image.Image], list[Measures]]:
    photos = [open_photo(path.stem) for path in photographs()]
    for photo in photos:
        photo.thumbnail((400, 400))
    return photos, [measure(photo) for photo in photos]


@pytest.mark.parametrize("variant", VARIANTS)
def test_near_duplicates_are_found_and_different_photographs_are_not(variant: str) -> None:
    stems = [path.stem for path in photographs()]
    photos, originals = small_photographs()
    changed = [measure(VARIANTS[variant](photo)) for photo in photos]
    repeats = find_repeats([(str(place), each) for place, each in enumerate([*originals, *changed])])
    found = {repeat.place: repeat.of for repeat in repeats}
    wrong = {place: of for place, of in found.items() if place < len(stems) or of != place - len(stems)}
    assert wrong == {}
    assert len(found) >= len(stems) - 2
    mirrored = {"mirror" in repeat.how for repeat in repeats}
    assert mirrored == {variant == "mirrored"}


def test_check_of_a_heap(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    copy_photographs(pictures, 11)
    shutil.copy(pictures / "astronaut.png", pictures / "z copy.png")
    open_photo("china").save(pictures / "china_2.jpg", quality=50)
    (pictures / "broken.png").write_bytes(b"")
    shutil.copy(photograph("brick"), pictures / "unwanted.png")
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}
    record = tmp_path / "cache" / "check.json"
    report = check_folder(pictures, CropOptions(512), left_out_names={"unwanted.png"}, record=record)
    said = notes(report)
    assert said["broken.png"].startswith("it is empty (0 bytes)")
    assert "you left it out" in said["unwanted.png"]
    assert "the same file as astronaut.png" in said["z copy.png"]
    assert "nearly the same as china.jpg" in said["china_2.jpg"]
    assert report.repeats == {"china_2.jpg": "china.jpg", "z copy.png": "astronaut.png"}
    assert len(report.with_status("left-out")) == 2
    assert sum(report.short_sides.values()) == sum(report.shapes.values()) == 13
    assert report.short_sides["512 to 767"] == 3
    assert report.shapes["3:2"] == 8
    assert "--size 384" in report.suggestions[0]
    assert "2 pictures repeat others" in report.suggestions[-2]
    assert "Watermarks" in report.suggestions[-1]
    assert report.warnings == ()
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == before


def test_of_look_alikes_the_best_is_the_one_to_keep(tmp_path: Path) -> None:
    """Whatever the names' order: the sharp one, the larger one, the less compressed one."""
    photo = open_photo("chelsea")
    photo.filter(ImageFilter.GaussianBlur(9)).save(tmp_path / "a blurred.png")
    photo.resize((400, 266)).save(tmp_path / "b smaller.png")
    photo.save(tmp_path / "c coarse.jpg", quality=30)
    photo.save(tmp_path / "d best.png")
    report = check_folder(tmp_path, CropOptions(256), workers=1)
    assert list(report.repeats) == ["a blurred.png", "b smaller.png", "c coarse.jpg"]
    assert set(report.repeats.values()) == {"d best.png"}


def test_what_is_not_looked_at_is_named(tmp_path: Path) -> None:
    copy_photographs(tmp_path, 10)
    assert check_folder(tmp_path, CropOptions(512), workers=1).warnings == ()
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "drawing.svg").write_text("<svg/>")
    (tmp_path / "coffee.txt").write_text("a cup")
    subfolder, other = check_folder(tmp_path, CropOptions(512), workers=1).warnings
    assert "Subfolders are not looked into: more." in subfolder
    assert "Files that are no pictures: drawing.svg." in other


def test_second_check_decodes_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = copy_photographs(tmp_path / "pictures", 5)
    record = tmp_path / "check.json"
    first = check_folder(tmp_path / "pictures", CropOptions(512), record=record)
    decoded, decode = [], checkup.decode

    def count(path: Path, *rest: object) -> object:
        decoded.append(path.name)
        return decode(path, *rest)

    monkeypatch.setattr(checkup, "decode", count)
    assert check_folder(tmp_path / "pictures", CropOptions(512), record=record, workers=1) == first
    assert decoded == []
    paths[2].write_bytes(photograph("brick").read_bytes())
    check_folder(tmp_path / "pictures", CropOptions(512), record=record, workers=1)
    assert decoded == [paths[2].name]
    record.write_text("damaged")
    check_folder(tmp_path / "pictures", CropOptions(512), record=record, workers=1)
    assert len(decoded) == 6


def test_interrupted_check_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_photographs(tmp_path / "pictures", 5)
    record = tmp_path / "check.json"

    def interrupt(done: int, total: int, latest: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_folder(tmp_path / "pictures", CropOptions(512), record=record, workers=1, progress=interrupt)
    assert len(checkup.read_record(record).findings) == 3


def test_memory_stays_flat_over_many_pictures(tmp_path: Path) -> None:
    one = tmp_path / "one.jpg"
    Image.open(photograph("china")).resize((700, 525)).save(one)
    (tmp_path / "many").mkdir()
    for index in range(80):  # the same pixels, other files
        (tmp_path / "many" / f"{index}.jpg").write_bytes(one.read_bytes() + index.to_bytes(4, "big"))
    seen: list[int] = []
    check_folder(
        tmp_path / "many",
        CropOptions(512),
        record=tmp_path / "record.json",
        workers=1,
        progress=lambda done, total, latest: seen.append(psutil.Process().memory_info().rss),
    )
    assert len(seen) == 80
    decoded = 700 * 525 * 3
    assert seen[-1] - seen[20] < 20 * decoded, "sixty decoded pictures would be three times that"
    # 10,000 pictures: a record of some megabytes.
    assert (tmp_path / "record.json").stat().st_size < 80 * 1500


def test_captions_are_checked(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    pictures = [tmp_path / f"{name}.png" for name in names]
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.txt").write_text("word " * 80)
    (tmp_path / "c.txt").write_bytes(b"caf\xe9")
    (tmp_path / "d.caption").write_text("a dog")
    check = check_captions(pictures, TokenCounter())
    assert check.captioned == 2
    assert check.missing == ("d.png", "e.png")
    assert check.empty == ("a.png",)
    assert check.elsewhere == {".caption": 1}
    assert check.long == {"b.png": 80}
    said = " ".join(check.remarks)
    counted = ("2 of 5 pictures without a caption", "Empty caption files: 1 (a.png)", "than the 75 tokens", "1 (b.png)")
    for phrase in ("--extension .caption", *counted, "Windows-1252"):
        assert phrase in said


def test_long_captions_are_told_by_the_models_own_length(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a " * 31)
    (tmp_path / "b.txt").write_text("a " * 30)
    check = check_captions([tmp_path / "a.png", tmp_path / "b.png"], TokenCounter(str(demo_model_dir())))
    assert check.long == {"a.png": 31}
    assert "longer than the 30 tokens that the encoder sees at once" in check.remarks[-1]


def test_captions_that_are_all_the_same_are_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("a photo")
    check = check_captions([tmp_path / "a.png", tmp_path / "b.png"], TokenCounter())
    assert check.same == "a photo"
    assert "All 2 captions are the same" in check.remarks[0]


def test_thousands_of_look_alikes_are_compared_quickly() -> None:
    same = measure(open_photo("coffee"))
    repeats = find_repeats([(str(place), same) for place in range(5_000)])
    assert len(repeats) == 4_999
    assert {repeat.of for repeat in repeats} == {0}


def test_what_repeats_what_is_found_once_and_holds_for_every_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, record = tmp_path / "pictures", tmp_path / "check.json"
    pictures.mkdir()
    photo = open_photo("china")
    photo.resize((96, 64)).save(pictures / "a small.png")
    photo.save(pictures / "b.png")
    photo.save(pictures / "c.jpg", quality=60)
    ImageOps.mirror(photo).save(pictures / "d.png")
    assert recorded_report(pictures, CropOptions(64), record) is None
    checked = check_folder(pictures, CropOptions(64), record=record, workers=1)
    assert set(checked.repeats.values()) < {"b.png", "d.png"}
    assert len(checked.repeats) == 3

    def never(*_: object) -> None:
        raise AssertionError("looked for again")

    monkeypatch.setattr("trainer.pictures.check.find_repeats", never)
    assert recorded_report(pictures, CropOptions(64), record) == checked
    larger = recorded_report(pictures, CropOptions(1024), record)
    assert larger is not None
    assert len(larger.repeats) == 2, "the small one is left out at this size"
    best = next(iter(larger.repeats.values()))
    other = "d.png" if best == "b.png" else "b.png"
    assert f"nearly the mirror image of {best}" in notes(larger)[other]
    assert check_folder(pictures, CropOptions(1024), record=record, workers=1) == larger
