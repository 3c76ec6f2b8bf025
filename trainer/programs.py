"""The programs that people draw with: where they keep hypernetworks, and whether they apply them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.base_model.find import MODELS_BELOW_A1111, USUAL_PARENTS, find_a1111_folders
from trainer.errors import AppError
from trainer.hypernetwork.find import HYPERNETWORKS_BELOW
from trainer.hypernetwork.structure import Structure
from trainer.text import printable

Kind = Literal["A1111", "ComfyUI", "Forge", "folder"]
COMFYUI_MODELS = Path("models") / "checkpoints"
COMFYUI_NAMES = ("ComfyUI", "comfyui")

IGNORING = (
    "Forge and reForge take the tag and do nothing, without a message; Forge Classic and SD.Next have no "
    "hypernetworks any more."
)


@dataclass(frozen=True)
class Program:
    """An installation, or a bare folder of hypernetworks."""

    kind: Kind
    root: Path

    @property
    def hypernetworks(self) -> Path:
        """Where it looks for hypernetworks."""
        return self.root if self.kind == "folder" else self.root / HYPERNETWORKS_BELOW


def program_at(folder: Path) -> Program:
    """Say what a folder is that the user names.

    Raises:
        AppError: neither an installation nor a folder of hypernetworks.
    """
    folder = folder.expanduser().absolute()
    if (folder / "modules_forge").is_dir():
        return Program("Forge", folder)
    if (folder / MODELS_BELOW_A1111).is_dir():
        return Program("A1111", folder)
    if (folder / COMFYUI_MODELS).is_dir():
        return Program("ComfyUI", folder)
    if folder.is_dir() and "hypernetwork" in folder.name.lower():
        return Program("folder", folder)
    raise AppError(
        "Not an installation",
        f"{printable(folder)} holds neither {MODELS_BELOW_A1111} (A1111) nor {COMFYUI_MODELS} (ComfyUI).",
        "Name the program's own folder, or its folder of hypernetworks.",
    )


def find_programs(beside: Iterable[Path] = ()) -> list[Program]:
    """Return the installations in the usual places that apply hypernetworks, A1111's first."""
    beside = list(beside)
    found = [program_at(folder) for folder in find_a1111_folders(beside)]
    places = [*beside, Path.cwd(), Path.home(), *map(Path, USUAL_PARENTS)]
    candidates = [place / name for place in places for name in COMFYUI_NAMES]
    roots = dict.fromkeys(path.resolve() for path in candidates if (path / COMFYUI_MODELS).is_dir())
    return [program for program in found if program.kind == "A1111"] + [Program("ComfyUI", root) for root in roots]


def users_of(structure: Structure) -> list[str]:
    """Return, a line each, which programs apply a file of this structure and which do not."""
    problems = structure.comfyui_problems
    return [
        "AUTOMATIC1111 and its AMD fork apply it by its tag.",
        "ComfyUI applies it through HypernetworkLoader, for model and strength." if not problems else problems[0],
        IGNORING,
    ]
