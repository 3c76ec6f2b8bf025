"""Fixtures of the wizard's tests: a projects' folder of each test's own, a project and a run in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.stories import Story, long_story, make_project
from trainer.demo.job import prepare_demo
from trainer.project import Project
from trainer.run.lock import RunLock


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of projects, which the wizard takes for the user's."""
    # A run that a test writes by hand has no heartbeat, and a busy machine needs long for a test.
    monkeypatch.setattr("trainer.run.status.STALLED_S", 3600.0)
    root = tmp_path / "hypernetworks"
    root.mkdir()
    monkeypatch.setenv("HYPERNET_PROJECTS", str(root))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return root


@pytest.fixture
def demo(projects: Path) -> Project:
    """The demo's project, cropped and captioned."""
    return prepare_demo(lambda line: None)


@pytest.fixture
def root(projects: Path) -> Path:
    """The folder of a project that is ready to train."""
    make_project(projects, "gollum", crops=2, captions=2)
    return projects / "gollum"


@pytest.fixture
def live(root: Path) -> Iterator[Story]:
    """A run of it that goes on."""
    story = long_story(root)
    with RunLock(story.folder):
        yield story
