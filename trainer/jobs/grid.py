"""The job "grid": draw checkpoints, seeds or prompts against strengths.

Request: the fields of `trainer.grids.GridRequest`. With a run the grid lies in the run's folder, else in the job's.
"""

from pathlib import Path

from trainer.generate import Artist
from trainer.grid_work import draw_grid
from trainer.grids import Cell, grid_folder, grids_of, open_grid_setup, plan_grid, read_grid_request
from trainer.jobs.job import Done, Job
from trainer.run.folder import RunFolder


def run(job: Job) -> Done:
    """Draw what is missing; the results are the picture of all and the folder of the single ones."""
    request = read_grid_request(dict(job.request))
    if not request.run and not request.project:
        request = request.model_copy(update={"project": str(job.folder.project_root)})
    setup = open_grid_setup(request)
    grid = plan_grid(request, setup)
    job.phase("loading the base model", 0, 1)
    artist = Artist.load(setup, job.warn)
    job.phase("loading the base model", 1, 1)
    folder = grid_folder(grids_of(RunFolder(Path(request.run)) if request.run else job.folder), grid)

    def told(done: int, total: int, cell: Cell, path: Path) -> None:
        job.item(f"{grid.rows[cell.row]}, {grid.columns[cell.column]}", "drawn", "", path)
        job.phase("drawing", done, total)

    job.phase("drawing", 0, len(grid.cells))
    sheet = draw_grid(grid, artist, folder, told, lambda done, total: job.check())
    return Done({"results": [str(sheet), str(folder)]}, sheet)
