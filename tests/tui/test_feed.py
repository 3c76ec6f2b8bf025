"""Following a run's log in slices."""

from pathlib import Path

import pytest

from tests.tui.stories import Story, long_story
from trainer.devices import Gauges
from trainer.run.events import read_events
from trainer.run.folder import RunFolder
from trainer.run.lock import RunLock
from trainer.run.state import replay
from trainer.run.status import Status
from tui import feed as feed_module
from tui.feed import RunFeed, RunView


def no_gauges(*_: object) -> Gauges:
    return Gauges(cpu_percent=5.0)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return long_story(tmp_path / "gollum", 300)


def test_slices_add_up_to_the_whole_story(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "SLICE_BYTES", 1000)
    feed = RunFeed(story.folder, no_gauges)
    feed.advance()
    assert feed.view.is_whole
    assert feed.view.state == replay(read_events(story.folder.events_file))
    assert feed.view.status is Status.LOST
    assert feed.view.gauges is None


def test_what_is_appended_later_is_found_and_gauges_are_read_while_it_lives(story: Story) -> None:
    feed = RunFeed(story.folder, no_gauges)
    feed.advance()
    with RunLock(story.folder):
        story.train(1).until_now()
        feed.advance()
    assert feed.view.state.step == 301
    assert feed.view.status is Status.RUNNING
    assert feed.view.gauges == Gauges(cpu_percent=5.0)


def test_reading_can_be_called_off_and_goes_on_later(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "SLICE_BYTES", 1000)
    feed = RunFeed(story.folder, no_gauges)
    answers = iter([False, False, False])
    feed.advance(lambda: next(answers, True))
    assert 0 < feed.view.read_share < 1
    assert 0 < feed.view.state.step < 300
    feed.advance()
    assert feed.view.state.step == 300


def test_a_line_longer_than_a_slice_is_read_all_the_same(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "SLICE_BYTES", 1000)
    story.tell("warning", message="x" * 50_000)
    story.train(1)
    feed = RunFeed(story.folder, no_gauges)
    feed.advance()
    assert feed.view.state.step == 301


def test_settings_come_from_the_run_and_then_from_what_was_changed(story: Story) -> None:
    feed = RunFeed(story.folder, no_gauges)
    feed.advance()
    assert (feed.view.learning_rate, feed.view.preview_prompt) == ("1e-5", "a portrait of gollum")
    story.tell("changed", step=300, what="learning_rate", value="5e-6")
    feed.advance()
    assert (feed.view.learning_rate, feed.view.preview_prompt) == ("5e-6", "a portrait of gollum")
    told = feed.view.state.log
    assert [feed.settings_at(told, step)["learning_rate"] for step in (299, 300)] == ["1e-5", "5e-6"]


def test_a_rate_is_shown_as_it_acts_after_recovery_has_undone_or_scaled_it(story: Story) -> None:
    def rate() -> str:
        feed.advance()
        return feed.view.learning_rate

    feed = RunFeed(story.folder, no_gauges)
    story.tell("changed", step=3, what="learning_rate", value="2e-5:500, 1e-6", given="2e-5:500, 1e-6")
    story.tell("changed", step=4, what="learning_rate", value="50", given="50")
    assert rate() == "50"
    story.tell("recovering", why="nan", message="", step=3, changes={}, undone=[["learning_rate", "50"]])
    assert rate() == "2e-5:500, 1e-6"
    story.tell("recovering", why="nan", message="", step=3, changes={"optimizer.rate_scale": 0.5}, undone=[])
    assert rate() == "1e-5:500, 5e-7"
    story.tell("recovering", why="nan", message="", step=3, changes=[7], undone=5)
    assert rate() == "1e-5:500, 5e-7"


def test_a_run_without_any_file_is_shown_as_lost(tmp_path: Path) -> None:
    feed = RunFeed(RunFolder(tmp_path / "p/output/2026-11-23/p"), no_gauges)
    feed.advance()
    assert feed.view.status is Status.LOST
    assert feed.view.is_whole


def test_a_hundred_thousand_events_are_read_in_slices_short_enough_for_an_interface(tmp_path: Path) -> None:
    story = Story(tmp_path / "long", total=100_000)
    line = story.folder.events_file.read_bytes().splitlines(keepends=True)[0]
    template = b'{"v":1,"seq":%d,"t":%d,"kind":"step","step":%d,"loss":0.1,"learning_rate":1e-5,"seconds":0.1}\n'
    story.folder.events_file.write_bytes(line + b"".join(template % (n, n, n) for n in range(1, 100_001)))
    feed, shares = RunFeed(story.folder, no_gauges), []

    def note() -> bool:
        shares.append(feed.view.read_share)
        return False

    feed.advance(note)
    assert feed.view.state.step == 100_000
    assert len(shares) > 20
    assert shares == sorted(shares)
    assert RunView().read_share == 0
