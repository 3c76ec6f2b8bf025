"""Deepbooru's tags, prepared and written as A1111 does (`modules/deepbooru.py`, v1.10.1)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trainer.captions.deepbooru_model import SIDE_PX, read_deepdanbooru
from trainer.captions.tags import tags_caption
from trainer.config.captioning import DeepbooruSettings

RATING = "rating:"
"""Tags that begin so say how safe a picture is; A1111 drops them."""


class Deepbooru:
    """DeepDanbooru from the published file.

    Args:
        path: The file `model-resnet_custom_v3.pt`.
        settings: What is written.
        device: Where it works.
        dtype: In which numbers.
    """

    name = "Deepbooru"

    def __init__(self, path: Path, settings: DeepbooruSettings, device: torch.device, dtype: torch.dtype) -> None:
        self._settings = settings
        self._model = read_deepdanbooru(path).to(device, dtype)

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return next(self._model.parameters()).device

    def to_cpu(self) -> None:
        """Go on on the CPU in full precision."""
        self._model = self._model.to("cpu", torch.float32)

    @torch.inference_mode()
    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Return the tags of each picture."""
        weight = next(self._model.parameters())
        pixels_BHWC = np.stack([np.asarray(fitted(picture), np.float32) for picture in pictures]) / 255
        scores_BT = self._model(torch.from_numpy(pixels_BHWC).to(weight.device, weight.dtype)).float().cpu()
        return [self._caption(scores.tolist()) for scores in scores_BT]

    def _caption(self, scores: Sequence[float]) -> str:
        kept = {
            tag: score
            for tag, score in zip(self._model.tags, scores, strict=True)
            if score >= self._settings.threshold and not tag.startswith(RATING)
        }
        return tags_caption(kept, self._settings)


def fitted(picture: Image.Image, side: int = SIDE_PX) -> Image.Image:
    """Return a picture fitted into a square, the bands beside it filled by stretching its outermost rows.

    A1111's resize mode 2, except that no row is left black where a band has an odd number of rows.
    """
    picture = picture.convert("RGB")
    width, height = picture.size
    wide, high = (side, height * side // width) if width >= height else (width * side // height, side)
    wide, high = max(1, wide), max(1, high)
    small = picture.resize((wide, high), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (side, side))
    left, top = side // 2 - wide // 2, side // 2 - high // 2
    whole.paste(small, (left, top))
    right, bottom = side - left - wide, side - top - high
    for box, size, place in (
        ((0, 0, wide, 0), (side, top), (0, 0)),
        ((0, high, wide, high), (side, bottom), (0, top + high)),
        ((0, 0, 0, high), (left, side), (0, 0)),
        ((wide, 0, wide, high), (right, side), (left + wide, 0)),
    ):
        if (width >= height) == (box[0] != box[2]) and min(size) > 0:
            whole.paste(small.resize(size, box=box), place)
    return whole
