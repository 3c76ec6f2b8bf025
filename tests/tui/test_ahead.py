"""What the wizard loads while nobody waits for it, and what it leaves alone."""

import asyncio
from pathlib import Path

import pytest
from textual.css.stylesheet import Stylesheet

from tests.tui.stories import Story, make_project
from tests.tui.walk import Walker, walk
from trainer.run.lock import RunLock
from tui.ahead import load_styles
from tui.app import WizardApp
from tui.overview import Overview, Surveyor
from tui.screens.train import TrainScreen


def test_the_style_sheets_of_all_screens_are_parsed_ahead_under_the_names_that_textual_looks_for() -> None:
    app = WizardApp()
    stylesheet = Stylesheet(variables=app.get_css_variables())
    asyncio.run(load_styles(stylesheet))
    folder = Path(__file__).resolve().parents[2] / "tui/screens"
    assert all(stylesheet.has_source(str(path)) for path in folder.glob("*.tcss"))
    assert any("TrainScreen" in str(rule) for rule in stylesheet.rules)


def test_home_looks_at_nothing_while_a_run_is_on_top(projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(projects, "gollum")
    story = Story(projects / "gollum").train(5).until_now()
    monkeypatch.setattr("tui.screens.home.SURVEY_S", 0.05)
    looked: list[int] = []
    survey = Surveyor.survey

    def count(self: Surveyor) -> Overview:
        looked.append(1)
        return survey(self)

    monkeypatch.setattr(Surveyor, "survey", count)

    async def body(walker: Walker) -> None:
        await walker.sees("▸ gollum")
        await walker.until(lambda: len(looked) > 2)
        await walker.press("enter")
        await walker.sees("step 5 / 2,000")
        assert isinstance(walker.app.screen, TrainScreen)
        before = len(looked)
        for step in range(6, 9):
            story.train(1).until_now()
            await walker.sees(f"step {step} / 2,000")
        assert len(looked) <= before + 1
        await walker.press("escape")
        await walker.until(lambda: len(looked) > before + 2)

    with RunLock(story.folder):
        walk(body)
