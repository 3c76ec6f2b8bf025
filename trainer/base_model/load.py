"""Base models loaded into diffusers modules: single files and folders, always offline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from trainer.base_model import configs, folder, names
from trainer.base_model.build import build_module
from trainer.base_model.layouts import EMA, UNET, VAE
from trainer.base_model.prediction import ask_for_prediction_type, probe_prediction_type
from trainer.base_model.read import read_tensors
from trainer.base_model.recognise import ModelInfo, PredictionType, inspect_model, require_trainable
from trainer.base_model.tokenizer import folder_tokenizer, shipped_tokenizer
from trainer.errors import AppError
from trainer.text import printable

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

Part = Literal["unet", "vae", "text_encoder"]
ALL_PARTS: tuple[Part, ...] = ("unet", "vae", "text_encoder")


@dataclass
class BaseModel:
    """A loaded base model; every module is frozen and in eval mode.

    Parts that were not loaded, or were dropped, are absent: using one raises ValueError.
    """

    info: ModelInfo
    """With the prediction type that was settled on."""
    tokenizer: CLIPTokenizer
    scheduler_config: dict[str, Any]
    parts: dict[Part, torch.nn.Module] = field(default_factory=dict)

    @property
    def prediction_type(self) -> PredictionType:
        """epsilon or v_prediction; unknown only for an SD 2.x file loaded without its UNet where nobody said."""
        return self.info.prediction_type

    @property
    def unet(self) -> UNet2DConditionModel:
        """The UNet."""
        return self._part("unet")

    @property
    def vae(self) -> AutoencoderKL:
        """The VAE; `vae.config.scaling_factor` scales its latents."""
        return self._part("vae")

    @property
    def text_encoder(self) -> CLIPTextModel:
        """The text encoder."""
        return self._part("text_encoder")

    @property
    def noise_scheduler(self) -> DDPMScheduler:
        """A new DDPM scheduler with the model's betas and prediction type.

        Raises:
            AppError: the prediction type is unknown.
        """
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        if self.prediction_type == "unknown":
            raise ask_for_prediction_type(self.info.path)
        config = {**self.scheduler_config, "prediction_type": self.prediction_type}
        return DDPMScheduler.from_config(config)

    @property
    def scaling_factor(self) -> float:
        """What the VAE's latents are multiplied with: 0.18215 in SD 1.x and 2.x."""
        return float(self.vae.config.scaling_factor)

    @property
    def context_dim(self) -> int:
        """Width of the text condition."""
        return self.info.context_dim

    @property
    def dims(self) -> list[int]:
        """Hypernetwork widths in A1111's order."""
        return self.info.dims

    @property
    def padding_id(self) -> int:
        """Token that fills a prompt up: 49407 in SD 1.x, 0 in SD 2.x, the tokenizer's own in a folder."""
        return int(self.tokenizer.pad_token_id)

    def drop(self, *parts: Part) -> None:
        """Let go of parts that are not needed any more; their memory is free once nobody else holds them."""
        for part in parts:
            self.parts.pop(part, None)

    def _part(self, part: Part) -> Any:
        if part not in self.parts:
            raise ValueError(f"the {part} of {self.info.path.name} is not loaded")
        return self.parts[part]


def load_base_model(
    path: Path,
    *,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    prediction_type: Literal["auto", "epsilon", "v_prediction"] = "auto",
    parts: Collection[Part] = ALL_PARTS,
    vae_path: Path | None = None,
    vae_dtype: torch.dtype | None = None,
    use_ema: bool = False,
) -> BaseModel:
    """Load a checkpoint file or a diffusers folder.

    On the CPU, and with the dtype of the file, weights alias the mapped file: do not overwrite it meanwhile.

    Args:
        path: A .safetensors or .ckpt file in LDM layout, or a diffusers folder.
        dtype: Type of the weights.
        device: Where the weights are put.
        prediction_type: "auto" asks file, neighbouring YAML and, for SD 2.x, the UNet itself.
        parts: What to load; the tokenizer always is.
        vae_path: Another VAE: a file in LDM or diffusers layout, or a folder.
        vae_dtype: Type of the VAE's weights where it differs; float32 avoids overflow in half precision.
        use_ema: Take the averaged weights of a file that has both; A1111 takes the plain ones, and so does
            the default.

    Raises:
        AppError: the model cannot be read or used, or its prediction type cannot be found out.
    """
    info = inspect_model(path)
    require_trainable(info)
    if prediction_type != "auto":
        info = info.with_prediction_type(prediction_type)
    wanted = set(parts)
    separate_vae = vae_path if "vae" in wanted else None
    if separate_vae is not None:
        wanted.discard("vae")
    elif "vae" in wanted and not info.has_vae:
        raise AppError(
            "No VAE", f"{printable(path)} has no VAE of its own.", "Give one as model.vae (--set model.vae=FILE)."
        )
    make = _load_folder if info.kind == "diffusers-folder" else _load_file
    model = make(info, wanted, dtype, vae_dtype or dtype, device, use_ema)
    if separate_vae is not None:
        model.parts["vae"] = folder.load_vae(separate_vae, dtype=vae_dtype or dtype, device=device)
    if info.prediction_type == "unknown" and "unet" in wanted:
        found = probe_prediction_type(model.unet, model.context_dim)
        if found == "unknown":
            raise ask_for_prediction_type(path)
        model.info = info.with_prediction_type(found)
    return model


def _load_file(
    info: ModelInfo,
    parts: Collection[str],
    dtype: torch.dtype,
    vae_dtype: torch.dtype,
    device: torch.device | str,
    use_ema: bool,
) -> BaseModel:
    family, path = info.family, info.path
    scheduler = configs.shipped_config(family, info.prediction_type, "scheduler")
    model = BaseModel(info, shipped_tokenizer(family), scheduler)
    tensors = read_tensors(path) if parts else {}
    if "unet" in parts:
        model.parts["unet"] = _unet_of(info, tensors, dtype, device, use_ema and info.has_ema)
    if "vae" in parts:
        model.parts["vae"] = folder.vae_of(tensors, VAE, path, dtype=vae_dtype, device=device)
    if "text_encoder" in parts:
        model.parts["text_encoder"] = _text_encoder_of(info, tensors, dtype, device)
    return model


def _unet_of(
    info: ModelInfo, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype, device: torch.device | str, ema: bool
) -> torch.nn.Module:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    try:
        config = configs.unet_config(info.family, info.prediction_type, tensors)
    except KeyError as error:
        raise _lacks(info.path, "UNet", error) from error
    plain = names.unet_sources(config, UNET)
    return build_module(
        lambda: UNet2DConditionModel.from_config(config),
        tensors,
        (lambda name: names.Source(_ema_name(plain(name).name))) if ema else plain,
        dtype=dtype,
        device=device,
        what="UNet",
        path=info.path,
    )


def _ema_name(name: str) -> str:
    """Name of the averaged copy: without `model.` and without dots (ldm/modules/ema.py)."""
    return EMA + name.removeprefix("model.").replace(".", "")


def _text_encoder_of(
    info: ModelInfo, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype, device: torch.device | str
) -> torch.nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    prefix = configs.text_prefix(info.family, tensors.keys())
    try:
        config = configs.text_config(info.family, tensors, prefix)
    except KeyError as error:
        raise _lacks(info.path, "text encoder", error) from error
    rule = names.clip_sources if info.family == "sd1" else names.open_clip_sources
    return build_module(
        lambda: CLIPTextModel(CLIPTextConfig.from_dict(config)),
        tensors,
        rule(prefix),
        dtype=dtype,
        device=device,
        what="text encoder",
        path=info.path,
    )


def _lacks(path: Path, what: str, error: KeyError) -> AppError:
    message = f"{printable(path)} lacks {printable(error.args[0])} of the {what}."
    return AppError("Incomplete model", message, "Download or copy the model again, or choose another one.")


def _load_folder(
    info: ModelInfo,
    parts: Collection[str],
    dtype: torch.dtype,
    vae_dtype: torch.dtype,
    device: torch.device | str,
    use_ema: bool,
) -> BaseModel:
    if use_ema:
        raise AppError(
            "No averaged weights", f"{printable(info.path)} holds one set of weights.", "Leave the EMA setting off."
        )
    scheduler = folder.scheduler_config(info.path)
    model = BaseModel(info, folder_tokenizer(info.path), scheduler)
    if "unet" in parts:
        model.parts["unet"] = folder.load_unet(info.path, dtype=dtype, device=device)
    if "vae" in parts:
        model.parts["vae"] = folder.load_vae(info.path, dtype=vae_dtype, device=device)
    if "text_encoder" in parts:
        model.parts["text_encoder"] = folder.load_text_encoder(info.path, dtype=dtype, device=device)
    return model
