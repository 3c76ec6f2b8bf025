"""WD tagger v3's tags from its published files, `model.onnx` and `selected_tags.csv`, through onnxruntime."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trainer.captions.tags import tags_caption
from trainer.config.captioning import WdSettings
from trainer.errors import AppError
from trainer.text import printable

GENERAL, CHARACTER, RATING = 0, 4, 9
"""Numbers of the categories in `selected_tags.csv`, which are Danbooru's but for the rating's."""


@dataclass(frozen=True)
class Tag:
    """One output of the model."""

    name: str
    category: int


class WdTagger:
    """WD tagger from a folder.

    Args:
        folder: With `model.onnx` and `selected_tags.csv`.
        settings: What is written.
        device: Where it works, if onnxruntime can; else the CPU.
    """

    name = "WD tagger"

    def __init__(self, folder: Path, settings: WdSettings, device: torch.device) -> None:
        self._path, self._settings = folder / "model.onnx", settings
        self._tags = read_tags(folder / "selected_tags.csv")
        self._session = self._open(device)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or shape[3] != 3 or not isinstance(shape[1], int):
            raise self._other(f"takes {[(each.name, each.shape) for each in inputs]}, not pictures of N x S x S x 3")
        if outputs[0].shape[-1] not in (len(self._tags), None) and isinstance(outputs[0].shape[-1], int):
            raise self._other(f"gives {outputs[0].shape[-1]} scores for {len(self._tags)} tags")
        self._input, self._side = inputs[0].name, shape[1]
        self._fixed_batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else 0

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return torch.device("cuda" if self._session.get_providers()[0] == "CUDAExecutionProvider" else "cpu")

    def to_cpu(self) -> None:
        """Go on on the CPU."""
        self._session = self._open(torch.device("cpu"))

    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Return the tags of each picture."""
        pixels_BHWC = np.stack([prepared(picture, self._side) for picture in pictures])
        step = self._fixed_batch or len(pictures)
        rows: list[Any] = []
        for start in range(0, len(pictures), step):
            batch = pixels_BHWC[start : start + step]
            padded = np.concatenate([batch, np.repeat(batch[-1:], step - len(batch), axis=0)])
            rows += list(self._session.run(None, {self._input: padded})[0][: len(batch)])
        return [self._caption(row.tolist()) for row in rows]

    def _caption(self, scores: Sequence[float]) -> str:
        settings, found = self._settings, list(zip(self._tags, scores, strict=True))
        least = {GENERAL: settings.threshold, CHARACTER: settings.character_threshold}
        parts = [
            tags_caption(
                {tag.name: score for tag, score in found if tag.category == category and score >= least[category]},
                settings,
                keep_faces=True,
            )
            for category in (CHARACTER, GENERAL)
        ]
        ratings = {tag.name: score for tag, score in found if tag.category == RATING}
        if settings.rating and ratings:
            best = max(ratings, key=lambda name: ratings[name])
            parts.append(tags_caption({best: ratings[best]}, settings))
        return ", ".join(filter(None, parts))

    def _open(self, device: torch.device) -> Any:
        import onnxruntime

        wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        there = onnxruntime.get_available_providers()
        providers = [name for name in wanted if name in there] + ["CPUExecutionProvider"]
        try:
            return onnxruntime.InferenceSession(str(self._path), providers=providers)
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime's errors have no common type that is public
            raise AppError(
                "Damaged model",
                f"{printable(self._path)} cannot be read ({printable((str(error).splitlines() or [''])[0], 160)}).",
                "Download it again.",
            ) from error

    def _other(self, what: str) -> AppError:
        return AppError(
            "Not a WD tagger", f"{printable(self._path)} {printable(what, 160)}.", "Give the folder of a WD tagger v3."
        )


def read_tags(path: Path) -> list[Tag]:
    """Read the tags in the order of the model's outputs.

    Raises:
        AppError: the file is missing or isn't such a list.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            tags = [Tag(row["name"], int(row["category"])) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise AppError(
            "Damaged list of tags", f"{printable(path)}: {printable(error, 120)}.", "Download it again."
        ) from None
    if not tags:
        raise AppError("Damaged list of tags", f"{printable(path)} names no tag.", "Download it again.")
    return tags


def prepared(picture: Image.Image, side: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Return a picture as the tagger sees it: padded with white to a square, bicubic; BGR, 0 to 255, HWC."""
    if picture.mode == "RGBA":
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    picture = picture.convert("RGB")
    longest = max(picture.size)
    square = Image.new("RGB", (longest, longest), "white")
    square.paste(picture, ((longest - picture.width) // 2, (longest - picture.height) // 2))
    if longest != side:
        square = square.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(square, np.float32)[:, :, ::-1])
