"""Fixtures of the wizard's tests: a projects' folder of each test's own."""

from pathlib import Path

import pytest


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
