"""Screens at 120×40, without colour, on a console of sixteen colours and at any size: nothing is lost or cut off."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import tui
from tests.tui.test_results_screen import finished_run
from tests.tui.walk import LARGE, Walker, walk
from trainer.demo.job import prepare_demo
from trainer.project import Project
from tui.glyphs import replacement
from tui.keys import key_name, key_of
from tui.screens.base import WizardScreen
from tui.screens.caption import CaptionScreen
from tui.screens.crop import CropScreen
from tui.screens.doctor import DoctorScreen
from tui.screens.folders import FoldersScreen
from tui.screens.grid import GridScreen
from tui.screens.home import HomeScreen
from tui.screens.log import LogScreen
from tui.screens.recover import RecoverScreen
from tui.screens.results import ResultsScreen
from tui.screens.review import ReviewScreen
from tui.screens.settings import SettingsScreen
from tui.screens.train import TrainScreen
from tui.widgets.keyline import MOST_KEYS

SIZES = [(40, 8), (200, 60), (20, 5), (100, 30), (160, 48), (80, 24)]
ALL = (
    CaptionScreen, CropScreen, DoctorScreen, FoldersScreen, GridScreen, HomeScreen, LogScreen, RecoverScreen,
    ResultsScreen, ReviewScreen, SettingsScreen, TrainScreen,
)  # fmt: skip
Stop = Callable[[Walker], Awaitable[None]]


async def folders(walker: Walker) -> None:
    await walker.sees("demo", "t trains it")
    await walker.press("e")
    await walker.sees("1 Folders", "the demo model")


async def review(walker: Walker) -> None:
    await walker.sees("demo", "t trains it")
    await walker.press("enter")
    await walker.sees("5 Review", "From a shell", "Start training")


@pytest.fixture(params=["NO_COLOR", "linux", "xterm-256color"])
def terminal(request: pytest.FixtureRequest, projects: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What kind of terminal it is."""
    kind = str(request.param)
    monkeypatch.setenv(*(("NO_COLOR", "1") if kind == "NO_COLOR" else ("TERM", kind)))
    return kind


@pytest.fixture
def demo(terminal: str) -> Project:
    """The demo's project, left at the review."""
    return prepare_demo(lambda line: None).update(step="review")


@pytest.mark.parametrize(("go", "title"), [(folders, "1 Folders"), (review, "5 Review")])
@pytest.mark.usefixtures("demo")
def test_the_first_and_the_last_step_bear_any_size_at_any_time(terminal: str, go: Stop, title: str) -> None:
    async def body(walker: Walker) -> None:
        await go(walker)
        for size in SIZES:
            await walker.resize(*size)
            await walker.until(lambda: title in walker.rows()[0] and "Ctrl+N" in " ".join(walker.rows()[-3:]))
        last = walker.rows()[-1]
        assert "Esc back" in last
        assert last.endswith("Ctrl+Q leave"), "all keys are in sight at 80 columns"
        if terminal == "linux":
            assert not set("▸◂…⢸") & set(walker.frame), "the console's font has none of these"

    walk(body, LARGE)


def test_a_run_is_seen_from_home_to_log_and_help(terminal: str, projects: Path) -> None:
    finished_run(projects)

    async def body(walker: Walker) -> None:
        await walker.sees("gollum", "Projects", "Enter open", "Ctrl+Q leave")
        await walker.press("enter")
        best = "200 *" if terminal == "linux" else "200 ★"
        await walker.sees("finished: 1,000 steps", best, "c compare", "Esc back")
        for size in SIZES:
            await walker.resize(*size)
            await walker.until(lambda: walker.rows()[0].startswith("  gollum"))
        await walker.resize(*LARGE)
        await walker.press("f1")
        await walker.sees("What came of the run", "compare: Keep this step")
        await walker.press("escape", "l")
        await walker.sees("finished", "w worker's output")
        for size in SIZES:
            await walker.resize(*size)
        await walker.sees("w worker's output", "Esc back")

    walk(body, LARGE)


@pytest.mark.parametrize("screen", ALL)
def test_the_last_line_has_room_for_its_keys_at_80_columns(screen: type[WizardScreen]) -> None:
    said = [f"{key_name(key_of(id_).keys.split(',')[0])} {key_of(id_).description}" for id_ in screen.FOOTER]
    assert len(said) <= MOST_KEYS
    assert len("  ".join(said)) <= 76
    assert screen.PURPOSE


def test_every_sign_that_is_drawn_has_one_of_its_own_without_unicode() -> None:
    root = Path(tui.__file__).parent
    signs = {sign for path in root.rglob("*.py") for sign in path.read_text("utf-8") if ord(sign) >= 0x180}
    assert signs >= set("★▸✓")
    assert [sign for sign in sorted(signs) if replacement(sign) == "?"] == []
