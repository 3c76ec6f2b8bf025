"""Home, walked by keys alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.stories import Story, long_story, make_project
from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.errors import AppError
from trainer.project import Project
from trainer.run.folder import RunFolder
from trainer.run.lock import RunLock
from tui import jobs
from tui.keys import keymap_path

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])


@pytest.mark.usefixtures("projects")
@SIZES
def test_a_first_start_welcomes_and_offers_the_demo(size: tuple[int, int]) -> None:
    async def body(walker: Walker) -> None:
        frame = await walker.sees("d   the demo", "n   a project of your own")
        assert frame.splitlines()[-1].split("  ")[1:] == [
            "Enter open", "n new project", "d demo", "/ find", "F1 help", "Ctrl+Q leave",
        ]  # fmt: skip
        await walker.press("enter")
        await walker.sees("There is nothing to open yet.")

    walk(body, size)


@pytest.mark.usefixtures("projects")
def test_own_keys_are_named_everywhere_and_wrong_ones_told() -> None:
    keymap_path().parent.mkdir(parents=True)
    keymap_path().write_text('"home.demo" = "f5"\n"home.new" = "t"\n')

    async def body(walker: Walker) -> None:
        await walker.sees("Unusable keys", '"home.new" (new project) can\'t have t: "home.train" (train)')
        await walker.press("enter")
        frame = await walker.sees("F5  the demo", "n   a project of your own")
        assert "n new project  F5 demo" in frame
        await walker.press("f1", "end")
        await walker.sees("Other keys:", str(keymap_path())[:50])

    walk(body, LARGE)


@SIZES
def test_projects_and_runs_are_listed_with_what_comes_next(projects: Path, size: tuple[int, int]) -> None:
    make_project(projects, "seaside", sources=4)
    make_project(projects, "oldmaps", crops=5, captions=5)
    make_project(projects, "gollum", crops=2, captions=2)
    story = long_story(projects / "gollum", 1240)

    async def body(walker: Walker) -> None:
        await walker.sees("Running", "Projects", "n/a")
        rows = [" ".join(row.split()) for row in walker.rows()]
        assert next(row for row in rows if row.startswith("▸")).startswith("▸ gollum running step 1,240 / 2,000 00:05:")
        assert "oldmaps captioned 5 pictures t trains it" in rows
        assert "seaside new 4 pictures crop the pictures" in rows
        while "▸ seaside" not in walker.frame:
            await walker.press("j")
        await walker.sees("Next: crop the pictures:  hypernet crop seaside")
        await walker.press("enter")
        await walker.sees("seaside  1 Folders", "●")

    with RunLock(story.folder):
        walk(body, size)


def test_a_chosen_run_stays_chosen_when_it_ends(projects: Path) -> None:
    make_project(projects, "seaside", sources=4)
    make_project(projects, "gollum", crops=2, captions=2)
    story = long_story(projects / "gollum", 1240)

    async def body(walker: Walker) -> None:
        await walker.sees("Running", "▸ gollum")
        story.tell("finished", step=story.step, seconds=420.0, results=[])
        await walker.sees("Earlier runs")
        assert "finished" in next(row for row in walker.rows() if "▸" in row)

    with RunLock(story.folder):
        walk(body)


def test_filtering_finds_a_run_and_enter_opens_it_and_escape_comes_back(projects: Path) -> None:
    for name in ("harbour", "gollum"):
        make_project(projects, name, crops=2, captions=2)
        Story(projects / name, 10).train(10).tell("finished", step=10, seconds=4.2)

    async def body(walker: Walker) -> None:
        await walker.sees("harbour", "gollum")
        await walker.press("slash")
        await walker.type("harb")
        await walker.misses("gollum")
        await walker.press("enter", "enter")
        await walker.sees("harbour  finished  step 10 / 10", "Finished after")
        await walker.press("escape")
        await walker.sees("Hypernet Wizard", "harb")
        await walker.press("escape")
        await walker.sees("gollum")

    walk(body)


def test_what_is_typed_right_behind_the_key_is_searched_for(projects: Path) -> None:
    for name in ("seaside", "dunes"):
        make_project(projects, name, crops=2, captions=2)

    async def body(walker: Walker) -> None:
        await walker.sees("seaside", "dunes")
        await walker.burst("slash", *"dune")
        await walker.misses("seaside")
        await walker.sees("Hypernet Wizard", "dune", "Next: ")

    walk(body)


def test_training_asks_first_and_shows_the_run_then(projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(projects, "oldmaps", crops=5, captions=5)
    started: list[Path] = []

    def start(root: Path) -> RunFolder:
        started.append(root)
        return long_story(root, 20).folder

    monkeypatch.setattr(jobs, "start_training", start)
    monkeypatch.setattr(jobs, "watch_start", lambda folder, cancelled: None)

    async def body(walker: Walker) -> None:
        await walker.sees("t trains it")
        await walker.press("t")
        await walker.sees("Train oldmaps?", "steps of 4 pictures", "n  No")
        await walker.press("enter")
        await walker.misses("Train oldmaps?")
        assert started == []
        await walker.press("t")
        await walker.sees("Train oldmaps?")
        await walker.press("y")
        await walker.sees("oldmaps  lost  step 20 / 2,000")

    walk(body)
    assert started == [projects / "oldmaps"]


def test_keys_that_cannot_act_say_why(projects: Path) -> None:
    make_project(projects, "portrait", crops=5, captions=1)

    async def body(walker: Walker) -> None:
        await walker.sees("portrait")
        await walker.press("t")
        await walker.sees("train: not now", "It is not ready for training.", "caption portrait)")

    walk(body)


def test_one_key_opens_the_steps_of_the_demo(projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(projects, "demo", sources=3)

    def prepare(say: Callable[[str], None]) -> Project:
        say("Cropped 12 pictures")
        return project

    monkeypatch.setattr(jobs, "prepare_demo", prepare)

    async def body(walker: Walker) -> None:
        await walker.sees("Projects")
        await walker.press("d")
        await walker.sees("demo  1 Folders ●", "3 pictures")
        await walker.press("escape")
        await walker.sees("Hypernet Wizard", "▸ demo")

    walk(body)


@pytest.mark.usefixtures("projects")
def test_a_demo_that_cannot_start_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(say: object) -> Project:
        raise AppError("Disk full", "There is no [bold]room\x1b[31m[/] left.", "Make room.")

    monkeypatch.setattr(jobs, "prepare_demo", fail)

    async def body(walker: Walker) -> None:
        await walker.sees("d   the demo")
        await walker.press("d")
        await walker.sees("Disk full", r"There is no [bold]room\x1b[31m[/] left.", "Make room.")
        await walker.press("enter")
        await walker.misses("Disk full")

    walk(body)


@pytest.mark.usefixtures("projects")
def test_a_bug_leaves_a_traceback_and_a_short_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(say: object) -> Project:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(jobs, "prepare_demo", fail)

    async def body(walker: Walker) -> None:
        await walker.sees("d   the demo")
        await walker.press("d")
        await walker.sees("A bug in the wizard", "RuntimeError: unforeseen", "Runs go on unharmed.")

    walk(body)
    from tui.problems import log_path

    assert 'raise RuntimeError("unforeseen")' in log_path().read_text()
