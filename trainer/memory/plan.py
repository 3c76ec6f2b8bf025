"""The plan of a run: what it will take in memory, time and disk, before anything is spent."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trainer.config import RunConfig
from trainer.devices import read_gauges
from trainer.errors import AppError
from trainer.memory.disk import DiskNeed, disk_need
from trainer.memory.earlier import EarlierRun, earlier_runs
from trainer.memory.network import NetworkSize
from trainer.memory.pace import Pace, Work, computed_alike, essence, find_pace, last_step
from trainer.memory.predict import Predictor
from trainer.memory.recognise import architecture_of
from trainer.memory.rungs import Ladder, Rung
from trainer.memory.table import Architecture
from trainer.memory.target import Target, choose_target
from trainer.memory.ways import own_way, settings_for
from trainer.pictures.look import few_pictures_warning, picture_files
from trainer.project import Project
from trainer.text import printable

LEAST_SCALE, MOST_SCALE = 0.5, 2.0
"""Bounds of what a measured peak may change: beyond them it was measured of something else."""


@dataclass(frozen=True)
class RungPlan:
    """A rung with what it takes."""

    rung: Rung
    fits: bool | None
    """None where free memory is unknown."""
    settings: tuple[str, ...]
    """KEY=VALUE that lead to it from the present settings."""
    pace: Pace | None


@dataclass(frozen=True)
class Plan:
    """All that `hypernet plan` tells."""

    project_name: str
    config: RunConfig
    architecture: Architecture | None
    """None for a model that the table doesn't cover: then memory, time and disk are unknown."""
    target: Target
    num_pictures: int
    rungs: tuple[RungPlan, ...] = ()
    below: tuple[RungPlan, ...] = ()
    """Rungs that take less than what is set, the least costly first: where to go when memory ran out all the same."""
    caching_bytes: int = 0
    """What must be free while latents are computed, before the steps."""
    preview_bytes: int = 0
    """What must be free for a preview; 0 without previews."""
    measured_peak_bytes: int | None = None
    """What torch's allocator held at most in an earlier run with the same work on this machine."""
    parameters: int = 0
    """Of the hypernetwork."""
    disk: DiskNeed | None = None
    disk_free_bytes: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def own(self) -> RungPlan | None:
        """What the settings ask for, which is what `hypernet train` does."""
        return next((each for each in self.rungs if each.rung.as_set), None)

    @property
    def recommended(self) -> RungPlan | None:
        """What is set, if it fits or that is unknown; else the first rung that fits; None where none does."""
        if self.own is None or self.own.fits is not False:
            return self.own
        # Pictures get smaller only below all that keeps their size.
        return next((each for each in sorted(self.rungs, key=lambda each: each.rung.smaller) if each.fits), None)

    @property
    def preview_fits(self) -> bool | None:
        """Whether a preview fits; a preview that doesn't is skipped and ends nothing."""
        free = self.target.free_bytes
        return None if free is None or not self.rungs else self.preview_bytes <= free

    @property
    def caching_fits(self) -> bool | None:
        """Whether latents can be computed on the device."""
        free = self.target.free_bytes
        return None if free is None or not self.rungs else self.caching_bytes <= free

    @property
    def disk_fits(self) -> bool | None:
        """Whether there is room for all that the run writes."""
        if self.disk is None or self.disk_free_bytes is None:
            return None
        return self.disk.total <= self.disk_free_bytes

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values; bytes, seconds and pixels."""
        from trainer.memory.choose import choose_rung

        recommended, (used, why) = self.recommended, choose_rung(self)
        return {
            "project": self.project_name,
            "model": {
                "path": self.config.model.path,
                "family": self.architecture and self.architecture.name,
                "label": self.architecture and self.architecture.label,
            },
            "device": asdict(self.target),
            "size_px": self.config.data.size,
            "steps": last_step(self.config),
            "batch_size": self.config.training.batch_size,
            "pictures": self.num_pictures,
            "network_parameters": self.parameters,
            "rungs": [_rung_dict(each) for each in self.rungs],
            "below": [_rung_dict(each) for each in self.below],
            "recommended": recommended and _rung_dict(recommended),
            "used": used and _rung_dict(used),
            "why": why,
            "caching": {"peak_bytes": self.caching_bytes, "fits": self.caching_fits},
            "preview": {"peak_bytes": self.preview_bytes, "fits": self.preview_fits},
            "measured_peak_bytes": self.measured_peak_bytes,
            "time": recommended and recommended.pace and asdict(recommended.pace),
            "disk": self.disk
            and {
                **asdict(self.disk),
                "total": self.disk.total,
                "free_bytes": self.disk_free_bytes,
                "fits": self.disk_fits,
            },
            "warnings": list(self.warnings),
        }

    def as_text(self) -> str:
        """Return the plan for people, at most 80 columns."""
        from trainer.memory.report import plan_text

        return plan_text(self)


def _rung_dict(each: RungPlan) -> dict[str, Any]:
    rung, way = each.rung, each.rung.way
    return {
        "name": rung.name,
        "as_set": rung.as_set,
        "micro_batch": way.micro_batch,
        "accumulation": rung.accumulation,
        "gradient_checkpointing": way.checkpointing,
        "weights": way.weights,
        "offload": way.offload,
        "optimizer_on_host": way.optimizer_on_host,
        "size_px": way.size_px,
        "price": rung.price,
        "parts": asdict(rung.parts),
        "allocated_bytes": rung.parts.allocated,
        "peak_bytes": rung.parts.total,
        "preview_bytes": rung.preview_bytes,
        "fits": each.fits,
        "settings": list(each.settings),
        "step_s": each.pace and each.pace.step_s,
        "total_s": each.pace and each.pace.total_s,
        "time_factor": round(rung.time_factor, 3),
    }


def make_plan(project: Project, config: RunConfig, limit_bytes: int | None = None) -> Plan:
    """Predict what a run of a project with these settings takes; torch stays unloaded.

    Args:
        project: Whose pictures and earlier runs count.
        config: The settings.
        limit_bytes: Most that the run's tensors may take on the device, where that is less than what is free;
            left out, `memory.vram_limit`.

    Raises:
        AppError: there is no base model, or none that can be trained on.
    """
    if not config.model.path:
        raise AppError(
            "No base model",
            f"{printable(project.name)} has no base model.",
            "Give it one (--set model.path=FILE).",
        )
    gauges = read_gauges(disk=project.root)
    target = choose_target(config.memory, gauges, limit_bytes or config.memory.vram_limit_bytes)
    num_pictures = _count_pictures(project.root / config.data.folder)
    warnings = [*config.warnings(), *filter(None, [few_pictures_warning(num_pictures) if num_pictures else ""])]
    if not num_pictures:
        warnings.append(f"There are no training pictures yet: crop first (`hypernet crop {printable(project.name)}`).")
    architecture = architecture_of(Path(config.model.path))
    if architecture is None:
        return Plan(project.name, config, None, target, num_pictures, warnings=tuple(warnings))
    missing = sorted(set(config.network.widths) - set(architecture.dims))
    if missing:
        warnings.append(
            f"network.widths holds {', '.join(map(str, missing))}, which this model doesn't have: training refuses it. "
            f"It has {', '.join(map(str, architecture.dims))}; empty takes all of them."
        )
    network = NetworkSize.of(config.network, architecture.dims)
    runs = earlier_runs(project.root)
    predictor = Predictor(config, architecture, network, target)
    predictor = replace(predictor, scale=_measured_scale(predictor, runs))
    ladder = Ladder(predictor)

    def planned(rungs: list[Rung]) -> tuple[RungPlan, ...]:
        return tuple(_plan_rung(rung, predictor, num_pictures, runs) for rung in rungs)

    rungs = planned(ladder.rungs())
    own = next(each.rung for each in rungs if each.rung.as_set)
    return Plan(
        project.name,
        config,
        architecture,
        target,
        num_pictures,
        rungs,
        planned(ladder.below()),
        caching_bytes=predictor.caching_bytes(),
        preview_bytes=own.preview_bytes,
        measured_peak_bytes=_measured_peak(rungs, runs),
        parameters=network.parameters,
        disk=disk_need(config, architecture, network, num_pictures),
        disk_free_bytes=gauges.disk_free_bytes,
        warnings=tuple(warnings),
    )


def _plan_rung(rung: Rung, predictor: Predictor, num_pictures: int, runs: list[EarlierRun]) -> RungPlan:
    config, target = predictor.config, predictor.target
    work = Work(config, predictor.architecture, predictor.network)
    pace = find_pace(
        work,
        rung.way,
        num_pictures,
        target,
        runs,
        lambda run: _work_of(run, config, predictor.architecture),
    )
    return RungPlan(rung, rung.fits(target.free_bytes), tuple(settings_for(rung.way, config)), pace)


def _work_of(run: EarlierRun, config: RunConfig, architecture: Architecture) -> Work | None:
    """Return what an earlier run did; None where its base model is gone or of an unknown family."""
    its: Architecture | None = architecture
    if run.config.model.path != config.model.path:
        try:
            its = architecture_of(Path(run.config.model.path))
        except (AppError, OSError):
            return None
    return None if its is None else Work(run.config, its, NetworkSize.of(run.config.network, its.dims))


def _measured_scale(predictor: Predictor, runs: list[EarlierRun]) -> float:
    """Return what activations took in an earlier run on this card, relative to the table; 1 where none tells.

    A run with the very same work tells most, then the newest.
    """
    config, target = predictor.config, predictor.target
    work = Work(config, predictor.architecture, predictor.network)
    scales: list[tuple[bool, float]] = []
    for run in runs:
        done = _work_of(run, config, predictor.architecture)
        if run.step_peak_bytes is None or done is None or not computed_alike(run, config, target):
            continue
        way = own_way(run.config)
        parts = Predictor(run.config, done.architecture, done.network, target).parts(way)
        scale = (run.step_peak_bytes - parts.allocated + parts.activations) / parts.activations
        same = essence(done, way) == essence(work, own_way(config))
        scales.append((same, min(max(scale, LEAST_SCALE), MOST_SCALE)))
    return max(scales, key=lambda each: each[0], default=(False, 1.0))[1]


def _measured_peak(rungs: tuple[RungPlan, ...], runs: list[EarlierRun]) -> int | None:
    """Return the peak of the earlier run that the time of the present settings was measured in."""
    own = next((each for each in rungs if each.rung.as_set), None)
    if own is None or own.pace is None or own.pace.source != "measured":
        return None
    return next((run.peak_bytes for run in runs if run.folder.title == own.pace.run_title), None)


def _count_pictures(folder: Path) -> int:
    try:
        return len(picture_files(folder))
    except AppError:
        return 0
