"""BLIP-2 and Florence-2: descriptions by models that transformers itself carries; no code of a repository is run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from trainer.captions.transformers_files import load_part
from trainer.config.captioning import Blip2Settings, Florence2Settings
from trainer.errors import AppError
from trainer.text import printable

TASKS = {"short": "<CAPTION>", "detailed": "<DETAILED_CAPTION>", "very-detailed": "<MORE_DETAILED_CAPTION>"}
"""Florence-2's names of its tasks, by the setting `detail`."""


class _Describer:
    """A model and its processor, on one device."""

    name = ""

    def __init__(self, model_class: Any, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import AutoProcessor

        self._processor = load_part(AutoProcessor, folder)
        self._model = load_part(model_class, folder, dtype=dtype, use_safetensors=True).eval().to(device)

    @property
    def device(self) -> torch.device:
        """Where it works."""
        device: torch.device = self._model.device
        return device

    def to_cpu(self) -> None:
        """Go on on the CPU in full precision."""
        self._model = self._model.to("cpu", torch.float32)

    def _generate(self, inputs: Any, **arguments: Any) -> torch.Tensor:
        tensors = {
            name: value.to(self.device, self._model.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }
        ids: torch.Tensor = self._model.generate(**tensors, do_sample=False, **arguments)
        return ids

    def _decode(self, ids: torch.Tensor) -> list[str]:
        texts = self._processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]


class Blip2(_Describer):
    """BLIP-2 from a folder in transformers' layout."""

    name = "BLIP-2"

    def __init__(self, folder: Path, settings: Blip2Settings, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import Blip2ForConditionalGeneration

        super().__init__(Blip2ForConditionalGeneration, folder, device, dtype)
        self._settings = settings
        if self._model.config.image_token_index is None:
            raise AppError(
                "Old model folder",
                f"{printable(folder)} was written before BLIP-2 had an image token.",
                "Download its present version.",
            )

    @torch.inference_mode()
    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Return a description for each picture."""
        text = [self._settings.prompt] * len(pictures) if self._settings.prompt else None
        inputs = self._processor(images=list(pictures), text=text, return_tensors="pt", padding=True)
        if text is None:
            inputs = {"pixel_values": inputs["pixel_values"]}
        ids = self._generate(inputs, num_beams=self._settings.beams, max_new_tokens=self._settings.max_tokens)
        if not self._model.config.text_config.is_encoder_decoder:
            # A decoder repeats what it was given: the picture's tokens, the begin token, the prompt.
            given = inputs["input_ids"].shape[1] if text else self._model.config.num_query_tokens + 1
            ids = ids[:, given:]
        return self._decode(ids)


class Florence2(_Describer):
    """Florence-2 from a folder in transformers' own layout (not the one that needs the repository's code)."""

    name = "Florence-2"

    def __init__(self, folder: Path, settings: Florence2Settings, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import Florence2ForConditionalGeneration

        super().__init__(Florence2ForConditionalGeneration, folder, device, dtype)
        self._settings = settings

    @torch.inference_mode()
    def write(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Return a description for each picture."""
        task = TASKS[self._settings.detail]
        inputs = self._processor(images=list(pictures), text=[task] * len(pictures), return_tensors="pt", padding=True)
        ids = self._generate(inputs, num_beams=self._settings.beams, max_new_tokens=self._settings.max_tokens)
        return self._decode(ids)
