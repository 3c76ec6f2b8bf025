"""Draw a grid: the single pictures, an index for viewers, and one labelled picture of all.

```
FOLDER/
  cells/00-01-1a2b3c4d5e.png   the pictures, each with its generation parameters
  grid.json                    what is where
  grid.png                     all of them with labels
```
"""

import json
from collections.abc import Callable
from pathlib import Path

from trainer.contact_sheet import contact_sheet
from trainer.files import write_atomic
from trainer.generate import Artist
from trainer.grids import Cell, Grid
from trainer.png_parameters import read_parameters, save_png

INDEX, SHEET, CELLS = "grid.json", "grid.png", "cells"


def draw_grid(
    grid: Grid,
    artist: Artist,
    folder: Path,
    on_cell: Callable[[int, int, Cell, Path], None] = lambda done, total, cell, path: None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Draw what is missing of a grid and return the picture of all.

    Args:
        grid: What to draw.
        artist: Draws.
        folder: Where; made when absent. Pictures that are there already are kept.
        on_cell: Told (pictures done, in all, the cell, its file).
        on_step: Told (sampling steps done, in all) of the picture at hand.
    """
    (folder / CELLS).mkdir(parents=True, exist_ok=True)
    files: dict[tuple[int, int], Path] = {}
    for done, cell in enumerate(grid.cells, start=1):
        path = folder / CELLS / cell.file_name
        if not path.is_file():
            drawn = artist.draw(cell.request, on_step)[0]
            save_png(drawn.picture, path, drawn.parameters)
        files[cell.row, cell.column] = path
        _write_index(grid, files, folder)
        on_cell(done, len(grid.cells), cell, path)
    sheet = folder / SHEET
    save_png(contact_sheet(grid.rows, grid.columns, files, grid.title), sheet, f"grid of {len(files)} pictures")
    return sheet


def _write_index(grid: Grid, files: dict[tuple[int, int], Path], folder: Path) -> None:
    cells = [
        {
            "row": row,
            "column": column,
            "path": str(path.relative_to(folder)),
            "parameters": read_parameters(path),
        }
        for (row, column), path in files.items()
    ]
    index = {"kind": grid.kind, "title": grid.title, "rows": grid.rows, "columns": grid.columns, "cells": cells}
    write_atomic(folder / INDEX, json.dumps(index, indent=1) + "\n")
