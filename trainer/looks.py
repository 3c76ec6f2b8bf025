"""What a picture looks like, in three figures: contrast, saturation, detail.

A network that is trained too hard or too long makes previews harsh, garish or noisy; against the preview of
step 0, with the same prompt and noise, that is plain in these.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""


@dataclass(frozen=True)
class Looks:
    """Figures of one picture, each 0 to 1."""

    contrast: float
    """Standard deviation of the brightness."""
    saturation: float
    """Mean of the largest minus the smallest colour channel."""
    detail: float
    """Mean absolute difference of the brightness of neighbouring pixels."""


def looks_of(picture: Image.Image) -> Looks:
    """Measure a picture."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    luma = pixels @ np.array(LUMA, dtype=np.float32)
    differences = [np.abs(np.diff(luma, axis=axis)).mean() for axis in (0, 1) if luma.shape[axis] > 1]
    return Looks(
        float(luma.std()),
        float((pixels.max(axis=2) - pixels.min(axis=2)).mean()),
        float(np.mean(differences)) if differences else 0.0,
    )
