"""A live run of a worker that counts instead of training."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tui.stories import DAY, make_project
from trainer.run.folder import RunFolder
from trainer.run.launch import start_worker, wait_for_start
from trainer.run.lock import kill_worker
from trainer.run.status import glance

REPOSITORY = Path(__file__).resolve().parents[2]
SUPPORT = REPOSITORY / "tests/support"


@contextmanager
def counting_run(projects: Path) -> Iterator[RunFolder]:
    """Start a run in a project called gollum; kill what is left of it at the end."""
    make_project(projects, "gollum", crops=2, captions=2)
    folder = RunFolder.create(projects / "gollum/output", "gollum", DAY)
    folder.config_file.write_text('[optimizer]\nlearning_rate = "3e-3"\n')
    start_worker(folder, "fake_worker", ["100000", "0.05"], environment={"PYTHONPATH": str(SUPPORT)})
    wait_for_start(folder)
    try:
        yield folder
    finally:
        if glance(folder).status.is_live:
            kill_worker(folder)
