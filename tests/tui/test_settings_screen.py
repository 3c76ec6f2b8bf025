"""Settings, walked by keys alone: presets, checks, the live plan, and what lands in the project's file."""

import pytest

from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.config import RunConfig, build_config, load_preset, parse_assignments
from trainer.config.read import assignments, difference
from trainer.project import PROJECT_FILE, Project, open_project
from tui.plan_text import drawn, rate_lines, stacked_bar
from tui.settings_form import BASIC, ELSEWHERE, group_members, groups, read_texts, settings, texts_of
from tui.steps import present_steps
from tui.words import wrapped

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])


async def begin(walker: Walker) -> None:
    await walker.sees("▸ demo")
    await walker.press("e")
    await walker.sees("Folders ●", "the demo model")
    await walker.press(str([step.id for step in present_steps()].index("settings") + 1))
    await walker.sees("Settings ●", "UNet", "Disk")


@pytest.mark.usefixtures("demo")
@SIZES
def test_a_preset_fills_the_fields_and_what_was_typed_under_another_stays(size: tuple[int, int]) -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.sees("◉ Demo", "its rate would ruin", "○ The tutorial's", "RAM", "fits")
        await walker.press("down", "down")
        assert "default 2" not in await walker.sees("Optimizer steps in total"), "the preset's is another one"
        await walker.press(*["backspace"] * 3)
        await walker.type("77")
        await walker.press("up", "up", "left")
        await walker.sees("◉ A1111's", "100000", "filewords")
        await walker.press("right")
        await walker.sees("◉ Demo", "77")

    walk(body, size)


@pytest.mark.usefixtures("demo")
def test_a_warning_stands_at_its_field_in_the_words_of_the_form() -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.press("down", "down", "down", *["backspace"] * 8)
        await walker.type("1e5")
        frame = await walker.sees("! Rate         1e5", "Rate 1e+05 ruins any network at once; 1e-5 is usual.")
        assert "learning_rate" not in frame
        await walker.press(*["backspace"] * 3)
        await walker.type("1e-5")
        await walker.misses("! Rate")

    walk(body)


@pytest.mark.usefixtures("demo")
def test_the_plan_follows_every_key_and_without_colour_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def body(walker: Walker) -> None:
        await begin(walker)
        before = await walker.sees("Rate   ▆█", "Disk   21")
        await walker.press("down", "down", *["backspace"] * 3)
        await walker.type("40000")
        await walker.misses("Disk   21")
        await walker.press("down", *["backspace"] * 4)
        await walker.type("nonsense")
        await walker.sees("! Rate: Cannot read", "What the run takes is told again")
        await walker.press("down")
        frame = await walker.sees("! Rate         nonsense")
        await walker.press("up")
        await walker.sees("Cannot read the number in 'nonsense'; write e.g. 1e-5")
        await walker.press("ctrl+n")
        await walker.sees("Settings ●")
        assert "▸" in before
        assert "! Rate" in frame

    walk(body)


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize(("move", "back"), [("tab", "shift+tab"), ("down", "up")])
def test_digits_right_behind_a_move_are_typed_and_alone_they_jump(move: str, back: str) -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.burst(move, *["backspace"] * 5, "1", "2", "3", move, *["backspace"] * 5, "4")
        await walker.sees("Settings ●", "123")
        await walker.burst(back, "5", back, "3")
        await walker.sees("Caption ●")
        await walker.press("4")
        await walker.sees("Settings ●", "1235")

    walk(body)


@pytest.mark.usefixtures("demo")
def test_digits_right_behind_an_accepted_choice_do_not_jump() -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.burst("enter", "2")
        await walker.sees("Settings ●", "demo2")

    walk(body)


@SIZES
def test_answers_land_in_the_project_and_nothing_else_does(demo: Project, size: tuple[int, int]) -> None:
    path = demo.root / PROJECT_FILE
    path.write_text(path.read_text().replace("[settings.model]", "# the small one\n[settings.model]"))

    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.press("down", "down", *["backspace"] * 3)
        await walker.type("8")
        await walker.press("ctrl+n")
        await walker.sees("Review ●", "8 steps of 4 pictures")
        await walker.press("escape")
        await walker.sees("Settings ●")
        await walker.press("ctrl+n")
        await walker.sees("Review ●")

    walk(body, size)
    saved = open_project("demo")
    assert saved.config.settings["training"] == {"steps": 8}
    assert saved.settings() == demo.settings({"training": {"steps": 8}})
    assert saved.config.step == "review"
    assert "# the small one" in path.read_text()


@pytest.mark.usefixtures("demo")
def test_a_plan_that_scrolls_keeps_its_bar_in_one_line() -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.resize(80, 18)
        await walker.until(lambda: "Disk" in walker.frame and walker.app.size.height == 18)
        rows = walker.rows()
        head = next(number for number, row in enumerate(rows) if "RAM " in row)
        assert "█" in rows[head + 1][40:]
        assert "UNet" in rows[head + 2]

    walk(body)


@pytest.mark.usefixtures("demo")
def test_the_help_explains_the_step_and_its_keys() -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.press("f1")
        await walker.sees("Help", "How strongly and how long", "A preset fills all fields.")
        await walker.press("escape")
        await walker.misses("A preset fills all fields.")

    walk(body)


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.usefixtures("demo")
def test_any_size_works_and_can_change_at_any_time(ascii_only: bool) -> None:
    async def body(walker: Walker) -> None:
        await begin(walker) if not ascii_only else await begin_plain(walker)
        for size in [(40, 8), (200, 60), (20, 5), (100, 30), (80, 24)]:
            await walker.resize(*size)
            await walker.until(lambda: "4 Settings" in walker.rows()[0] and "Ctrl+N" in " ".join(walker.rows()[-3:]))
        frame = await walker.sees("RAM", "Disk", "Rate")
        assert frame.isascii() == ascii_only

    walk(body, ascii_only=ascii_only)


async def begin_plain(walker: Walker) -> None:
    await walker.sees("> demo")
    await walker.press("e")
    await walker.sees("1 Folders *", "the demo model")
    await walker.press(str([step.id for step in present_steps()].index("settings") + 1))
    await walker.sees("Settings *", "UNet", "Disk")


@pytest.mark.usefixtures("demo")
def test_folded_settings_open_by_key_and_an_error_in_them_is_found() -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        for _ in range(13):
            await walker.press("down")
        await walker.sees("▸ network", "Space shows or hides these settings")
        await walker.press("space", "down")
        await walker.sees("▾ network", "widths", "Context widths")
        await walker.type("wide")
        await walker.press("up", "space")
        await walker.sees("▸ network")
        await walker.press("ctrl+n")
        await walker.sees("▾ network", "! Type a whole number.")
        assert walker.app.focused is not None
        assert walker.app.focused.id == "set-network-widths"

    walk(body)


def test_a_preset_of_ones_own_is_saved_offered_and_taken_by_name(demo: Project) -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.press("down", "down", *["backspace"] * 3)
        await walker.type("77")
        await walker.press("ctrl+s")
        await walker.sees("Save these settings as a preset")
        await walker.type("demo")
        await walker.press("enter")
        await walker.sees("demo comes with the program.")
        await walker.type("77")
        await walker.press("tab")
        await walker.type("quick")
        await walker.press("enter")
        assert "--preset" not in await walker.sees("quick", "Every project can start from demo77.")
        await walker.press("up", "up")
        await walker.sees("yours: demo77")
        await walker.press("ctrl+n")
        await walker.sees("Review ●", "--preset demo77")

    walk(body)
    preset = load_preset("demo77")
    assert (preset.trade_off, preset.settings["training"]["steps"]) == ("quick", 77)
    assert "path" not in preset.settings.get("model", {})
    taken = demo.settings(preset="demo77")
    assert taken.training.steps == 77
    assert open_project("demo").config.preset == "demo77"


def test_every_setting_has_a_field_and_comes_back_as_it_was() -> None:
    shown = {one.name for section, _ in groups() for one in group_members(section)}
    assert shown | set(BASIC) == set(settings())
    assert not set(ELSEWHERE) & set(settings())
    for name in ("recommended", "tutorial", "a1111", "demo"):
        config = build_config(load_preset(name).settings, {"model": {"path": "m"}})
        assert read_texts(texts_of(config), config) == (config, {})


def test_errors_say_what_to_type() -> None:
    config = RunConfig()
    wrong = {
        "training.steps": ("x", "Type a whole number, 1 to 10,000,000 steps."),
        "data.size": ("100", "64 to 2,048 px, in steps of 64"),
        "network.layer_structure": ("2,1", "must begin and end with 1"),
        "name": ("a/b", "may hold letters"),
        "data.template": ("nowhere", "There is no such template. Type"),
        "optimizer.learning_rate": ("abc", "write e.g. 1e-5"),
        "optimizer.schedule": ("cosine", "from one rate: give Rate a single number"),
    }
    config = build_config({"optimizer": {"learning_rate": "5e-5:100, 5e-6"}})
    for name, (text, says) in wrong.items():
        found, problems = read_texts({**texts_of(config), name: text}, config)
        assert found is None
        assert says in "".join(problems.values()), problems


def test_differences_read_back_as_the_same_settings() -> None:
    config = build_config(load_preset("recommended").settings, {"data": {"shuffle_tags": True, "tag_dropout": 0.25}})
    told = list(assignments(difference(config, RunConfig())))
    assert "data.tag_dropout=0.25" in told
    assert build_config(parse_assignments(told)) == config


def test_bars_and_rates_are_drawn_in_proportion() -> None:
    assert stacked_bar([2, 1, 1], 8, 8) == "██▓▒····"
    assert stacked_bar([0, 1, 5], 1000, 10) == "▓▒········"
    assert stacked_bar([20, 20], 10, 4) == "██▓▓"
    assert drawn([1.0, 0.5, 0.0]) == "█▅▁"
    assert drawn([1.0, 0.1, 0.01]) == "█▅▁"
    lines = rate_lines(build_config({"optimizer": {"learning_rate": "5e-5:100, 5e-6"}}), 40)
    assert "5e-5" in lines[1]
    lines = rate_lines(build_config({"optimizer": {"learning_rate": "5e-5:100, 5e-6:50", "warmup_steps": 100}}), 70)
    assert lines[1].strip() == "5e-5 after 100 steps of rising, at the end 5e-6"


def test_long_figures_are_set_in_under_what_they_belong_to() -> None:
    assert wrapped("Time   12:00:00  900 s a step, estimated", 36, 7) == [
        "Time   12:00:00  900 s a step,",
        "       estimated",
    ]
