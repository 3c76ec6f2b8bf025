"""Trainings on the demo model that go right and wrong on purpose, and what their logs said.

`python -m tests.support.verdict_runs` makes them all anew (about half an hour on two cores) and writes what the verdict
is made from into `verdicts/NAME.json`; the tests judge these real logs without training.
"""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.projects import make_run, run_to_end
from trainer.captions.filename import words_of
from trainer.captions.folder import caption_folder, each
from trainer.demo.assets import demo_model_dir, demo_pictures_dir
from trainer.pictures.folder import crop_folder
from trainer.pictures.look import picture_files
from trainer.pictures.manifest import read_manifest
from trainer.pictures.options import CropOptions
from trainer.project import Project, create_project
from trainer.run.events import Event, read_events
from trainer.run.folder import RunFolder
from trainer.run.state import RunState, replay

FOLDER = Path(__file__).parent / "verdicts"
ALL = 20
"""Pictures of the demo style."""


@dataclass(frozen=True)
class Scenario:
    """One training."""

    settings: dict[str, Any] = field(default_factory=dict)
    pictures: int = ALL


def _constant(rate: str, steps: int, every: int) -> dict[str, Any]:
    return {
        "optimizer": {"learning_rate": rate, "schedule": "steps"},
        "training": {"steps": steps},
        "validation": {"every": every},
        "preview": {"every": 2 * every},
    }


HALF_HELD_OUT = {"validation": {"every": 20, "held_out_share": 0.5, "pictures": 6}}
SCENARIOS = {
    "right": Scenario(),
    "too-low": Scenario({"optimizer": {"learning_rate": "3e-6"}}),
    "too-high": Scenario(
        {
            "optimizer": {"learning_rate": "6e-2"},
            "training": {"steps": 200},
            "validation": {"every": 10},
            "preview": {"every": 20},
        }
    ),
    "raised-late": Scenario(_constant("2e-3:150, 5e-2", 300, 10)),
    "too-few-pictures": Scenario(_constant("3e-3", 1000, 25), 5),
    "too-many-steps": Scenario({**_constant("5e-3", 1000, 20), **HALF_HELD_OUT}, 12),
    "grown-too-strong": Scenario({**_constant("5e-3", 800, 20), "preview": {"every": 50}}, 12),
}


def style_project(root: Path, name: str, pictures: int = ALL) -> Project:
    """Make a project of so many pictures of the demo style, cropped and captioned."""
    source = root / "pictures"
    source.mkdir(parents=True)
    for path in picture_files(demo_pictures_dir("style"))[:pictures]:
        for file in (path, path.with_suffix(".txt")):
            if file.exists():
                shutil.copy(file, source / file.name)
    project = create_project(name, source, str(demo_model_dir()), "demo", root / "hypernetworks")
    crop_folder(project.pictures, project.processed, CropOptions(64), workers=1)
    sources = read_manifest(project.processed).source_of()
    caption_folder(
        picture_files(project.processed),
        each(lambda crop: words_of(crop.stem)),
        source_of={crop: project.pictures / source for crop, source in sources.items()},
    )
    return project


def run_scenario(root: Path, name: str, *over: dict[str, Any]) -> RunFolder:
    """Carry out a scenario to its end."""
    scenario = SCENARIOS[name]
    project = style_project(root / name, name, scenario.pictures)
    folder = make_run(project, scenario.settings, {"memory": {"threads": 1, "device": "cpu"}}, *over)
    assert run_to_end(folder, 3600) == 0, folder.worker_log.read_text()
    return folder


def record(name: str, folder: RunFolder) -> None:
    """Write what a run's verdict is made from."""
    told = [_short(event) for event in read_events(folder.events_file) if event["kind"] in ("validated", "health")]
    FOLDER.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(event) for event in told)
    (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n")


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, list):
        return [_short(item) for item in value]
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items() if key not in ("v", "seq", "t", "start")}
    return value


def recorded(name: str) -> list[Event]:
    """Return what was recorded of a scenario, as events."""
    told = json.loads((FOLDER / f"{name}.json").read_text())
    return [{"v": 1, "seq": number, "t": float(number), **event} for number, event in enumerate(told, 1)]


def state_at(name: str, step: int | None = None) -> RunState:
    """Return a recorded run's state after a step, or at its end."""
    return replay(event for event in recorded(name) if step is None or event["step"] <= step)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        for wanted in sys.argv[1:] or SCENARIOS:
            record(wanted, run_scenario(Path(place), wanted))
            print(wanted)
