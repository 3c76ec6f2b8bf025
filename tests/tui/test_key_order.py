"""Keys that come all at once, as over a slow connection, mean what they mean one by one."""

from pathlib import Path

import pytest

from tests.tui.walk import Walker, walk
from tui.widgets.fields import TextField


async def begin(walker: Walker) -> None:
    await walker.sees("▸ demo")
    await walker.press("e")
    await walker.sees("Folders ●", "the demo model")


async def settings(walker: Walker) -> None:
    await begin(walker)
    await walker.press("4")
    await walker.sees("Settings ●", "UNet", "Disk")


@pytest.mark.usefixtures("demo")
def test_a_choice_is_made_where_the_key_was_pressed() -> None:
    async def body(walker: Walker) -> None:
        await settings(walker)
        await walker.burst(*["down"] * 4, "left", "down", "backspace", "8")
        await walker.sees("◉ steps", "Batch          8")

    walk(body)


@pytest.mark.usefixtures("demo")
def test_a_section_is_unfolded_before_it_is_left() -> None:
    async def body(walker: Walker) -> None:
        await settings(walker)
        await walker.burst(*["down"] * 13, "space", "down")
        await walker.sees("▾ network", "Context widths")

    walk(body)


def test_what_is_typed_behind_enter_lands_in_the_next_field(projects: Path, tmp_path: Path) -> None:
    async def body(walker: Walker) -> None:
        await walker.sees("n   a project of your own")
        await walker.burst("n", *str(tmp_path), "enter", *"new", "tab", "shift+tab", *"er")
        await walker.sees(f"{tmp_path.name}newer")
        assert walker.app.screen.query_one("#pictures", TextField).value == str(tmp_path)

    walk(body)


@pytest.mark.usefixtures("demo")
def test_keys_behind_one_that_changes_the_screen_belong_to_the_new_one() -> None:
    async def body(walker: Walker) -> None:
        await settings(walker)
        await walker.burst("escape", "escape", "escape", "escape")
        await begin(walker)
        await walker.burst("2", "3", "4", *["down"] * 2, *["backspace"] * 3, "7")
        await walker.sees("Settings ●", "Steps          7")

    walk(body)


@pytest.mark.usefixtures("demo")
def test_a_dialog_takes_the_keys_behind_the_one_that_opens_it() -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.press("2")
        await walker.sees("Crop ●", "20 pictures")
        await walker.burst("o", "enter", *["backspace"] * 3, *"128", "enter", "enter", "left", "ctrl+n")
        await walker.sees("centre, 128 px, mirrored copies")

    walk(body)
