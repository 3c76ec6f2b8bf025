"""The shipped table of what steps, previews and the VAE of each family take; `trainer.memory.measure` makes it."""

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Precision = Literal["fp32", "half"]
BYTES: Mapping[Precision, int] = {"fp32": 4, "half": 2}
GROUP = 128
"""Most weights that share a scale where they are stored in 8 bits; a scale is a float32."""
MOST_WINDOW_BYTES = 192 << 20
"""Of the place on the device that fetched layers take turns in, unless two of the largest need more."""


@dataclass(frozen=True)
class AttentionKind:
    """Self-attention layers that are alike."""

    divisor: int
    """The latents' side is divided by this."""
    width: int
    count: int


@dataclass(frozen=True)
class FrozenFigures:
    """The layers of a UNet that can be stored in 8 bits or kept on the host."""

    parameters: int
    """Their weights; biases and all else stay as they are."""
    scales: int
    half_parameters: int
    """Of every second layer, which "half" keeps on the host."""
    half_scales: int
    largest: int
    """Weights of the largest layer."""

    def bytes_of(self, weight_bytes: int, *, in_8bit: bool, half: bool = False) -> int:
        """Return what the weights take, of all layers or of those that "half" keeps on the host."""
        parameters, scales = (self.half_parameters, self.half_scales) if half else (self.parameters, self.scales)
        return parameters + 4 * scales if in_8bit else weight_bytes * parameters


def window_bytes(total_bytes: int, largest_bytes: int) -> int:
    """Return the size of the place for fetched layers: room for the next ones, but no more than helps."""
    return max(2 * largest_bytes, min(MOST_WINDOW_BYTES, total_bytes // 8))


@dataclass(frozen=True)
class Architecture:
    """What the table says of one family. Areas are width × height of the pictures in pixels."""

    name: str
    label: str
    context_dim: int
    tokens: int
    """Length of the text condition."""
    pixels_per_latent: int
    attention: tuple[AttentionKind, ...]
    unet_parameters: int
    vae_parameters: int
    text_parameters: int
    frozen: FrozenFigures
    figures: Mapping[str, Any]

    @property
    def dims(self) -> tuple[int, ...]:
        """Hypernetwork widths, that of the text first."""
        return tuple(dict.fromkeys((self.context_dim, *sorted(kind.width for kind in self.attention))))

    def tokens_of(self, kind: AttentionKind, area: float) -> float:
        """Return the length of the sequence in layers of this kind."""
        return area / (self.pixels_per_latent * kind.divisor) ** 2

    def step_bytes(self, rung: str, precision: Precision, pictures: int, area: float) -> float:
        """Return the peak of forward and backward with the table's own structure, without weights.

        Args:
            rung: A technique of the table: full or checkpointing.
            precision: Of the frozen model.
            pictures: In a micro-batch.
            area: Of one picture.
        """
        by_size: Mapping[str, Mapping[str, float]] = self.figures["step"][rung][precision]
        return _along_area({size: _at(counts, pictures) for size, counts in by_size.items()}, area)

    def preview_bytes(self, precision: Precision, area: float) -> float:
        """Return the peak of a sampling step with guidance, without weights."""
        return _along_area(self.figures["preview"][precision], area)

    def vae_bytes(self, way: Literal["encode", "decode"], area: float) -> float:
        """Return the peak of the VAE for one picture, without weights."""
        return _along_area(self.figures[way], area)

    def flop(self, what: Literal["forward", "step", "encode", "decode"], area: float) -> float:
        """Return the floating-point operations for one picture; step is forward and backward."""
        # Attention makes them grow as a·area + c·area²: per unit of area that is a line.
        per_area = {size: value / int(size) ** 2 for size, value in self.figures[f"{what}_flop"].items()}
        return area * _along_area(per_area, area)


def _along_area(by_size: Mapping[str, float], area: float) -> float:
    return max(0.0, _at({str(int(size) ** 2): value for size, value in by_size.items()}, area))


def _at(points: Mapping[str, float], where: float) -> float:
    """Return the value on the line through the two points around `where`, or through the nearest two."""
    xs = sorted(int(x) for x in points)
    right = min(max(bisect_left(xs, where), 1), len(xs) - 1)
    x0, x1 = xs[right - 1], xs[right]
    y0, y1 = points[str(x0)], points[str(x1)]
    return y0 + (y1 - y0) * (where - x0) / (x1 - x0)


@cache
def load_table() -> dict[str, Architecture]:
    """Return the families of the table by name."""
    tree = json.loads(files("presets").joinpath("memory", "peaks.json").read_text(encoding="utf-8"))
    return {name: _read(name, entry) for name, entry in tree["architectures"].items()}


def _read(name: str, entry: Mapping[str, Any]) -> Architecture:
    return Architecture(
        name=name,
        label=entry["label"],
        context_dim=entry["context_dim"],
        tokens=entry["tokens"],
        pixels_per_latent=entry["pixels_per_latent"],
        attention=tuple(AttentionKind(*kind) for kind in entry["attention"]),
        unet_parameters=entry["unet_parameters"],
        vae_parameters=entry["vae_parameters"],
        text_parameters=entry["text_parameters"],
        frozen=FrozenFigures(**entry["frozen"]),
        figures=entry,
    )
