"""Glyphs, keys, pictures and curves: the parts below the screens."""

import itertools
import math
from pathlib import Path

import pytest
from PIL import Image
from rich._palettes import EIGHT_BIT_PALETTE
from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from tests.tui.stories import HOSTILE, Story
from trainer.run.facts import MadeFile, StepPoint, Validation
from trainer.run.folder import RunFolder
from trainer.run.series import Series
from trainer.run.state import RunState
from tui.few_colours import with_colours_of
from tui.glyphs import GlyphFilter, ascii_only, console_font
from tui.keys import KEYS, bindings, key_name, read_keymap
from tui.plot import Axis, Layer, draw_plot
from tui.previews import caption, preview_path
from tui.widgets.curve import curves_of, plot_of, thin, ticks
from tui.widgets.picture import fitted, half_block_cells, half_blocks, load_picture, shades


@pytest.mark.parametrize("text", ["█▌░ ⠒⣿⠀ ▸ … · ×", "地図 😀", HOSTILE, "é ñ"])
def test_a_terminal_without_unicode_gets_ascii_of_the_same_width(text: str) -> None:
    [segment] = GlyphFilter(ascii_only).apply([Segment(text)], Color(0, 0, 0))
    assert segment.text.isascii()
    assert cell_len(segment.text) == cell_len(text)


def test_a_linux_console_keeps_its_blocks_and_loses_braille() -> None:
    [segment] = GlyphFilter(console_font).apply([Segment("█─é⣿▸")], Color(0, 0, 0))
    assert segment.text == "█─é#>"


def test_every_key_is_named_explained_and_has_one_meaning_on_a_screen() -> None:
    assert len({key.id for key in KEYS}) == len(KEYS)
    assert all(key.description and key.tooltip for key in KEYS)
    for screen in ("home", "crop", "caption", "train", "recover", "doctor", "log"):
        keys = [k for key in KEYS if key.id.startswith((f"{screen}.", "app.")) for k in key.keys.split(",")]
        assert len(keys) == len(set(keys))
    assert {"ctrl+a", "ctrl+b", "ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m"}.isdisjoint(
        k for key in KEYS for k in key.keys.split(",")
    )
    [binding] = bindings("train.pause")
    assert not isinstance(binding, tuple)
    assert (binding.key, binding.action, binding.id) == ("p", "pause", "train.pause")


@pytest.mark.parametrize(
    ("key", "name"), [("ctrl+q", "Ctrl+Q"), ("f1", "F1"), ("slash", "/"), ("escape", "Esc"), ("f", "f")]
)
def test_keys_are_written_as_people_do(key: str, name: str) -> None:
    assert key_name(key) == name


def test_the_users_keys_are_read_and_mistakes_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    assert read_keymap(path) == ({}, None)
    path.write_text('"train.pause" = "f5"\n"train.puase" = "f6"\n"train.log" = 7\n')
    keymap, problem = read_keymap(path)
    assert keymap == {"train.pause": "f5"}
    assert 'There is no action "train.puase". Did you mean train.pause?' in str(problem)
    assert '"train.log" needs a key in quotes.' in str(problem)
    path.write_text("no toml")
    keymap, problem = read_keymap(path)
    assert (keymap, problem and problem.title) == ({}, "Unusable keys")


@pytest.mark.parametrize(
    ("lines", "kept", "said"),
    [
        ({"crop.undo": "c"}, [], '"crop.undo" (undo) can\'t have c: "crop.center" (centre) has it.'),
        ({"crop.undo": "c", "crop.center": "u"}, ["crop.undo", "crop.center"], ""),
        ({"crop.center": "u", "crop.undo": "f1"}, [], '"crop.undo" (undo) can\'t have F1: "app.help" (help) has it.'),
        ({"crop.undo": "f5", "crop.center": "f5"}, ["crop.undo"], '"crop.center" (centre) can\'t have F5'),
        ({"crop.undo": "/"}, [], '"crop.undo" (undo) can\'t have /: "crop.filter" (find) has it.'),
        ({"step.next": "c"}, [], '"step.next" (next) can\'t have c: "crop.center" (centre) has it.'),
        ({"crop.undo": "p", "crop.flip": "m,f6"}, ["crop.undo", "crop.flip"], ""),
    ],
)
def test_no_own_key_takes_that_of_another_action_on_the_same_screen(
    tmp_path: Path, lines: dict[str, str], kept: list[str], said: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text("".join(f'"{id_}" = "{keys}"\n' for id_, keys in lines.items()))
    keymap, problem = read_keymap(path)
    assert (list(keymap), bool(problem)) == (kept, bool(said))
    assert said in str(problem)


def test_a_picture_keeps_its_shape() -> None:
    assert fitted(512, 512, 40, 10) == (20, 10)
    assert fitted(512, 512, 10, 40) == (10, 5)
    assert fitted(1000, 10, 40, 10) == (40, 1)


def test_half_blocks_show_two_pixels_a_cell() -> None:
    picture = Image.new("RGB", (2, 2), (255, 0, 0))
    picture.putpixel((0, 1), (0, 0, 255))
    [line] = half_blocks(picture, 2, 1)
    first = next(iter(line))
    assert first.text == "▀"
    assert first.style is not None
    assert first.style.color is not None
    assert first.style.bgcolor is not None
    assert first.style.color.get_truecolor() == (255, 0, 0)
    assert first.style.bgcolor.get_truecolor() == (0, 0, 255)


def test_of_256_colours_the_nearest_is_drawn() -> None:
    picture = Image.new("RGB", (2, 2), (58, 40, 36))
    [[cell, _]] = half_block_cells(picture, 2, 1, "256")
    assert cell.style is not None
    assert cell.style.color is not None
    number = cell.style.color.downgrade(ColorSystem.EIGHT_BIT).number
    assert tuple(EIGHT_BIT_PALETTE[number or 0]) == (48, 48, 48), "a dark brown is no red"
    ramp = Image.linear_gradient("L").convert("RGB")
    drawn = with_colours_of("256", ramp).tobytes()
    sent = {drawn[place : place + 3] for place in range(0, len(drawn), 3)}
    assert set(range(232, 256)) <= {RichColor.from_rgb(*rgb).downgrade(ColorSystem.EIGHT_BIT).number for rgb in sent}
    assert with_colours_of("truecolor", ramp) is ramp


def test_shades_go_from_dark_to_light() -> None:
    gradient = Image.linear_gradient("L").convert("RGB")
    lines = [line.text for line in shades(gradient, 4, 3, Style())]
    assert lines == ["." * 4, "+" * 4, "%" * 4]


@pytest.mark.parametrize("data", [None, b"", b"\x89PNG\r\n\x1a\n broken"])
def test_files_that_are_no_pictures_are_none(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "x.png"
    if data is not None:
        path.write_bytes(data)
    assert load_picture(path) is None


def test_a_preview_is_looked_for_in_the_runs_own_folder_only(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "p/output/2026-11-23/p")
    assert preview_path(run, MadeFile(1, "/elsewhere/images/p-1.png", None)) == run.images / "p-1.png"
    assert preview_path(run, MadeFile(1, "../../../etc/passwd", None)) == run.images / "passwd"


def test_a_caption_tells_step_and_seed(tmp_path: Path) -> None:
    story = Story(tmp_path / "p").train(1200).preview()
    made = MadeFile(1200, "p-1200.png", 2.0)
    loaded = load_picture(preview_path(story.folder, made))
    assert loaded is not None
    assert (loaded.width, loaded.height) == (256, 256)
    assert caption(made, loaded) == "step 1,200 · seed 42"
    assert caption(made, None) == "step 1,200: can't be read"


def points(count: int, loss: float = 0.1) -> list[StepPoint]:
    return [StepPoint(n + 1, loss + n / count, loss, None, None, None, None, 0.0) for n in range(count)]


def test_long_runs_are_thinned_evenly_from_end_to_end() -> None:
    few = thin(Series(points(100_000)), 160)
    assert 80 < len(few) <= 160
    (stride,) = {b.step - a.step for a, b in itertools.pairwise(few)}
    assert few[0].step == 1
    assert few[-1].step > 100_000 - stride
    assert thin(points(5), 160) == points(5)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 159, 160, 161, 319, 320, 321])
def test_a_run_is_never_thinned_to_more_than_was_asked_for(count: int) -> None:
    few = thin(Series(points(count)), 160)
    assert min(count, 80) <= len(few) <= 160


def test_a_run_that_goes_on_keeps_the_points_that_were_chosen() -> None:
    grown = Series(points(1001))
    assert set(thin(grown.first(1000), 160)) <= set(thin(grown, 160))


def test_a_plot_has_labelled_axes_and_later_layers_on_top() -> None:
    axes = Axis(0, 10, ((0, "0"), (10, "10"))), Axis(0, 4, ((0, "low"), (4, "up")))
    across, left = axes
    dots, line = Layer(((0, 0), (5, 2), (10, 4)), left, 240, "·"), Layer(((0, 0), (10, 0)), left, 110)
    rows = draw_plot([dots, line, Layer(((10, 0),), left, 179, "B")], across, left, Axis(0, 1, ()), 15, 7)
    assert [text.rstrip() for text, _ in rows] == [
        " up┤          ·",
        "   │",
        "   │     ·",
        "   │",
        "low┤⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀B",
        "   └┬─────────┬",
        "    0        10",
    ]
    assert rows[4][1] == bytes([0, 0, 0, 0, *[110] * 10, 179])
    assert {len(text) for text, _ in rows} == {len(colours) for _, colours in rows} == {15}


def test_losses_that_are_no_numbers_are_left_out_of_the_plot() -> None:
    state = RunState(points=Series([*points(3), StepPoint(4, math.nan, 0.2, None, None, None, None, 0.0)]))
    curves = curves_of(state, 80)
    assert [step for step, _ in curves.raw] == [1, 2, 3]
    assert [step for step, _ in curves.smoothed] == [1, 2, 3, 4]
    assert curves_of(RunState(), 80).heights is None


def test_the_step_that_the_verdict_calls_best_is_marked() -> None:
    held = [(100, 0.3), (200, 0.1), (300, 0.1), (400, 0.2)]
    state = RunState(points=Series(points(400)), validations=Series(Validation(s, loss, None) for s, loss in held))
    assert curves_of(state, 80, 200).best == ((200, 0.1),)
    assert curves_of(state, 80).best == ()


def test_validations_have_an_axis_of_their_own_in_percent_of_the_loss_before_training() -> None:
    held = [(0, 1.0), (200, 0.9), (400, 0.8)]
    state = RunState(points=Series(points(400)), validations=Series(Validation(s, loss, None) for s, loss in held))
    rows = plot_of(curves_of(state, 60, 400), 400, False, 60, 12)
    texts = [text for text, _ in rows]
    assert {len(text) for text in texts} == {60}
    top, lowest = (next(row for row in texts if end in row) for end in ("├100%", "├80%"))
    assert "x" in top
    assert "B├80%" in lowest
    assert all(row[-5] in "│├" for row in texts[:-2])
    # The training losses lie far below these shares and fill the height all the same.
    assert any("·" in row for row in texts[:3])


def test_ticks_are_round() -> None:
    assert ticks(0.097, 0.203, 4) == [0.1, 0.15, 0.2]
    assert ticks(0, 2000, 4) == [0, 500, 1000, 1500, 2000]
    assert ticks(1, 1, 4) == []
