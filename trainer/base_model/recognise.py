"""What a model file or folder is, told from its tensors' names and shapes; needs no torch for safetensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from trainer.base_model import folder_info, layouts
from trainer.base_model.read import FileContents, read_contents
from trainer.errors import AppError
from trainer.text import printable

PredictionType = Literal["epsilon", "v_prediction", "unknown"]


@dataclass(frozen=True)
class ModelInfo:
    """A recognised model; usable for training when `problems` is empty."""

    path: Path
    family: str
    """sd1, sd2, sdxl, custom (a diffusers folder of other widths), or what else it is: lora, vae, …"""
    kind: Literal["ldm-file", "diffusers-folder", "other-file"]
    size_bytes: int
    context_dim: int = 0
    """Width of the text condition: 768 in SD 1.x, 1024 in SD 2.x."""
    attention_widths: tuple[int, ...] = ()
    """Widths of the self-attention contexts, ascending: 320, 640, 1280."""
    in_channels: int = 0
    dtype: str = ""
    """The commonest type of the UNet's weights, as safetensors spells it (F16, F32, …)."""
    has_ema: bool = False
    has_vae: bool = False
    has_text_encoder: bool = False
    prediction_type: PredictionType = "unknown"
    native_size_px: int = 512
    problems: tuple[AppError, ...] = ()

    @property
    def dims(self) -> list[int]:
        """Hypernetwork widths in A1111's order: the text context first, then self-attention ascending."""
        return list(dict.fromkeys((self.context_dim, *self.attention_widths)))

    @property
    def inpainting(self) -> bool:
        """Whether the UNet takes a mask and a masked picture as well."""
        return self.in_channels == layouts.INPAINTING_CHANNELS

    @property
    def label(self) -> str:
        """The family in words."""
        name = layouts.FAMILY_NAMES.get(self.family, self.family)
        return f"{name} (v-prediction)" if self.prediction_type == "v_prediction" else name

    def with_prediction_type(self, prediction_type: PredictionType) -> ModelInfo:
        """Return this with a prediction type that was found or given elsewhere."""
        size_px = _native_size_px(self.family, prediction_type) if self.kind == "ldm-file" else self.native_size_px
        return replace(self, prediction_type=prediction_type, native_size_px=size_px)


def inspect_model(path: Path) -> ModelInfo:
    """Recognise a checkpoint file or diffusers folder.

    What is recognised but cannot be trained on is described in `problems`.

    Raises:
        AppError: there is nothing at `path`, or it cannot be read as a model at all.
    """
    if path.is_dir():
        return _of_folder(path)
    return info_of_contents(path, read_contents(path))


def require_trainable(info: ModelInfo) -> None:
    """Raise the first of the model's problems, if it has any."""
    for problem in info.problems:
        raise problem


def info_of_contents(path: Path, contents: FileContents) -> ModelInfo:
    """Recognise a file whose contents have been read already."""
    size = path.stat().st_size
    family = layouts.family_of(contents)
    if not any(name.startswith(layouts.UNET) for name in contents.tensors):
        problem = layouts.not_a_base_model(path, family)
        return ModelInfo(path, family, "other-file", size, problems=(problem,))
    shapes = layouts.unet_shapes(contents)
    prediction = _prediction_type(path, family, contents)
    has_text = any(name.startswith(layouts.TEXT_PREFIXES) for name in contents.tensors)
    in_channels = shapes.in_channels
    problems = layouts.problems_of_ldm(path, family, in_channels, shapes.complete, has_text)
    return ModelInfo(
        path=path,
        family=family,
        kind="ldm-file",
        size_bytes=size,
        context_dim=shapes.context_dim,
        attention_widths=shapes.attention_widths,
        in_channels=in_channels,
        dtype=shapes.dtype,
        has_ema=sum(name.startswith("model_ema.") for name in contents.tensors) > 100,
        has_vae=any(name.startswith(layouts.VAE) for name in contents.tensors),
        has_text_encoder=has_text,
        prediction_type=prediction,
        native_size_px=_native_size_px(family, prediction),
        problems=tuple(problems),
    )


def _prediction_type(path: Path, family: str, contents: FileContents) -> PredictionType:
    """From a marker in the file, metadata, a YAML beside it; else epsilon for SD 1.x, unknown for SD 2.x.

    The weights of SD 2.x base and 768-v have the same names and shapes, so these cannot tell.
    """
    told = contents.metadata.get("modelspec.prediction_type", "") or layouts.yaml_parameterization(path)
    if "v_pred" in contents.tensors or told.lower() in ("v", "v_prediction"):
        return "v_prediction"
    if told.lower() in ("eps", "epsilon") or family == "sd1":
        return "epsilon"
    return "unknown"


def _native_size_px(family: str, prediction_type: PredictionType) -> int:
    return 768 if family == "sd2" and prediction_type == "v_prediction" else 512


def _of_folder(path: Path) -> ModelInfo:
    found = folder_info.read_folder(path)
    prediction: PredictionType = "unknown"
    if found.prediction_type in ("epsilon", "v_prediction"):
        prediction = "v_prediction" if found.prediction_type == "v_prediction" else "epsilon"
    problems = list(found.problems)
    if not problems and found.prediction_type not in ("epsilon", "v_prediction"):
        where = printable(path / "scheduler" / "scheduler_config.json")
        problems.append(
            AppError(
                "Unknown prediction type",
                f"{where} says prediction_type = {printable(found.prediction_type)}.",
                "Only epsilon and v_prediction models can be trained.",
            )
        )
    return ModelInfo(
        path=path,
        family=found.family,
        kind="diffusers-folder",
        size_bytes=found.size_bytes,
        context_dim=found.context_dim,
        attention_widths=found.attention_widths,
        in_channels=found.in_channels,
        dtype=found.dtype,
        has_vae=found.has_vae,
        has_text_encoder=found.has_text_encoder,
        prediction_type=prediction,
        native_size_px=found.native_size_px,
        problems=tuple(problems),
    )
