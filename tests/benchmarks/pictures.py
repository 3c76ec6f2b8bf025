"""Cropping and looking at pictures as subjects of the benchmarks."""

import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.benchmarks.cropping import measure_cropping
from tests.benchmarks.figures import Figure
from trainer.pictures.check import check_folder
from trainer.pictures.options import CropOptions


def measure_pictures(quick: bool = False) -> list[Figure]:
    """Measure megapixels a second, ours and a plain loop's, alternated in pairs."""
    found = measure_cropping(rounds=1 if quick else 5)
    units = {"plain_mp_per_s": "MP/s", "ours_mp_per_s": "MP/s", "ratio": "ratio"}
    figures = [Figure(name, units.get(name, "ratio"), (value,), note="a median") for name, value in found.items()]
    note = "800x600 JPEGs through the dataset doctor, all cores, starting its processes included"
    return [*figures, Figure("looked_at_per_s", "pictures/s", (measure_looking(200 if quick else 1000),), note=note)]


def measure_looking(count: int) -> float:
    """Return how many pictures a second the dataset doctor looks at."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        folder.mkdir()
        for index in range(count):
            grain = Image.effect_noise((16, 12), 90 + index % 100).convert("RGB")
            grain.resize((800, 600), Image.Resampling.BICUBIC).save(folder / f"{index:05d}.jpg", quality=85)
        begun_s = time.perf_counter()
        check_folder(folder, CropOptions(512), record=Path(name) / "check.json")
        return count / (time.perf_counter() - begun_s)
