"""Grids of pictures to choose from: checkpoints or prompts or seeds against strengths. Planned here, without torch."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from trainer.config.model import Section, setting
from trainer.config.read import validated
from trainer.draw_request import DrawRequest, read_request
from trainer.drawing_setup import DrawingSetup, default_request, open_setup
from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.hypernetwork.find import find_hypernetworks
from trainer.hypernetwork.prompt_tags import parse_prompt
from trainer.install import best_checkpoint
from trainer.run.folder import RunFolder
from trainer.text import nearest, printable

Kind = Literal["step", "strength", "prompt"]
MOST_CHECKPOINTS = 6
"""Taken of a run unasked, evenly spread, the last and the best one always."""
MOST_CELLS = 400
CHOICE = "chosen.json"
_log = logging.getLogger(__name__)


class GridRequest(Section):
    """What a grid shows."""

    kind: Kind = setting("step", "Rows: checkpoints (step), seeds (strength) or prompts; columns: strengths")
    run: str = setting("", "Folder of the run whose checkpoints are shown")
    project: str = setting("", "Project whose model draws, where no run is named")
    model: str = setting("", "Another base model")
    folders: tuple[str, ...] = setting((), "Further folders of hypernetworks")
    device: str = setting("auto", "auto, cpu, cuda, cuda:1 or mps")
    hypernetwork: str = setting("", "Path or name; empty takes the run's best checkpoint")
    checkpoints: tuple[int, ...] = setting((), "Steps shown; empty takes a few, evenly spread, and the best")
    strengths: tuple[float, ...] = setting((0.0, 0.4, 0.7, 1.0), "Strengths shown")
    prompts: tuple[str, ...] = setting((), "Prompts; all kinds but prompt take the first")
    draw: dict[str, Any] = setting({}, "Further fields of the pictures: seed, size, sampler, …")

    @field_validator("strengths")
    @classmethod
    def _some(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or not all(-10 <= strength <= 10 for strength in value):
            raise ValueError("must be one or more numbers from -10 to 10")
        return value


@dataclass(frozen=True)
class Cell:
    """One picture of a grid."""

    row: int
    column: int
    request: DrawRequest

    @property
    def file_name(self) -> str:
        """The same picture has the same name, so that an interrupted grid goes on."""
        text = self.request.model_dump_json()
        return f"{self.row:02d}-{self.column:02d}-{hashlib.sha256(text.encode()).hexdigest()[:10]}.png"


@dataclass(frozen=True)
class Grid:
    """A grid before it is drawn."""

    kind: Kind
    rows: tuple[str, ...]
    """What stands left of each row."""
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    title: str


def read_grid_request(fields: dict[str, Any]) -> GridRequest:
    """Return a request from what was typed or sent.

    Raises:
        AppError: an unknown name or a value out of bounds.
    """
    return validated(GridRequest, fields, "the grid")


def checkpoints_of(run: RunFolder) -> list[tuple[int, Path]]:
    """Return a run's checkpoints as (steps done, file), in order."""
    found = []
    for path in run.hypernetworks.glob("*.pt"):
        step = path.stem.rpartition("-")[2]
        if step.isdecimal():
            found.append((int(step), path))
    return sorted(found)


def open_grid_setup(request: GridRequest) -> DrawingSetup:
    """Return the model and the folders that a grid is drawn with."""
    run = RunFolder(Path(request.run)) if request.run else None
    folders = [Path(folder) for folder in request.folders]
    return open_setup(request.project, run, request.model, folders, {"memory": {"device": request.device}})


def plan_grid(request: GridRequest, setup: DrawingSetup) -> Grid:
    """Say which pictures a grid has; seeds and sizes are settled, so that all of them compare.

    Raises:
        AppError: there is no such checkpoint or hypernetwork, no prompt, or far too many pictures.
    """
    run = RunFolder(Path(request.run)) if request.run else None
    prompts = request.prompts or (_prompt_of(run, setup),)
    from_previews = bool(request.run or request.project)
    base = read_request({**default_request(setup, from_previews), **request.draw, "prompt": prompts[0]})
    base = base.settled(setup.size_px)
    rows = _rows(request, run, setup, base, prompts)
    if len(rows) * len(request.strengths) > MOST_CELLS:
        why = f"{len(rows)} rows of {len(request.strengths)} are more than {MOST_CELLS} pictures."
        raise AppError("Grid too large", why, "Name fewer checkpoints, prompts or strengths.")
    cells = tuple(
        Cell(i, j, one.model_copy(update={"hypernetworks": (f"{path}:{strength:g}",)}))
        for i, (_, path, one) in enumerate(rows)
        for j, strength in enumerate(request.strengths)
    )
    columns = tuple(f"strength {strength:g}" for strength in request.strengths)
    title = base.prompt if request.kind != "prompt" else rows[0][1].stem
    return Grid(request.kind, tuple(label for label, _, _ in rows), columns, cells, title)


def _rows(
    request: GridRequest, run: RunFolder | None, setup: DrawingSetup, base: DrawRequest, prompts: Sequence[str]
) -> list[tuple[str, Path, DrawRequest]]:
    one = base.model_copy(update={"batch": 1})
    if request.kind == "step":
        return [(f"step {step:,}", path, one) for step, path in _chosen_checkpoints(request, run)]
    path = _network(request, run, setup)
    if request.kind == "prompt":
        return [(prompt, path, one.model_copy(update={"prompt": prompt})) for prompt in prompts]
    seeds = [base.seed + i for i in range(base.batch)]
    return [(f"seed {seed}", path, one.model_copy(update={"seed": seed})) for seed in seeds]


def _chosen_checkpoints(request: GridRequest, run: RunFolder | None) -> list[tuple[int, Path]]:
    if run is None:
        raise AppError("No run", "A grid of checkpoints needs a run.", "Name it with --run RUN.")
    found = checkpoints_of(run)
    if not found:
        raise AppError("No checkpoints", f"{printable(run.hypernetworks)} holds none.", "Let the run save one first.")
    if request.checkpoints:
        by_step = dict(found)
        missing = [step for step in request.checkpoints if step not in by_step]
        if missing:
            known = ", ".join(str(step) for step, _ in found[-20:])
            why = f"{printable(run.title)} has none of step {', '.join(map(str, missing))}."
            raise AppError("No such checkpoint", why, f"It has {known}.")
        return [(step, by_step[step]) for step in request.checkpoints]
    count = min(MOST_CHECKPOINTS, len(found))
    chosen = [round((i + 1) * len(found) / count) - 1 for i in range(count)]
    best = [step for step, _ in found].index(best_checkpoint(run, [step for step, _ in found]))
    if best not in chosen:
        # In the place of the nearest one, and never of the last.
        chosen[min(range(count - 1), key=lambda place: abs(chosen[place] - best))] = best
    return [found[place] for place in chosen]


def _network(request: GridRequest, run: RunFolder | None, setup: DrawingSetup) -> Path:
    if not request.hypernetwork:
        found = dict(checkpoints_of(run)) if run else {}
        if run and found:
            return found[best_checkpoint(run, list(found))]
        hint = "Name one with --hypernetwork NAME, or a run with --run RUN."
        raise AppError("No hypernetwork", "The grid needs one to vary.", hint)
    known = find_hypernetworks(setup.folders)
    path = known.get(request.hypernetwork) or Path(request.hypernetwork).expanduser()
    if not path.is_file():
        why = f"There is no {printable(request.hypernetwork)}.{printable(nearest(request.hypernetwork, known))}"
        raise AppError("No such hypernetwork", why, "Give its path or --hypernetwork-dir.")
    return path.resolve()


def _prompt_of(run: RunFolder | None, setup: DrawingSetup) -> str:
    """Return the prompt of the previews: as set, else as the run's last preview has it."""
    if setup.config.preview.prompt:
        return setup.config.preview.prompt
    from trainer.png_parameters import read_prompt

    pictures = sorted(run.images.glob("*.png"), key=lambda path: path.stat().st_mtime) if run else []
    prompt = read_prompt(pictures[-1]) if pictures else ""
    if not prompt:
        raise AppError("No prompt", "There is no preview to take the prompt from.", "Write a prompt.")
    return parse_prompt(prompt).text


@dataclass(frozen=True)
class DrawnGrid:
    """What a grid's index says, for a screen to browse; cells that are not drawn yet are absent."""

    kind: str
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    pictures: dict[tuple[int, int], Path]


def read_grid(folder: Path) -> DrawnGrid | None:
    """Read the index of a grid's folder; None where there is none or it cannot be read."""
    try:
        index = json.loads((folder / "grid.json").read_text("utf-8"))
        pictures = {
            (int(cell["row"]), int(cell["column"])): folder / "cells" / Path(cell["path"]).name
            for cell in index["cells"]
        }
        return DrawnGrid(
            str(index["kind"]), str(index["title"]), tuple(index["rows"]), tuple(index["columns"]), pictures
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.debug("no grid in %s: %s", folder, error)
        return None


def grid_folder(parent: Path, grid: Grid) -> Path:
    """Return the folder of a grid below `parent`; the same grid has the same one, so that it goes on."""
    text = "\n".join(cell.request.model_dump_json() for cell in grid.cells)
    return parent / f"{grid.kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def grids_of(run: RunFolder) -> Path:
    """Return where a run keeps its grids."""
    return run.path / "grids"


def newest_grid(run: RunFolder) -> Path | None:
    """Return the folder of the last finished grid of a run."""
    sheets = sorted(grids_of(run).glob("*/grid.png"), key=lambda path: path.stat().st_mtime)
    return sheets[-1].parent if sheets else None


def latest_grid(run: RunFolder) -> Path | None:
    """Return the folder of the grid of a run that was drawn at last, whole or not."""
    indexes = sorted(grids_of(run).glob("*/grid.json"), key=lambda path: path.stat().st_mtime)
    return indexes[-1].parent if indexes else None


def choose_cell(folder: Path, row: int, column: int) -> None:
    """Write down which picture of a grid was taken as the best."""
    write_atomic(folder / CHOICE, json.dumps({"row": row, "column": column}) + "\n")


def chosen_cell(folder: Path, grid: DrawnGrid) -> tuple[int, int] | None:
    """Return row and column of the picture that was taken; None where none was."""
    try:
        choice = json.loads((folder / CHOICE).read_text("utf-8"))
        cell = int(choice["row"]), int(choice["column"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.debug("no choice in %s: %s", folder, error)
        return None
    return cell if 0 <= cell[0] < len(grid.rows) and 0 <= cell[1] < len(grid.columns) else None
