"""Megapixels a second cropped, against a plain single-process loop of Pillow's open, fit and save."""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageOps

from tests.support.photos import photograph
from trainer.pictures.folder import crop_folder
from trainer.pictures.options import CropOptions

WIDTH, HEIGHT = 4000, 3000
COUNT = 12


def measure_cropping(rounds: int = 5, size: int = 512) -> dict[str, float]:
    """Crop `COUNT` JPEGs of 12 megapixels, alternating with the plain loop.

    Returns:
        Medians: "plain_mp_per_s", "ours_mp_per_s", and "ratio", that of each round's pair.
    """
    with tempfile.TemporaryDirectory() as name:
        source = _write_photographs(Path(name) / "source")
        megapixels = COUNT * WIDTH * HEIGHT / 1e6
        plain_s, ours_s = [], []
        for _ in range(rounds):
            for function, seconds in ((_crop_plainly, plain_s), (_crop, ours_s)):
                target = Path(name) / "target"
                begun_s = time.perf_counter()
                function(source, target, size)
                seconds.append(time.perf_counter() - begun_s)
                shutil.rmtree(target)
    return {
        "plain_mp_per_s": megapixels / statistics.median(plain_s),
        "ours_mp_per_s": megapixels / statistics.median(ours_s),
        "ratio": statistics.median(plain / ours for plain, ours in zip(plain_s, ours_s, strict=True)),
    }


def _crop(source: Path, target: Path, size: int) -> None:
    crop_folder(source, target, CropOptions(size=size))


def _crop_plainly(source: Path, target: Path, size: int) -> None:
    target.mkdir()
    for path in sorted(source.iterdir()):
        with Image.open(path) as image:
            fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
            fitted.save(target / f"{path.stem}.png")


def _write_photographs(folder: Path) -> Path:
    """Write 12-megapixel JPEGs of photographs, with the grain of a camera so that they compress like camera files."""
    folder.mkdir()
    grain = Image.effect_noise((WIDTH, HEIGHT), 24).convert("RGB")
    stems = ("china", "retina", "hubble_deep_field", "rocket")
    for number in range(COUNT):
        with Image.open(photograph(stems[number % len(stems)])) as photo:
            large = ImageOps.fit(photo.convert("RGB"), (WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        Image.blend(large, grain, 0.15).save(folder / f"{number}.jpg", quality=90)
    return folder


if __name__ == "__main__":
    for key, value in measure_cropping().items():
        print(f"{key}: {value:.2f}")
