"""Frames by mode: what matters stays on the picture."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.photos import copy_photographs, photograph

from trainer.errors import AppError
from trainer.pictures.choices import CHOICES_FILE, Choices, parse_frame, read_choices, write_choices
from trainer.pictures.crop import crop_picture
from trainer.pictures.decode import Header, PictureError
from trainer.pictures.faces import Face, find_faces
from trainer.pictures.focal import focal_point
from trainer.pictures.folder import crop_folder
from trainer.pictures.framing import auto_size, cuts_for, split_cuts
from trainer.pictures.geometry import Frame, inside
from trainer.pictures.options import AutoSizeOptions, CropOptions, SplitOptions, Weights
from trainer.pictures.portrait import face_frame


def photo_at_the_side(left: int, top: int, size: tuple[int, int] = (1200, 500)) -> Image.Image:
    """Return a plain grey picture with the astronaut's photograph, 300 pixels wide, somewhere."""
    picture = Image.new("RGB", size, (128, 128, 128))
    with Image.open(photograph("astronaut")) as photo:
        picture.paste(photo.convert("RGB").resize((300, 300)), (left, top))
    return picture


@pytest.mark.parametrize(("left", "wanted"), [(0, (0.0, 0.3)), (450, (0.35, 0.65)), (900, (0.7, 1.0))])
def test_focal_point_follows_what_is_not_plain(left: int, wanted: tuple[float, float]) -> None:
    picture = photo_at_the_side(left, 100)
    for weights in (Weights(), Weights(edges=0), Weights(entropy=0)):
        x, y = focal_point(picture, 512, 512, weights)
        assert wanted[0] <= x <= wanted[1]
        assert 0.2 <= y <= 0.8


def test_focal_point_of_a_plain_picture_is_the_middle_and_faces_outweigh_edges() -> None:
    plain = Image.new("RGB", (600, 400), "grey")
    assert focal_point(plain, 512, 512, Weights(entropy=0)) == (0.5, 0.5)
    face = Face(0.8, 0.4, 0.1, 0.1, 1.0)
    x, _y = focal_point(photo_at_the_side(0, 100), 512, 512, Weights(), [face])
    assert x > 0.5
    assert focal_point(plain, 512, 512, Weights(entropy=0), [face]) == pytest.approx((0.85, 0.433))


def test_the_focal_frame_cuts_no_head_it_can_hold(tmp_path: Path) -> None:
    # The astronaut at the left edge of a busy landscape: A1111's weighted mean lies well to her right.
    pytest.importorskip("cv2")
    wide = Image.new("RGB", (1400, 512))
    wide.paste(Image.open(photograph("astronaut")).convert("RGB"), (0, 0))
    wide.paste(Image.open(photograph("china")).resize((888, 512)), (512, 0))
    header = Header(1400, 512, "PNG", "RGB", 1)
    frame = cuts_for(wide, header, CropOptions(256, mode="focal"))[0][0].frame
    assert frame.left < 140, "her hair begins at 150"
    plain = cuts_for(wide, header, CropOptions(256, mode="focal", weights=Weights(faces=0)))[0][0].frame
    assert plain.left > 170, "edges alone look elsewhere"


def test_focal_mode_puts_the_frame_there(tmp_path: Path) -> None:
    photo_at_the_side(900, 100).save(tmp_path / "right.png")
    focal = crop_picture(tmp_path / "right.png", CropOptions(size=128, mode="focal")).images[0]
    center = crop_picture(tmp_path / "right.png", CropOptions(size=128)).images[0]
    assert np.asarray(focal).std() > 30
    assert np.asarray(center).std() < 5


@pytest.mark.parametrize(
    "faces",
    [
        [Face(0.45, 0.3, 0.1, 0.15, 1.0)],
        [Face(0.0, 0.0, 0.2, 0.3, 1.0)],
        [Face(0.85, 0.7, 0.15, 0.22, 1.0)],
        [Face(0.3, 0.3, 0.1, 0.15, 1.0), Face(0.5, 0.35, 0.1, 0.15, 1.0)],
        [Face(0.1, 0.05, 0.75, 0.94, 1.0)],
    ],
)
@pytest.mark.parametrize("out", [(512, 512), (448, 576)])
def test_heads_are_whole_on_face_frames(faces: list[Face], out: tuple[int, int]) -> None:
    width, height = 3000, 2000
    frame = face_frame(width, height, *out, faces)
    assert inside(frame, width, height)
    assert frame.width / frame.height == pytest.approx(out[0] / out[1])
    for face in faces:
        forehead = max(0.0, (face.top - 0.5 * face.height) * height)
        assert frame.top <= forehead + 1
        if face.width < 0.5:
            assert frame.left <= face.left * width + 1
            assert frame.left + frame.width >= (face.left + face.width) * width - 1
            assert frame.top + frame.height >= (face.top + face.height) * height - 1


def test_face_frames_come_closer_but_invent_no_pixels() -> None:
    near = face_frame(3000, 2000, 512, 512, [Face(0.4, 0.4, 0.1, 0.15, 1.0)])
    assert near.height == pytest.approx(0.15 * 2000 / 0.4)
    small = face_frame(800, 600, 512, 512, [Face(0.4, 0.4, 0.05, 0.06, 1.0)])
    assert small.height == 512
    assert face_frame(400, 300, 512, 512, [Face(0.4, 0.4, 0.05, 0.06, 1.0)]).height == 300


def test_of_faces_too_far_apart_the_largest_is_kept() -> None:
    frame = face_frame(3000, 1000, 512, 512, [Face(0.85, 0.3, 0.12, 0.36, 1.0), Face(0.02, 0.3, 0.1, 0.3, 1.0)])
    assert frame.left > 1500


def test_face_mode_frames_a_real_face(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    photo_at_the_side(880, 150).save(tmp_path / "right.png")
    with Image.open(tmp_path / "right.png") as picture:
        face = find_faces(picture.convert("RGB"), thorough=True)[0]
    middle = ((face.left + face.width / 2) * 1200, (face.top + face.height / 2) * 500)
    assert middle[0] == pytest.approx(880 + 0.44 * 300, abs=12)
    assert middle[1] == pytest.approx(150 + 0.22 * 300, abs=12)
    crop = crop_picture(tmp_path / "right.png", CropOptions(size=128, mode="face"))
    found = find_faces(crop.images[0].resize((512, 512)))
    assert found
    assert found[0].height > 0.3
    assert crop.notes == ()


def test_picture_without_a_face_falls_back_to_its_focal_point_and_says_so() -> None:
    pytest.importorskip("cv2")
    crop = crop_picture(photograph("flower"), CropOptions(size=64, mode="face"))
    assert crop.notes == ("no face was found in it; it is framed by its focal point",)


def test_missing_face_model_is_one_message(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    with pytest.raises(AppError, match=r"nowhere\.onnx"):
        crop_picture(
            photograph("astronaut"), CropOptions(size=64, mode="face", face_model=str(tmp_path / "nowhere.onnx"))
        )


@pytest.mark.parametrize(
    ("width", "height", "overlap", "count"),
    [(1000, 500, 0.2, 3), (500, 1200, 0.2, 3), (1000, 500, 0.0, 2), (1, 9, 0.5, 17)],
)
def test_pieces_cover_the_whole_with_at_least_the_overlap(width: int, height: int, overlap: float, count: int) -> None:
    frames = [cut.frame for cut in split_cuts(width, height, 512, overlap)]
    assert len(frames) == count
    starts = [max(frame.left, frame.top) for frame in frames]
    side, length = min(width, height), max(width, height)
    assert starts[0] == 0
    assert starts[-1] + side == pytest.approx(length)
    steps = np.diff(starts)
    assert (steps <= side * (1 - overlap) + 1e-6).all()


def test_split_mode_splits_long_pictures_only(tmp_path: Path) -> None:
    with Image.open(photograph("retina")) as photo:
        photo.crop((0, 500, 1411, 900)).save(tmp_path / "strip.png")
    options = CropOptions(size=128, mode="split", split=SplitOptions(threshold=0.5, overlap=0.2))
    assert len(crop_picture(tmp_path / "strip.png", options).images) == 5
    assert len(crop_picture(photograph("coffee"), options).images) == 1


def test_auto_size_takes_a_size_near_the_shape_or_refuses() -> None:
    assert auto_size(1000, 1000, AutoSizeOptions()) == (640, 640)
    assert auto_size(1500, 1000, AutoSizeOptions()) == (768, 512)
    assert auto_size(1500, 1000, AutoSizeOptions(maximize_area=False)) == (768, 512)
    assert auto_size(4, 3, AutoSizeOptions(threshold=0.0, maximize_area=False)) == (512, 384)
    assert crop_picture(photograph("coffee"), CropOptions(mode="auto-size")).images[0].size == (768, 512)
    with pytest.raises(PictureError, match="more than 10% would be cut away"):
        auto_size(3000, 1000, AutoSizeOptions())


def test_choices_are_kept_with_any_name(tmp_path: Path) -> None:
    names = ['quote".png', "new\nline.png", "[b].png", "🧙 = x.png"]
    choices = Choices()
    for name in names:
        choices = choices.with_frame(name, Frame(1.5, 2, 300, 300)).with_left_out(name)
    write_choices(tmp_path, choices)
    assert read_choices(tmp_path) == choices
    back = choices.with_frame(names[0], None).with_left_out(names[0], False)
    assert names[0] not in back.frames
    assert names[0] not in back.left_out
    assert read_choices(tmp_path / "nowhere") == Choices()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left_out = 3", "left_out must be a list"),
        ("[frames]\na = [1, 2]", r"frames\.a must be four numbers"),
        ("[frames]\na = [1, 2, nan, 3]", "four numbers"),
        ("frames = ", "pictures.toml"),
    ],
)
def test_damaged_choices_name_the_entry(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / CHOICES_FILE).write_text(text)
    with pytest.raises(AppError, match=message):
        read_choices(tmp_path)


def test_frames_are_parsed() -> None:
    assert parse_frame("1,2,300") == Frame(1, 2, 300, 300)
    assert parse_frame(" 1, 2 ,300,400") == Frame(1, 2, 300, 400)
    for bad in ("", "1,2", "a,b,c", "1,2,nan"):
        with pytest.raises(AppError, match="LEFT,TOP,SIDE"):
            parse_frame(bad)


def test_missing_opencv_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    copy_photographs(tmp_path / "source", 2)
    with pytest.raises(AppError, match="opencv-python-headless"):
        crop_folder(tmp_path / "source", tmp_path / "out", CropOptions(size=64, mode="face"))
    assert not (tmp_path / "out").exists()
    report = crop_folder(tmp_path / "source", tmp_path / "out", CropOptions(size=64, mode="focal"))
    assert len(report.with_status("done")) == 2
    assert "Faces don't count" in report.warnings[0]


def test_of_a_head_higher_than_the_frame_the_forehead_is_kept() -> None:
    frame = face_frame(1000, 2000, 512, 512, [Face(0.1, 0.3, 0.75, 0.375, 1.0)])
    assert frame.height == 1000
    assert 0 <= frame.top <= (0.3 - 0.5 * 0.375) * 2000
