"""The doctor's screen, walked by keys alone."""

import threading
from pathlib import Path

import pytest

from tests.tui.stories import HOSTILE
from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.doctor import look
from trainer.doctor.findings import Finding, Standing


@pytest.fixture(autouse=True)
def torch_answer(monkeypatch: pytest.MonkeyPatch, projects: Path) -> threading.Event:
    """Let torch answer when the test says so."""
    answer = threading.Event()

    def look_at_torch() -> Finding:
        answer.wait(120)
        return Finding("torch", Standing.BAD, f"{HOSTILE[:9]} without CUDA", "Install a CUDA build.")

    monkeypatch.setattr(look, "look_at_torch", look_at_torch)
    # How many extras there are, and so how many lines they take, is not what these tests are about.
    monkeypatch.setattr(look, "optional_packages", dict)
    return answer


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_findings_come_as_they_are_made_and_each_says_what_to_do(
    torch_answer: threading.Event, size: tuple[int, int]
) -> None:
    async def body(walker: Walker) -> None:
        await walker.press("f2")
        frame = await walker.sees("GPU", "Memory", "Disk", "Logout", "looking at torch", "Terminal", "a sample")
        assert f"{size[0]}×{size[1]}" in frame
        assert frame.count("▀") > 40
        await walker.press("r")
        await walker.sees("It looks already.")
        torch_answer.set()
        frame = await walker.sees("bad   torch", "without CUDA", "Install a CUDA build.")
        assert "looking at" not in frame
        assert "\x1b" not in frame
        await walker.resize(100, 30)
        await walker.sees("100×30")
        await walker.press("f1")
        await walker.sees("What this machine has for training")
        await walker.press("escape", "escape")
        await walker.sees("Hypernet Wizard")

    walk(body, size)


def test_without_colour_it_says_so_and_draws_shades(
    torch_answer: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    torch_answer.set()

    async def body(walker: Walker) -> None:
        await walker.press("f2")
        frame = await walker.sees("bad   torch", "NO_COLOR", "shades")
        assert "▀" not in frame

    walk(body)


def test_the_palette_has_it_from_anywhere(torch_answer: threading.Event) -> None:
    torch_answer.set()

    async def body(walker: Walker) -> None:
        await walker.sees("Hypernet Wizard")
        await walker.press("ctrl+p")
        await walker.sees("Search for commands")
        await walker.type("doctor")
        await walker.sees("Look at this machine")
        await walker.press("enter")
        await walker.sees("bad   torch")

    walk(body)
