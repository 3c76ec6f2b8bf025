"""A small real project on the demo model, and real workers on it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.photos import copy_photographs
from tests.support.warm import sit
from trainer.captions.files import write_caption
from trainer.config import config_toml
from trainer.demo.assets import demo_model_dir
from trainer.files import write_atomic
from trainer.pictures.folder import crop_folder
from trainer.pictures.options import CropOptions
from trainer.project import Project, create_project
from trainer.run.events import read_events
from trainer.run.folder import RunFolder

QUICK: dict[str, Any] = {
    "data": {"size": 64},
    "training": {"steps": 12, "batch_size": 2},
    "save": {"every": 4, "state_every_s": 0.0},
    "preview": {"every": 6, "steps": 2, "sampler": "DDIM"},
    "validation": {"every": 6, "pictures": 2, "timesteps": 2},
    "memory": {"threads": 1, "device": "cpu"},
}
"""A run of some seconds that does everything a run does."""


def photo_project(root: Path, count: int = 12, name: str = "photos") -> Project:
    """Make a project of real photographs, cropped to 64 px and captioned, on the demo model."""
    pictures = root / "pictures"
    copy_photographs(pictures, count)
    project = create_project(name, pictures, str(demo_model_dir()), "a1111", root / "hypernetworks")
    project = project.update(settings=QUICK)
    crop_folder(project.pictures, project.processed, CropOptions(64), workers=1)
    for path in sorted(project.processed.glob("*.png")):
        write_caption(path, f"a photograph of {path.stem.split('-')[-1]}")
    return project


def make_run(project: Project, *over: dict[str, Any]) -> RunFolder:
    """Make the folder of a run without starting its worker."""
    from datetime import date

    config = project.settings({}, *over)
    folder = RunFolder.create(project.output, config.name, date(2026, 11, 23))
    write_atomic(folder.config_file, config_toml(config))
    return folder


def worker(folder: RunFolder) -> subprocess.Popen[bytes]:
    """Start a real worker on a run, as a user's is started."""
    with open(folder.worker_log, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "trainer", str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )


def run_to_end(folder: RunFolder, module: str = "trainer.worker") -> int:
    """Carry a run out until it ends, and return the exit code; see `warm` for how it is started."""
    return sit(folder.path, folder.worker_log, module)


def wait_for_event(
    folder: RunFolder, kind: str, wanted: Callable[[dict[str, Any]], bool] = lambda event: True, timeout_s: float = 240
) -> dict[str, Any]:
    """Wait for an event of a kind, and return the first that is wanted."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found = next((event for event in events(folder, kind) if wanted(event)), None)
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {kind}: {folder.worker_log.read_text()}")


def events(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    """Return a run's events of one kind."""
    return [event for event in read_events(folder.events_file) if event["kind"] == kind]


def losses(folder: RunFolder) -> dict[int, float]:
    """Return the last loss that was told of each step."""
    return {event["step"]: event["loss"] for event in events(folder, "step")}


def failure(folder: RunFolder) -> str:
    """Return what a failed run says."""
    return json.dumps(events(folder, "failed")[-1], ensure_ascii=False)
