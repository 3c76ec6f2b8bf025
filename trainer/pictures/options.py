"""How training pictures are made: every option of cropping, with its default."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from trainer.pictures.decode import MAX_MEGAPIXELS
from trainer.pictures.geometry import Frame

_RECIPE_VERSION = 1

Mode = Literal["center", "focal", "face", "auto-size", "split"]


@dataclass(frozen=True)
class Weights:
    """How much each kind of point counts for the focal point; only the ratios matter (defaults: A1111's)."""

    faces: float = 0.9
    entropy: float = 0.15
    edges: float = 0.5


@dataclass(frozen=True)
class SplitOptions:
    """When and how long pictures are split (A1111's *Split oversized images*)."""

    threshold: float = 0.5
    """Pictures are split if the share that one crop keeps is at most this, 0 to 1."""
    overlap: float = 0.2
    """Share of a piece that the next one shows again, 0 to 0.9."""


@dataclass(frozen=True)
class AutoSizeOptions:
    """Bounds of the sizes that *auto-size* chooses from (A1111's *Auto-sized crop*)."""

    smallest_side: int = 384
    largest_side: int = 768
    smallest_area: int = 64 * 64
    largest_area: int = 640 * 640
    threshold: float = 0.1
    """Largest share of the picture that may be cut away."""
    maximize_area: bool = True
    """Prefer the largest area to the least cut."""


@dataclass(frozen=True)
class CropOptions:
    """How training pictures are made."""

    size: int = 512
    """Side of the training pictures in pixels, a multiple of 64."""
    mode: Mode = "center"
    keep_aspect: bool = False
    """Sides are multiples of 64 near the picture's shape, of size x size in area."""
    weights: Weights = field(default_factory=Weights)
    """For the mode "focal"."""
    face_model: str = ""
    """YuNet's ONNX file; empty takes OpenCV's own cascades."""
    split: SplitOptions = field(default_factory=SplitOptions)
    auto_size: AutoSizeOptions = field(default_factory=AutoSizeOptions)
    flip: bool = False
    """Add a copy mirrored left to right."""
    keep_alpha: bool = False
    """Keep a varying alpha channel, as the weight of the loss."""
    max_megapixels: float = MAX_MEGAPIXELS
    """Larger sources are refused."""

    @property
    def keeps_shape(self) -> bool:
        """Whether training pictures keep their source's shape, more or less."""
        return self.keep_aspect or self.mode == "auto-size"

    def recipe(self, frame: Frame | None) -> str:
        """Return a short hash of everything but the source's content that shapes the result."""
        tree = {"version": _RECIPE_VERSION, **asdict(self), "frame": None if frame is None else frame.box}
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]
