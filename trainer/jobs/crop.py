"""The job "crop": cut a project's sources to training pictures.

Request: `workers` (processes; absent: as many as cores).
"""

from trainer.jobs.job import Done, Job
from trainer.pictures.choices import read_choices
from trainer.pictures.folder import crop_folder
from trainer.pictures.options import AutoSizeOptions, CropOptions, SplitOptions, Weights
from trainer.pictures.task import CropResult
from trainer.project import Project


def crop_options(project: Project) -> CropOptions:
    """Return what a project's settings say about cropping."""
    crop, data = project.config.crop, project.settings().data
    return CropOptions(
        size=data.size,
        mode=crop.mode,
        keep_aspect=data.keep_aspect,
        weights=Weights(crop.face_weight, crop.entropy_weight, crop.edge_weight),
        face_model=crop.face_model,
        split=SplitOptions(crop.split_threshold, crop.split_overlap),
        auto_size=AutoSizeOptions(
            crop.smallest_side,
            crop.largest_side,
            crop.smallest_area,
            crop.largest_area,
            crop.largest_cut,
            crop.prefer == "area",
        ),
        flip=crop.flip,
        keep_alpha=data.alpha_as_weight,
    )


def run(job: Job) -> Done:
    """Crop what changed; the report is a `CropReport`."""
    project = job.project
    choices = read_choices(project.root)

    def progress(done: int, total: int, latest: CropResult) -> None:
        path = project.processed / latest.outputs[0] if latest.outputs else None
        job.item(latest.source, latest.status, latest.reason or "; ".join(latest.notes), path)
        job.phase("cropping", done, total)

    report = crop_folder(
        project.pictures,
        project.processed,
        crop_options(project),
        frames=choices.frames,
        modes=choices.modes,
        left_out=choices.left_out,
        workers=job.request.get("workers"),
        progress=progress,
    )
    for warning in report.warnings:
        job.warn(warning)
    counts = {status: len(report.with_status(status)) for status in ("done", "unchanged", "left-aside")}
    return Done({"counts": counts, "set_aside": len(report.set_aside), "results": [project.processed]}, report)
