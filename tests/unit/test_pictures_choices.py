"""What is decided about single pictures: frames moved by hand, modes of their own, undo."""

from pathlib import Path

import pytest
from PIL import Image
from support.photos import copy_photographs

from trainer.errors import AppError
from trainer.history import History
from trainer.pictures.adjust import moved, rounded, zoomed
from trainer.pictures.choices import Choices, read_choices, write_choices
from trainer.pictures.folder import crop_folder, pending
from trainer.pictures.geometry import Frame, center_frame, enlargement, inside
from trainer.pictures.options import CropOptions

WIDE = (1200, 800)


def test_a_frame_moves_by_steps_and_stops_at_the_edges() -> None:
    frame = center_frame(*WIDE, 512, 512)
    right = moved(frame, *WIDE, 1, 0)
    assert (right.left, right.top) == (250, 0)
    assert moved(frame, *WIDE, 1, 0, fine=True).left == 206
    assert moved(frame, *WIDE, 0, 3) == frame
    assert moved(frame, *WIDE, 99, -99) == Frame(400, 0, 800, 800)
    assert moved(moved(right, *WIDE, 2, 0), *WIDE, -3, 0) == frame


def test_zooming_keeps_the_shape_and_the_middle_and_has_two_ends() -> None:
    frame = Frame(300, 200, 400, 400)
    closer = zoomed(frame, *WIDE, 512, 512, closer=True)
    assert closer.width == closer.height < 400
    assert (closer.left + closer.width / 2, closer.top + closer.height / 2) == pytest.approx((500, 400))
    assert zoomed(closer, *WIDE, 512, 512, closer=False).box == pytest.approx(frame.box)
    for _ in range(60):
        closer = zoomed(closer, *WIDE, 512, 512, closer=True)
        frame = zoomed(frame, *WIDE, 512, 512, closer=False)
    assert enlargement(closer, 512, 512) == pytest.approx(8)
    assert frame.width == frame.height == 800
    assert inside(frame, *WIDE)


def test_a_tiny_picture_is_not_zoomed_beyond_its_largest_frame() -> None:
    assert zoomed(Frame(0, 0, 20, 20), 20, 30, 512, 512, closer=True) == Frame(0, 0, 20, 20)


def test_what_was_chosen_is_read_again(tmp_path: Path) -> None:
    frame = rounded(Frame(1 / 3, 2, 100.005, 100))
    choices = Choices().with_frame("a.jpg", frame).with_mode("[b]\n.png", "focal").with_left_out("c.png")
    write_choices(tmp_path, choices)
    assert read_choices(tmp_path) == choices
    assert choices.with_mode("a.jpg", "face").frames == {}
    assert choices.with_frame("[b]\n.png", None).modes == {}
    (tmp_path / "pictures.toml").write_text('[modes]\n"a.jpg" = "sideways"\n')
    with pytest.raises(AppError, match="modes must be a table of center"):
        read_choices(tmp_path)


def test_a_mode_of_its_own_shapes_one_picture_only_and_is_pending_until_cropped(tmp_path: Path) -> None:
    copy_photographs(tmp_path / "in", 3)
    options, plain = CropOptions(size=64), tmp_path / "plain"
    crop_folder(tmp_path / "in", plain, options)
    assert pending(tmp_path / "in", plain, options) == 0
    before = {path.name: path.read_bytes() for path in plain.glob("*.png")}
    assert pending(tmp_path / "in", plain, options, modes={"coffee.png": "focal"}, left_out={"astronaut.png"}) == 2
    crop_folder(tmp_path / "in", plain, options, modes={"coffee.png": "focal"})
    changed = [name for name, data in before.items() if (plain / name).read_bytes() != data]
    assert changed == ["00002-0-coffee.png"]
    with Image.open(plain / changed[0]) as image:
        assert image.size == (64, 64)


def test_a_key_pressed_repeatedly_is_undone_at_once() -> None:
    history = History(0)
    for state, what in ((1, "move a"), (2, "move a"), (3, "zoom a"), (3, "nothing"), (4, "move a")):
        history.change(state, what)
    assert (history.undo(), history.state) == ("move a", 3)
    assert (history.undo(), history.state) == ("zoom a", 2)
    assert (history.undo(), history.state) == ("move a", 0)
    assert (history.undo(), history.state, history.last) == ("", 0, "")
