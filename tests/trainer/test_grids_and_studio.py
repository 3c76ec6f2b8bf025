"""Grids that help to choose, and the process that draws on command: on the demo model, with random checkpoints."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.projects import QUICK, make_run
from trainer.contact_sheet import contact_sheet
from trainer.demo.assets import demo_model_dir
from trainer.errors import AppError
from trainer.grids import checkpoints_of, newest_grid, open_grid_setup, plan_grid, read_grid, read_grid_request
from trainer.hypernetwork import Hypernetwork, Structure, save
from trainer.jobs.worker import run_here
from trainer.project import Project, create_project
from trainer.run.events import EventWriter, read_events
from trainer.run.folder import RunFolder
from trainer.run.jobs import live_job, newest_job
from trainer.studio import Answer, answer_of, ask, open_studio

DIMS = (96, 32, 64, 128)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "pictures").mkdir()
    project = create_project("photos", tmp_path / "pictures", str(demo_model_dir()), "a1111", tmp_path / "projects")
    preview = {"prompt": "a red circle", "steps": 2, "sampler": "DDIM", "cfg_scale": 3.0, "seed": 1}
    return project.update(settings={**QUICK, "preview": preview})


@pytest.fixture
def run(project: Project) -> RunFolder:
    folder = make_run(project)
    for step in range(4, 40, 4):
        structure = Structure(weight_initialization="XavierNormal")
        net = Hypernetwork.create(DIMS, structure, seed=step, name="photos")
        save(net, folder.hypernetworks / f"photos-{step}.pt")
    return folder


def plan(run: RunFolder, **fields: Any) -> Any:
    request = read_grid_request({"run": str(run.path), **fields})
    return plan_grid(request, open_grid_setup(request))


def test_a_grid_of_checkpoints_is_drawn_by_a_job_and_goes_on(project: Project, run: RunFolder) -> None:
    request = {"run": str(run.path), "checkpoints": [4, 36], "strengths": [0, 1], "draw": {"seed": 3}, "device": "cpu"}
    sheet = run_here(project.root, "grid", request)
    assert newest_grid(run) == sheet.parent
    drawn = read_grid(sheet.parent)
    assert drawn is not None
    assert drawn.rows == ("step 4", "step 36")
    assert drawn.columns == ("strength 0", "strength 1")
    assert drawn.title == "a red circle"
    cells = {place: np.asarray(Image.open(path), dtype=int) for place, path in drawn.pictures.items()}
    assert np.array_equal(cells[0, 0], cells[1, 0])
    assert np.abs(cells[0, 0] - cells[0, 1]).mean() > 1
    assert np.abs(cells[0, 1] - cells[1, 1]).mean() > 1
    index = json.loads((sheet.parent / "grid.json").read_text())
    assert "<hypernet:photos-36:1>" in index["cells"][3]["parameters"]
    with Image.open(sheet) as picture:
        assert picture.width > 2 * 128
        assert picture.height > 2 * 128

    drawn.pictures[0, 1].unlink()
    kept = {path: path.stat().st_mtime_ns for path in drawn.pictures.values() if path.exists()}
    assert run_here(project.root, "grid", request) == sheet
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    assert np.array_equal(np.asarray(Image.open(drawn.pictures[0, 1]), dtype=int), cells[0, 1])
    job = newest_job(project.root, "grid")
    assert job is not None
    items = [event for event in read_events(job.events_file) if event["kind"] == "item"]
    assert [item["name"] for item in items][-1] == "step 36, strength 1"


def test_what_a_grid_shows_by_itself(run: RunFolder) -> None:
    assert [step for step, _ in checkpoints_of(run)] == list(range(4, 40, 4))
    steps = plan(run)
    assert len(steps.rows) == 6
    assert steps.rows[-1] == "step 36"
    assert len(steps.cells) == 6 * 4
    assert len({cell.request.seed for cell in steps.cells}) == 1
    prompts = plan(run, kind="prompt", prompts=["a", "b"], strengths=[1])
    assert prompts.rows == ("a", "b")
    assert [cell.request.prompt for cell in prompts.cells] == ["a", "b"]
    assert all("photos-36.pt:1" in cell.request.hypernetworks[0] for cell in prompts.cells)
    seeds = plan(run, kind="strength", hypernetwork="photos-8", strengths=[1], draw={"seed": 7, "batch": 3})
    assert seeds.rows == ("seed 7", "seed 8", "seed 9")
    assert all("photos-8.pt:1" in cell.request.hypernetworks[0] for cell in seeds.cells)


def test_the_best_step_is_shown_and_taken_where_none_is_named(run: RunFolder) -> None:
    assert "step 20" not in plan(run).rows
    with EventWriter(run.events_file) as events:
        for step in range(0, 40, 4):
            loss = 1.0 if step == 0 else 0.5 + 0.01 * step
            events.emit("validated", step=step, held_out=loss if step != 20 else 0.3, training=loss)
    rows = plan(run).rows
    assert "step 20" in rows
    assert (len(rows), rows[-1]) == (6, "step 36")
    assert list(rows) == sorted(rows, key=lambda row: int(row.split()[1]))
    one = plan(run, kind="prompt", prompts=["a"], strengths=[1])
    assert "photos-20.pt:1" in one.cells[0].request.hypernetworks[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"checkpoints": [5]}, "none of step 5"),
        ({"kind": "strength", "hypernetwork": "phtos-8"}, "Did you mean photos-8"),
        ({"strengths": [1000]}, "from -10 to 10"),
        ({"kind": "rows"}, "kind"),
        ({"kind": "prompt", "prompts": ["x"] * 101}, "more than 400"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(run: RunFolder, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(AppError, match=said):
        plan(run, **fields)


def test_labels_of_any_text_are_drawn_and_stay_in_their_place(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (200, 0, 0)).save(tmp_path / "a.png")
    rows = ["\x1b[31m\u202e<script>", "w" * 5000, "", "many words that have to be broken into lines " * 20]
    files = {(row, 0): tmp_path / "a.png" for row in range(4)}
    sheet = np.asarray(contact_sheet(rows, ["a" * 300, "b"], files, "t" * 3000))
    reds = (sheet == (200, 0, 0)).all(axis=2)
    assert reds.sum() == 4 * 128 * 128
    missing = (sheet == (225, 225, 225)).all(axis=2)
    assert missing.sum() >= 4 * 128 * 128


def waited(found: Callable[[], Any], timeout_s: float = 120) -> Any:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("nothing came")


def answers(studio: RunFolder) -> dict[str, Answer]:
    found = (answer_of(event) for event in read_events(studio.events_file))
    return {answer.id: answer for answer in found if answer is not None}


def pixels(answer: Answer) -> np.ndarray:
    assert answer.path is not None, answer.message
    return np.asarray(Image.open(answer.path), dtype=int)


def test_a_studio_draws_what_was_asked_last_and_leaves_when_idle(project: Project, run: RunFolder) -> None:
    studio = open_studio(project.root, run, device="cpu", idle_minutes=0.05)
    fields = {"prompt": "a red circle", "seed": 5, "hypernetworks": "photos-36"}
    first, second, third = (ask(studio, **fields, strength=strength) for strength in (0.2, 0.4, 0.0))
    assert open_studio(project.root, run, device="cpu", idle_minutes=0.05) == studio
    off = waited(lambda: answers(studio).get(third))
    assert {first, second} & answers(studio).keys() == set()
    on_id = ask(studio, **fields, strength=1.0)
    on = waited(lambda: answers(studio).get(on_id))
    assert np.abs(pixels(off) - pixels(on)).mean() > 1
    assert "Steps: 2, Sampler: DDIM" in on.parameters
    gone = ask(studio, prompt="x", hypernetworks="nowhere", seed=1)
    assert "There is no nowhere" in waited(lambda: answers(studio).get(gone)).message
    with pytest.raises(AppError, match="strength"):
        ask(studio, prompt="x", strength=100)
    waited(lambda: live_job(project.root, "studio") is None)
    assert [event["kind"] for event in read_events(studio.events_file)][-1] == "finished"
