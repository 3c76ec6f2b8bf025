"""The whole job in a real terminal by keys alone: from an empty home to a hypernetwork installed into A1111."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminals import Tmux, needs_tmux
from trainer.run.folder import find_runs
from trainer.run.lock import kill_worker
from trainer.run.status import Status, glance

pytestmark = needs_tmux
STEPS = "12"
PATIENCE_S = 240


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "hypernetworks"
    monkeypatch.setenv("HYPERNET_PROJECTS", str(root))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield root
    for run in find_runs(root / "demo"):
        if glance(run).status.is_live:
            kill_worker(run)


@pytest.fixture
def a1111(tmp_path: Path) -> Path:
    """A folder as AUTOMATIC1111 makes it."""
    root = tmp_path / "stable-diffusion-webui"
    for name in ("hypernetworks", "Stable-diffusion"):
        (root / "models" / name).mkdir(parents=True)
    (root / "webui.py").touch()
    return root


def test_from_an_empty_home_to_an_installed_hypernetwork(projects: Path, a1111: Path) -> None:
    terminal = Tmux()
    try:
        terminal.sees("Welcome.", "the demo")
        terminal.press("d")
        terminal.sees("Folders ●", "20 pictures", "the demo model")
        terminal.press("C-n")
        terminal.sees("Crop ●", "20 pictures: 16 fine")
        terminal.press("C-n")
        terminal.sees("Caption ●", "20 captioned")
        terminal.press("C-n")
        terminal.sees("Settings ●", "Steps          400")
        # From the presets over the name to the steps.
        terminal.press("Tab")
        terminal.press("Tab")
        terminal.sees("Optimizer steps in total")
        terminal.press("BSpace", "BSpace", "BSpace")
        terminal.until(lambda rows: any(row.startswith("  Steps ") and "4" not in row[:30] for row in rows))
        terminal.type(STEPS)
        terminal.press("Tab")
        terminal.sees(f"Steps          {STEPS} ", "fits")
        terminal.press("C-n")
        terminal.sees("Review ●", f"{STEPS} steps of 4 pictures", "Start training")
        terminal.press("Enter")
        terminal.sees("demo  finished", f"step {STEPS} / {STEPS}", "u results", patience_s=PATIENCE_S)
        [run] = find_runs(projects / "demo")
        assert glance(run).status is Status.FINISHED

        terminal.press("u")
        terminal.sees("finished: 12 steps", "i install")
        terminal.press("i")
        terminal.sees("Folder of A1111 or ComfyUI")
        terminal.type(str(a1111))
        terminal.press("Enter", "Enter")
        terminal.sees("<hypernet:demo:")
        installed = a1111 / "models/hypernetworks/demo.pt"
        terminal.until(lambda rows: installed.is_file())
        terminal.press("Escape", "C-q")
    finally:
        terminal.end()

    from trainer.hypernetwork import load

    assert load(installed).step == int(STEPS)
