"""Review, and the whole way there on defaults, counted in keys."""

import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from tests.tui.stories import long_story
from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.config import parse_assignments
from trainer.project import Project
from trainer.run.folder import RunFolder
from tui import jobs
from tui.review_text import command_line, review_rows
from tui.steps import TRAIN, present_steps

MOST_KEYS = 12
READY = {"folders": "the demo model", "crop": "16 fine"}
"""What a step shows when it has looked at the files."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The projects whose training was started; none really is."""
    roots: list[Path] = []

    def start(root: Path) -> RunFolder:
        roots.append(root)
        return long_story(root, 20).folder

    monkeypatch.setattr(jobs, "start_training", start)
    monkeypatch.setattr(jobs, "watch_start", lambda folder, cancelled: None)
    return roots


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.usefixtures("projects")
def test_from_start_to_a_running_training_on_defaults_takes_a_dozen_keys(
    started: list[Path], size: tuple[int, int]
) -> None:
    keys: list[str] = []

    async def body(walker: Walker) -> None:
        async def press(key: str) -> None:
            keys.append(key)
            await walker.press(key)

        async def leave(title: str) -> None:
            """Press Next; a step that still looks at its files says so, and is asked again."""
            while f"{title} ●" in walker.frame:
                await press("ctrl+n")
                await walker.until(lambda: f"{title} ●" not in walker.frame or "  ! " in walker.frame)

        await walker.sees("d   the demo")
        await press("d")
        for step in present_steps():
            if step.id == TRAIN:
                break
            await walker.sees(f"{step.title} ●", READY.get(step.id, ""))
            await leave(step.title)
        await walker.sees("demo  lost  step 20 / 2,000")

    walk(body, size)
    assert len(started) == 1
    assert len(keys) <= MOST_KEYS


@pytest.mark.parametrize("colour", [True, False])
def test_it_says_what_will_be_done_and_the_command_that_does_it(
    demo: Project, started: list[Path], monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    # A warm-up that fits: what is said of one that doesn't would push the last lines off the screen.
    short = {"training": {"steps": 9}, "optimizer": {"warmup_steps": 2}}
    demo.update(step="review", settings={**short, "preview": {"prompt": "[b]a \u001b red thing"}})
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")

    async def body(walker: Walker) -> None:
        await walker.sees("▸ demo")
        await walker.press("enter")
        frame = await walker.sees("20 pictures of 64 px", "9 steps of 4 pictures; rate 3e-3", "From a shell")
        assert "the demo model" in frame
        assert r"“[b]a \x1b red thing” every 100 steps" in frame
        await walker.press("enter")
        await walker.sees("demo  lost  step 20 / 2,000")
        await walker.press("escape")
        await walker.sees("Hypernet Wizard")

    walk(body)
    assert started == [demo.root]


def test_the_command_line_means_the_same_settings(demo: Project) -> None:
    changed = {"training": {"steps": 9}, "preview": {"prompt": 'it\'s a "red" thing, 1.5'}, "memory": {"threads": 2}}
    project = demo.update(settings=changed)
    command = shlex.split(command_line(project, project.settings()))
    assert command[:4] == ["hypernet", "train", "demo", "--preset"]
    sets = [text for flag, text in pairwise(command) if flag == "--set"]
    again = demo.settings(parse_assignments(sets), preset=command[4])
    assert again == project.settings()


def test_a_project_without_crops_is_not_started(demo: Project, started: list[Path]) -> None:
    shutil.rmtree(demo.processed)
    demo.update(step="review")

    async def body(walker: Walker) -> None:
        await walker.sees("▸ demo")
        await walker.press("e")
        await walker.sees("Folders ●")
        await walker.press(str(len(present_steps()) - 1))
        await walker.sees("Review ●", "! The pictures are not cropped yet.")
        await walker.press("enter")
        await walker.sees("! The pictures are not cropped yet: 2 goes")

    walk(body)
    assert started == []


def test_the_palette_jumps_and_going_back_from_the_first_step_ends_at_home(demo: Project) -> None:
    demo.update(step="review")

    async def body(walker: Walker) -> None:
        await walker.sees("▸ demo")
        await walker.press("enter")
        await walker.sees("From a shell")
        await walker.press("ctrl+p")
        await walker.sees("Search for commands")
        await walker.type("go to Fold")
        await walker.press("enter")
        await walker.sees("Folders ●")
        await walker.press("escape")
        await walker.sees("Hypernet Wizard")
        assert len(walker.app.screen_stack) == 2

    walk(body)


def test_a_network_of_an_earlier_run_is_said_to_be_kept(demo: Project) -> None:
    config = demo.settings()
    assert "previous" not in dict(review_rows(demo, config, None))["Makes"]
    (demo.root / "demo.pt").touch()
    makes = dict(review_rows(demo, config, None))["Makes"]
    assert makes.endswith("; the demo.pt of the run before is kept as demo-previous.pt")
