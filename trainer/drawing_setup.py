"""Which model draws, and where hypernetworks are looked for: from a project, a run, or a model alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.base_model.choose import choose_model
from trainer.base_model.hashes import models_folder
from trainer.config import RunConfig, build_config, read_config
from trainer.draw_request import DEFAULT_SIZE_PX
from trainer.hypernetwork.find import HYPERNETWORKS_BELOW
from trainer.project import Project, open_project
from trainer.run.folder import RunFolder, find_runs


@dataclass(frozen=True)
class DrawingSetup:
    """All that drawing needs to know beforehand."""

    config: RunConfig
    """Its `model` and `memory` count, and `preview` for defaults."""
    folders: tuple[Path, ...]
    """Where hypernetworks are, the most wanted first."""
    size_px: int
    """Side of a picture where none is asked for."""


def setup_for_model(model: str, folders: Sequence[Path] = (), over: dict[str, Any] | None = None) -> DrawingSetup:
    """Draw with a base model alone; A1111's newest where `model` is empty.

    Raises:
        AppError: there is no such model.
    """
    info = choose_model(model)
    config = build_config({"model": {"path": str(info.path)}}, over or {})
    return DrawingSetup(config, (*folders, *_installed(info.path)), info.native_size_px or DEFAULT_SIZE_PX)


def setup_for_project(
    project: Project, model: str = "", folders: Sequence[Path] = (), over: dict[str, Any] | None = None
) -> DrawingSetup:
    """Draw with a project's model and its newest run's checkpoints."""
    runs = find_runs(project.root)
    own = [runs[0].hypernetworks] if runs else []
    return _setup(project.settings(over or {}), model, [*folders, *own], project.root)


def setup_for_run(
    run: RunFolder, model: str = "", folders: Sequence[Path] = (), over: dict[str, Any] | None = None
) -> DrawingSetup:
    """Draw with the model that a run was made with, and its checkpoints."""
    config = read_config(run.config_file)
    if over:
        config = build_config(config.model_dump(), over)
    return _setup(config, model, [*folders, run.hypernetworks], run.project_root)


def _setup(config: RunConfig, model: str, folders: Sequence[Path], project_root: Path) -> DrawingSetup:
    path = choose_model(model or config.model.path).path
    settings = {"path": str(path)} if not model else {"path": str(path), "vae": "", "prediction_type": "auto"}
    config = build_config(config.model_dump(), {"model": settings})
    return DrawingSetup(config, (*folders, project_root, *_installed(path)), config.data.size)


def open_setup(
    project: str, run: RunFolder | None, model: str, folders: Sequence[Path], over: dict[str, Any] | None = None
) -> DrawingSetup:
    """Return the set-up of a run, else of a project, else of a model alone."""
    if run:
        return setup_for_run(run, model, folders, over)
    if project:
        return setup_for_project(open_project(project), model, folders, over)
    return setup_for_model(model, folders, over)


def _installed(model: Path) -> list[Path]:
    """Return the hypernetworks' folder of the A1111 installation that a model lies in, if it does."""
    folder = models_folder(model)
    return [folder.parents[1] / HYPERNETWORKS_BELOW] if folder else []


def default_request(setup: DrawingSetup, from_previews: bool) -> dict[str, Any]:
    """Return the fields of a request that are taken from a project's or run's previews, so that pictures compare."""
    preview = setup.config.preview
    if not from_previews:
        return {}
    return {
        "sampler": preview.sampler,
        "steps": preview.steps,
        "cfg_scale": preview.cfg_scale,
        "negative_prompt": preview.negative_prompt,
        "width": preview.width,
        "height": preview.height,
    }
