"""Recover, walked by keys alone, on questions written by hand."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.stories import Story, make_project
from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.run.lock import RunLock

ROW = "▸ 1  checkpointing               4.1 GiB  fits  0.55 s/step  same result       best"


@pytest.fixture
def story(projects: Path) -> Iterator[Story]:
    make_project(projects, "harbour", crops=2, captions=2)
    story = Story(projects / "harbour", 2000).train(3)
    with RunLock(story.folder):
        yield story


def answers(story: Story) -> list[dict[str, str]]:
    return [json.loads(path.read_text()) for path in sorted(story.folder.control.glob("*.json"))]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_question_opens_by_itself_and_enter_goes_on_with_the_best(story: Story, size: tuple[int, int]) -> None:
    story.ask()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ harbour", "needs you")
        await walker.press("enter")
        frame = await walker.sees("harbour   out of memory at step 3", "nothing was lost", "1 is taken in ")
        for text in (
            "7.2 of 8.0 GiB were free",
            "python (41213) holds 600 MiB",
            "coarser pictures",
            "stop here; resume",
        ):
            assert text in frame
        assert "checkpointing: What a step computes on its way is computed again" in frame
        best = next(row for row in frame.splitlines() if "▸" in row)
        assert best.split() == ROW.split()
        assert walker.rows()[-1] == "  Enter go on  l log  Esc back  F1 help  Ctrl+Q leave"
        await walker.press("enter")
        await walker.sees("Answered: checkpointing.")
        await walker.press("enter")
        await walker.sees("The answer is on its way.")
        story.tell("answered", id="q1", choice="checkpointing", by="user")
        story.until_now()
        await walker.sees("harbour  running", "answered: checkpointing")

    walk(body, size)
    assert answers(story) == [{"command": "answer", "question": "q1", "choice": "checkpointing"}]


def test_it_opens_over_a_run_that_is_watched_and_a_digit_or_arrows_choose(story: Story) -> None:
    story.until_now()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ harbour")
        await walker.press("enter")
        await walker.sees("harbour  running")
        story.ask(deadline_s=None)
        await walker.sees("▸ 1  checkpointing", "The run waits for your answer")
        await walker.press("4")
        await walker.sees("▸ 4  wait until memory is free", "Nothing changes; the run goes on by itself")
        await walker.press("up", "k", "down")
        await walker.sees("▸ 3  256 px")
        await walker.press("9", "4", "enter")
        await walker.sees("Waiting: the run goes on by itself")
        await walker.press("3", "enter")
        await walker.sees("Answered: 256 px")

    walk(body)
    assert [answer["choice"] for answer in answers(story)] == ["wait", "256 px"]


def test_an_answer_given_elsewhere_closes_it_and_the_next_question_opens_it_again(story: Story) -> None:
    story.ask()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ harbour")
        await walker.press("enter")
        await walker.sees("▸ 1  checkpointing")
        story.tell("answered", id="q1", choice="lowvram", by="time-out")
        story.until_now()
        await walker.sees("harbour  running", "The question is closed: nobody answered in time.")
        story.ask("q2", about="disk", text="No space is left.", default="stop", choices=["wait", "stop"])
        await walker.sees("the disk is full at step 3", "▸ 2  stop here; resume later", "2 is taken in")

    walk(body)
    assert answers(story) == []


def test_escape_puts_the_question_off_and_a_opens_it_again(story: Story) -> None:
    story.ask()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ harbour")
        await walker.press("enter")
        await walker.sees("▸ 1  checkpointing")
        await walker.press("l")
        await walker.sees("the run's story", "question: The step needed")
        await walker.press("escape")
        await walker.sees("▸ 1  checkpointing")
        await walker.press("f1")
        await walker.sees("3  256 px: Small pictures", "goes on from a saved state")
        await walker.press("escape", "escape")
        await walker.sees("harbour  needs you", "a shows the ways to go on.", "a answer")
        await walker.press("a")
        await walker.sees("▸ 1  checkpointing")
        await walker.press("escape", "escape")
        await walker.sees("▸ harbour")

    walk(body)


def test_a_supervisor_that_is_gone_closes_the_question(projects: Path) -> None:
    make_project(projects, "harbour", crops=2, captions=2)
    story = Story(projects / "harbour", 2000).train(3).ask()

    async def body(walker: Walker) -> None:
        with RunLock(story.folder):
            await walker.sees("▸ harbour")
            await walker.press("enter")
            await walker.sees("▸ 1  checkpointing")
        await walker.sees("harbour  lost", "the run's process is gone", "r resume")

    walk(body)


def test_without_colour_the_choice_and_the_best_are_words(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    story.ask()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ harbour")
        await walker.press("enter")
        await walker.sees("▸ 1  checkpointing", "best", "fits")
        for size in [(40, 8), (20, 5), (200, 60), (80, 24)]:
            await walker.resize(*size)
        await walker.sees("▸ 1  checkpointing", "1 is taken in ")

    walk(body)
