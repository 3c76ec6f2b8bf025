"""Cropping as a subject of the benchmarks."""

from tests.benchmarks.cropping import measure_cropping
from tests.benchmarks.figures import Figure


def measure_pictures(quick: bool = False) -> list[Figure]:
    """Measure megapixels a second, ours and a plain loop's, alternated in pairs."""
    found = measure_cropping(rounds=1 if quick else 5)
    units = {"plain_mp_per_s": "MP/s", "ours_mp_per_s": "MP/s", "ratio": "ratio"}
    return [Figure(name, units.get(name, "ratio"), (value,), note="a median") for name, value in found.items()]
