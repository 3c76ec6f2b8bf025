"""Grid: many steps and strengths of one prompt are walked by keys, and the best picture is taken."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.tui.stories import HOSTILE
from tests.tui.test_results_screen import finished_run, open_results
from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.errors import AppError
from trainer.run import jobs
from trainer.run.folder import RunFolder
from tui.grids import axis_text, strengths_problem

STEPS, STRENGTHS = (80, 200, 1000), (0.0, 0.7, 1.2)


def drawn_grid(run: RunFolder, *, missing: int = 0, title: str = "a cave") -> Path:
    """A grid of three steps at three strengths, each of another colour."""
    folder = run.path / "grids" / "step-12345678"
    (folder / "cells").mkdir(parents=True)
    cells = []
    for row in range(3):
        for column in range(3):
            name = f"cells/{row:02d}-{column:02d}-0.png"
            Image.new("RGB", (16, 16), (80 * row, 80 * column, 120)).save(folder / name)
            cells.append({"row": row, "column": column, "path": name, "parameters": ""})
    index = {
        "kind": "step",
        "title": title,
        "rows": [f"step {step:,}" for step in STEPS],
        "columns": [f"strength {strength:g}" for strength in STRENGTHS],
        "cells": cells[: len(cells) - missing],
    }
    (folder / "grid.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("colours", [True, False])
def test_a_grid_is_walked_and_the_picture_taken_goes_on_in_the_results(
    projects: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], colours: bool
) -> None:
    folder = drawn_grid(finished_run(projects))
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("g")
        frame = await walker.sees("grid of 3 × 3 pictures", "a cave", "▸ 1,000", "▸ 1.2", "step 1,000, strength 1.2")
        assert "Esc back" in walker.rows()[-1]
        assert all("drawn" not in row for row in frame.splitlines()), "all of it is there"
        await walker.press("up")
        await walker.sees("There is no further picture that way")
        await walker.press("left", "down")
        await walker.sees("▸ 200", "▸ 0.7", "step 200, strength 0.7")
        await walker.press("enter")
        await walker.sees("▸ 200 ★", "<hypernet:gollum:0.7>")
        await walker.press("g")
        await walker.sees("step 200, strength 0.7   ★ taken")
        await walker.press("escape")
        await walker.sees("<hypernet:gollum:0.7>")

    walk(body, size)
    assert json.loads((folder / "chosen.json").read_text()) == {"row": 1, "column": 1}


def test_without_a_grid_its_form_opens_and_what_is_typed_becomes_a_job(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(projects)
    asked: list[tuple[Path, str, Mapping[str, Any]]] = []

    def start_job(root: Path, kind: str, request: Mapping[str, Any]) -> RunFolder:
        asked.append((root, kind, request))
        raise AppError("No room", "The card is full.", "Wait a little.")

    monkeypatch.setattr(jobs, "start_job", start_job)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("g")
        await walker.sees("Draw a grid of this run", "Strengths", "a portrait")
        await walker.type("7")
        await walker.press("enter")
        await walker.sees("There is no checkpoint of 7. Type some of")
        await walker.press("ctrl+u", *"80", "space", *"200", "tab", "ctrl+u", *"1", "space", *"0", "full_stop", "5")
        await walker.press("tab", "ctrl+u", *"cave", "enter")
        await walker.sees("No room", "The card is full.")
        await walker.press("enter")
        await walker.sees("There is no grid of this run yet; n has one drawn.")

    walk(body)
    wanted = {"run": str(run.path), "checkpoints": [80, 200], "strengths": [0.5, 1.0], "prompts": ["cave"]}
    assert asked == [(run.project_root, "grid", wanted)]


def test_a_cell_that_is_not_drawn_yet_says_so(projects: Path) -> None:
    drawn_grid(finished_run(projects), missing=1)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("g")
        await walker.sees("3 × 3 pictures, 8 drawn", "step 1,000, strength 1.2   not drawn yet")
        await walker.press("left")
        await walker.sees("step 200, strength 1.2")
        await walker.misses("not drawn yet")

    walk(body)


def test_hostile_prompts_are_shown_harmlessly(projects: Path) -> None:
    drawn_grid(finished_run(projects), title=HOSTILE)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("g")
        frame = await walker.sees("grid of 3 × 3 pictures", "step 1,000, strength 1.2", "[bold]x[/] [/]")
        assert "\x1b[31m" not in frame

    walk(body)


def test_a_long_axis_keeps_the_chosen_label_in_sight() -> None:
    labels = [f"{100 * n:,}" for n in range(1, 40)]
    for chosen in (0, 17, 38):
        line = axis_text("step", labels, chosen, 60)
        assert f"▸ {labels[chosen]}" in line
        assert len(line) <= 60
    assert axis_text("step", labels[:3], 1, 60) == "step        100  ▸ 200    300"


def test_strengths_are_refused_with_what_to_type() -> None:
    assert not strengths_problem("0 0.5, 1")
    assert all("Type up to" in strengths_problem(text) for text in ("", "strong", "0 11", "nan"))
