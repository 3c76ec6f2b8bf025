"""Real photographs that ship inside the wheels of scikit-image and scikit-learn (public domain or CC0, CC-BY)."""

import importlib.util
import shutil
from pathlib import Path

_SKIMAGE = (
    "astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "hubble_deep_field.jpg", "retina.jpg",
    "motorcycle_left.png", "motorcycle_right.png", "ihc.png", "camera.png", "coins.png", "moon.png",
    "brick.png", "grass.png", "gravel.png", "clock_motion.png",
)  # fmt: skip
_SKLEARN = ("china.jpg", "flower.jpg")


def photographs() -> list[Path]:
    """Return the bundled photographs where they lie: 18 PNG and JPEG files, 300 to 1411 pixels, colour first."""
    return [
        *(_package_folder("skimage") / "data" / name for name in _SKIMAGE[:9]),
        *(_package_folder("sklearn") / "datasets" / "images" / name for name in _SKLEARN),
        *(_package_folder("skimage") / "data" / name for name in _SKIMAGE[9:]),
    ]


def photograph(stem: str) -> Path:
    """Return one photograph by its file name without extension, e.g. "astronaut" (a face) or "chelsea" (a cat)."""
    return next(path for path in photographs() if path.stem == stem)


def copy_photographs(folder: Path, count: int = 12) -> list[Path]:
    """Copy the first `count` photographs into `folder` (made if need be) and return the copies."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(path, folder / path.name)) for path in photographs()[:count]]


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is one of the test requirements"
    assert spec.origin is not None
    return Path(spec.origin).parent
