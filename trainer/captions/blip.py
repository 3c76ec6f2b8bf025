"""BLIP's sentences, with A1111's prompt, lengths and picture preparation (`modules/interrogate.py`, v1.10.1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trainer.captions.transformers_files import load_part
from trainer.config.captioning import BlipSettings

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the training pictures' colours, RGB in 0-1; CLIP's."""

BETTER = {"num_beams": 5, "min_length": 8, "max_length": 64, "repetition_penalty": 1.2}
"""The quality "better": beams, and a least length that leaves no room to pad out."""


def generation_arguments(settings: BlipSettings) -> dict[str, Any]:
    """Return what is given to `generate`; lengths count the prompt, with its begin token, as in A1111."""
    own = {
        "num_beams": settings.beams,
        "min_length": settings.min_length,
        "max_length": settings.max_length,
        "repetition_penalty": settings.repetition_penalty,
    }
    return {"do_sample": False, **(BETTER if settings.quality == "better" else own)}


class Blip:
    """BLIP from a folder in transformers' layout.

    Args:
        folder: With config, tokenizer and weights.
        settings: How it writes.
        device: Where it works.
        dtype: In which numbers.
    """

    name = "BLIP"

    def __init__(self, folder: Path, settings: BlipSettings, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import AutoTokenizer, BlipForConditionalGeneration

        self._settings = settings
        self._tokenizer = load_part(AutoTokenizer, folder)
        self._model = load_part(BlipForConditionalGeneration, folder, dtype=dtype, use_safetensors=True)
        self._model = self._model.eval().to(device)

    @property
    def device(self) -> torch.device:
        """Where it works."""
        device: torch.device = self._model.device
        return device

    def to_cpu(self) -> None:
        """Go on on the CPU in full precision."""
        self._model = self._model.to("cpu", torch.float32)

    @torch.inference_mode()
    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Return a sentence for each picture."""
        side = self._model.config.vision_config.image_size
        pixels_BCHW = torch.stack([prepared(picture, side) for picture in pictures])
        prompt = self._tokenizer([self._settings.prompt] * len(pictures), return_tensors="pt")
        # transformers puts BLIP's begin token over the first token and drops the last, the separator.
        ids = prompt["input_ids"].to(self.device)
        written = self._model.generate(
            pixel_values=pixels_BCHW.to(self.device, self._model.dtype),
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **generation_arguments(self._settings),
        )
        start = ids.shape[1] - 1
        texts = self._tokenizer.batch_decode(written[:, start:], skip_special_tokens=True)
        return [text.strip() for text in texts]


def prepared(picture: Image.Image, side: int) -> torch.Tensor:
    """Return a picture as BLIP sees it: squeezed to a square (its shape is ignored), bicubic; float, CHW."""
    small = picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    values = (np.asarray(small, np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(values).permute(2, 0, 1).contiguous()
