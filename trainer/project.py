"""A project: one subject's folder, with its pictures, settings and runs.

```
hypernetworks/gollum/
  project.toml      what is known so far; saved at every change
  processed/        crops and captions
  cache/            latents and conditions
  output/DATE/NAME/ runs
```
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import tomlkit

from trainer.config import RunConfig, Section, build_config, load_preset
from trainer.config.captioning import CaptionSettings
from trainer.config.model import setting
from trainer.config.read import merge, read_toml, validated
from trainer.errors import AppError
from trainer.files import write_atomic
from trainer.text import nearest, printable

PROJECT_FILE = "project.toml"
FIRST_PRESET = "recommended"


class CropSettings(Section):
    """How source pictures become training pictures; their size is `data.size`."""

    mode: Literal["center", "focal", "face", "auto-size", "split"] = setting("center", "Where the frame is put")
    flip: bool = setting(False, "Add a mirrored copy of every picture")
    face_model: str = setting("", "YuNet's ONNX file, for faces; empty takes OpenCV's own cascades")
    face_weight: float = setting(0.9, "How much faces count for the focal point", ge=0, le=1)
    entropy_weight: float = setting(0.15, "How much detail counts for the focal point", ge=0, le=1)
    edge_weight: float = setting(0.5, "How much corners and edges count for the focal point", ge=0, le=1)
    split_threshold: float = setting(0.5, "Split pictures of which one crop would keep at most this share", ge=0, le=1)
    split_overlap: float = setting(0.2, "Share of a piece that the next one shows again", ge=0, le=0.9)
    smallest_side: int = setting(384, "auto-size: least side", unit="px", ge=64, le=2048, multiple_of=64)
    largest_side: int = setting(768, "auto-size: greatest side", unit="px", ge=64, le=2048, multiple_of=64)
    smallest_area: int = setting(4096, "auto-size: least area", unit="px²", ge=4096)
    largest_area: int = setting(409_600, "auto-size: greatest area", unit="px²", ge=4096)
    largest_cut: float = setting(0.1, "auto-size: greatest share of a picture that may be cut away", ge=0, le=1)
    prefer: Literal["area", "fit"] = setting("area", "auto-size: the largest area, or the least cut, first")


class ProjectConfig(Section):
    """What `project.toml` holds."""

    schema_version: Literal[1] = 1
    name: str = setting("", "Name of the subject")
    pictures: str = setting("", "Folder of the source pictures; never changed")
    preset: str = setting(FIRST_PRESET, "Preset that the settings start from")
    crop: CropSettings = CropSettings()
    caption: CaptionSettings = CaptionSettings()
    step: str = setting("", "Step of the wizard at which it was left")
    settings: dict[str, Any] = setting({}, "Settings of a run that differ from the preset")


@dataclass(frozen=True)
class Project:
    """A project's folder and what its `project.toml` says."""

    root: Path
    config: ProjectConfig

    @property
    def name(self) -> str:
        """The subject's name."""
        return self.config.name

    @property
    def pictures(self) -> Path:
        """Folder of the source pictures."""
        return (self.root / self.config.pictures).resolve()

    @property
    def processed(self) -> Path:
        """Folder of crops and captions."""
        return self.root / self.settings().data.folder

    @property
    def cache(self) -> Path:
        """Folder of latents and conditions."""
        return self.root / "cache"

    @property
    def output(self) -> Path:
        """Folder of the runs."""
        return self.root / "output"

    def settings(self, *over: Mapping[str, Any], preset: str = "") -> RunConfig:
        """Return the effective settings: `over` > project > preset > default.

        Args:
            over: Trees of settings from the command line, the weakest first.
            preset: Taken instead of the project's own, with the project's settings still above it.
        """
        if not over and not preset:
            return self._settings
        return build_config(
            load_preset(preset or self.config.preset).settings, {"name": self.name}, self.config.settings, *over
        )

    @cached_property
    def _settings(self) -> RunConfig:
        return self.settings({})

    def update(self, **changes: Any) -> "Project":
        """Return the project with tables of `project.toml` changed, saved at once.

        Args:
            changes: e.g. `crop={"mode": "face"}`, `settings={"data": {"size": 256}}`, `preset="tutorial"`.

        Raises:
            AppError: a value is out of bounds, or the file can't be written; it is then as it was.
        """
        return self._save(merge(read_toml(self.root / PROJECT_FILE), changes), changes)

    def with_settings(self, preset: str, settings: Mapping[str, Any]) -> "Project":
        """Return the project with another preset and other settings in the place of its own, saved at once.

        Raises:
            AppError: as `update` does.
        """
        changes = {"preset": preset, "settings": settings}
        return self._save({**read_toml(self.root / PROJECT_FILE), **changes}, changes, replaces=True)

    def _save(self, tree: Mapping[str, Any], changes: Mapping[str, Any], *, replaces: bool = False) -> "Project":
        path = self.root / PROJECT_FILE
        config = validated(ProjectConfig, tree, printable(path))
        project = Project(self.root, config)
        project.settings({})
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
        if replaces:
            _prune(document.get("settings", {}), changes["settings"])
        _put(document, changes)
        try:
            write_atomic(path, tomlkit.dumps(document))
        except OSError as error:
            raise AppError(
                "Cannot save the project", f"{printable(path)}: {error.strerror}.", "Make room, or mend its rights."
            ) from None
        return project


def _prune(table: Any, tree: Mapping[str, Any]) -> None:
    """Remove what `tree` doesn't hold."""
    for key in list(table):
        if key not in tree:
            del table[key]
        elif isinstance(tree[key], Mapping):
            _prune(table[key], tree[key])


def create_project(
    name: str, pictures: Path, model: str, preset: str = FIRST_PRESET, root: Path | None = None
) -> Project:
    """Make a project's folders and `project.toml`.

    Raises:
        AppError: the name is unusable or taken, or the pictures' folder doesn't exist.
    """
    root = (root or projects_root()) / name
    settings = {"model": {"path": model}} if model else {}
    build_config(load_preset(preset).settings, {"name": name}, settings)
    if (root / PROJECT_FILE).exists():
        raise AppError(
            "Project exists", f"{printable(root)} already holds a project.", "Take another name or go on with it."
        )
    if not pictures.is_dir():
        raise AppError(
            "No pictures folder", f"{printable(pictures)} is not a folder.", "Give the folder that holds the pictures."
        )
    config = ProjectConfig(name=name, pictures=str(pictures.resolve()), preset=preset, settings=settings)
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(root / PROJECT_FILE, tomlkit.dumps(config.model_dump(mode="json")))
    except OSError as error:
        raise AppError(
            "Cannot make the project", f"{printable(root)}: {error.strerror}.", "Choose a folder you may write to."
        ) from None
    return Project(root, config)


def open_project(name_or_path: str | Path) -> Project:
    """Open a project by its folder or by its name below the projects' folder.

    Raises:
        AppError: there is none, or its file is damaged.
    """
    given = Path(name_or_path)
    for root in (given, projects_root() / given):
        if (root / PROJECT_FILE).is_file():
            path = root / PROJECT_FILE
            config = validated(ProjectConfig, read_toml(path), printable(path))
            return Project(root.resolve(), config)
    names = [path.parent.name for path in projects_root().glob(f"*/{PROJECT_FILE}")]
    raise AppError(
        "No such project",
        f"{printable(name_or_path)} is neither a project's folder nor a project below {printable(projects_root())}.",
        nearest(str(name_or_path), names).strip() or "Make one with `hypernet new NAME --pictures DIR --model FILE`.",
    )


def find_projects() -> list[Project]:
    """Return all readable projects below the projects' folder, the last changed first."""
    paths = sorted(projects_root().glob(f"*/{PROJECT_FILE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = []
    for path in paths:
        try:
            found.append(open_project(path.parent))
        except AppError:
            continue
    return found


def projects_root() -> Path:
    """Return the folder that holds the projects: `$HYPERNET_PROJECTS`, else `hypernetworks` here."""
    return Path(os.environ.get("HYPERNET_PROJECTS", "hypernetworks")).absolute()


def _put(table: Any, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping):
            if key not in table:
                table[key] = tomlkit.table()
            _put(table[key], value)
        else:
            table[key] = value
