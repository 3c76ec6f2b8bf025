"""The job "check": look at every source picture of a project and at its caption.

Request: `size` (absent: the project's), `workers` (processes; absent: as many as cores).
What was found is kept in the project's cache, so that `check_folder` then answers at once.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from trainer.captions.check import CaptionCheck, check_captions
from trainer.captions.tokens import TokenCounter
from trainer.jobs.crop import crop_options
from trainer.jobs.job import Done, Job
from trainer.pictures.check import CheckReport, check_folder
from trainer.pictures.choices import read_choices
from trainer.pictures.look import Look
from trainer.project import Project

RECORD = "check.json"


@dataclass(frozen=True)
class Checked:
    """What was found on pictures and captions."""

    pictures: CheckReport
    captions: CaptionCheck


def record_of(project: Project) -> Path:
    """Return where a project's findings are kept."""
    return project.cache / RECORD


def run(job: Job) -> Done:
    """Look at what changed; the report is a `Checked`."""
    project = job.project
    size = job.request.get("size")
    data = project.settings({"data": {"size": size}} if size else {}).data

    def progress(done: int, total: int, latest: Look) -> None:
        job.item(latest.path.name, latest.status, "; ".join(filter(None, (latest.reason, *latest.notes))))
        job.phase("looking", done, total)

    report = check_folder(
        project.pictures,
        replace(crop_options(project), size=data.size),
        left_out_names=read_choices(project.root).left_out,
        record=record_of(project),
        workers=job.request.get("workers"),
        progress=progress,
    )
    model = project.settings().model
    count = TokenCounter(model.path, emphasis=model.emphasis)
    captions = check_captions([each.path for each in report.looks if each.usable], count)
    for remark in (*report.warnings, *report.suggestions, *captions.remarks):
        job.warn(remark)
    counts = {status: len(report.with_status(status)) for status in ("fine", "warning", "left-out")}
    return Done({"counts": counts, "results": [record_of(project)]}, Checked(report, captions))
