"""Checkpoints and folders become the modules they should, and nothing hostile gets through."""

import json
import os
import pickle
import socket
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.checkpoints import (
    ldm_tensors,
    save_safetensors,
    write_ldm_checkpoint,
    write_lora,
    write_sdxl_shaped,
)

from trainer.base_model import configs, names
from trainer.base_model.build import build_module
from trainer.base_model.layouts import UNET, VAE
from trainer.base_model.load import BaseModel, load_base_model
from trainer.base_model.prediction import probe_prediction_type
from trainer.base_model.recognise import inspect_model, require_trainable
from trainer.base_model.text_encoding import encode_prompts
from trainer.errors import AppError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def sd1_path(folder: Path) -> Path:
    return write_ldm_checkpoint(folder / "one.safetensors", "sd1", tiny=True, ema=True)


@pytest.fixture(scope="module")
def sd2_path(folder: Path) -> Path:
    return write_ldm_checkpoint(folder / "two.safetensors", "sd2", tiny=True)


@pytest.fixture(scope="module")
def sd1(sd1_path: Path) -> BaseModel:
    return load_base_model(sd1_path, dtype=torch.float32)


@pytest.fixture(scope="module")
def sd2(sd2_path: Path) -> BaseModel:
    return load_base_model(sd2_path, dtype=torch.float32, prediction_type="v_prediction")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("a model was loaded from the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@torch.no_grad()
def answers(model: BaseModel) -> list[torch.Tensor]:
    """What UNet, VAE encoder, VAE decoder and text encoder answer to fixed inputs."""
    generator = torch.Generator().manual_seed(5)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    ids = torch.tensor([[49406, *range(320, 395), 49407]])
    return [
        model.unet(noise(1, 4, 16, 16), torch.tensor(500), noise(1, 77, model.context_dim)).sample,
        model.vae.encode(noise(1, 3, 32, 32)).latent_dist.mean,
        model.vae.decode(noise(1, 4, 4, 4)).sample,
        model.text_encoder(ids).last_hidden_state,
    ]


def assert_same_weights(model: BaseModel, other: BaseModel) -> None:
    for part in ("unet", "vae", "text_encoder"):
        mine, theirs = model.parts[part].state_dict(), other.parts[part].state_dict()
        assert mine.keys() == theirs.keys()
        assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


def by_diffusers(path: Path, family: str, model: BaseModel, where: Path) -> BaseModel:
    """The same file through diffusers' own single-file converters."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
    from transformers import CLIPTextModel

    tensors = {name: tensor.float() for name, tensor in load_file(path).items() if not name.startswith("model_ema")}
    prediction = "epsilon" if family == "sd1" else "v_prediction"
    text_prefix = configs.text_prefix(family, tensors.keys())
    made = {
        "unet": configs.unet_config(family, prediction, tensors),
        "vae": configs.vae_config(tensors, VAE),
        "text_encoder": configs.text_config(family, tensors, text_prefix),
    }
    for part, config in made.items():
        (where / part).mkdir()
        (where / part / "config.json").write_text(json.dumps(config))
    arguments = {"config": str(where), "local_files_only": True}
    parts = {
        "unet": UNet2DConditionModel.from_single_file(tensors, subfolder="unet", **arguments),
        "vae": AutoencoderKL.from_single_file(tensors, subfolder="vae", **arguments),
        "text_encoder": create_diffusers_clip_model_from_ldm(
            CLIPTextModel, tensors, subfolder="text_encoder", torch_dtype=torch.float32, **arguments
        ),
    }
    return replace(model, parts=parts)


@pytest.mark.parametrize("family", ["sd1", "sd2"])
def test_conversion_equals_diffusers(request: pytest.FixtureRequest, tmp_path: Path, family: str) -> None:
    model, path = request.getfixturevalue(family), request.getfixturevalue(f"{family}_path")
    other = by_diffusers(path, family, model, tmp_path)
    assert_same_weights(model, other)
    for mine, theirs in zip(answers(model), answers(other), strict=True):
        assert mine.std() > 0.01
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_sd2_conditions_on_the_last_layer_but_one(sd2: BaseModel, sd2_path: Path) -> None:
    """OpenCLIP computed by hand: 23 of its 24 blocks, then ln_final."""
    tensors = {name: value.float() for name, value in load_file(sd2_path).items()}
    prefix = "cond_stage_model.model."
    ids = torch.tensor([[49406, *range(320, 395), 49407]])
    x = tensors[f"{prefix}token_embedding.weight"][ids] + tensors[f"{prefix}positional_embedding"]
    mask = torch.full((77, 77), float("-inf")).triu(1)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, x.shape[-1:], tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    for layer in range(23):
        block = f"{prefix}transformer.resblocks.{layer}"
        y = norm(x, f"{block}.ln_1")
        q, k, v = (y @ tensors[f"{block}.attn.in_proj_weight"].T + tensors[f"{block}.attn.in_proj_bias"]).chunk(3, -1)
        scores = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + mask).softmax(-1)
        x = x + linear(scores @ v, f"{block}.attn.out_proj")
        x = x + linear(
            torch.nn.functional.gelu(linear(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc")), f"{block}.mlp.c_proj"
        )
    expected = norm(x, f"{prefix}ln_final")
    assert torch.allclose(sd2.text_encoder(ids).last_hidden_state, expected, atol=1e-4)
    assert f"{prefix}transformer.resblocks.23.ln_1.weight" in tensors


def test_a_unet_written_by_ldm_itself_converts(conformance: Path) -> None:
    """Names and numbers of the conformance set: the UNet with its hypernetwork gives the recorded prediction."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    about = json.loads((conformance / "training" / "training.json").read_text())
    path = conformance / about["unet"]["file"]
    config = about["unet"]["diffusers_config"]
    tensors = load_file(path)
    rule = names.unet_sources(config, UNET)
    unet: Any = build_module(
        lambda: UNet2DConditionModel.from_config(config), tensors, rule,
        dtype=torch.float32, device="cpu", what="UNet", path=path,
    )  # fmt: skip
    assert {rule(name).name for name in unet.state_dict()} == set(tensors)
    case = load_file(conformance / about["cases"]["grad-121"]["file"])

    def enter(which: str) -> Callable[[torch.nn.Module, tuple[torch.Tensor, ...]], tuple[torch.Tensor]]:
        def hook(_layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
            x = inputs[0]
            stem = f"init.{x.shape[-1]}.{which}.linear"
            hidden = torch.relu(x @ case[f"{stem}.0.weight"].T + case[f"{stem}.0.bias"])
            return (x + hidden @ case[f"{stem}.2.weight"].T + case[f"{stem}.2.bias"],)

        return hook

    for name, layer in unet.named_modules():
        if name.endswith(("to_k", "to_v")):
            layer.register_forward_pre_hook(enter(name[-1]))
    alphas = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2).cumprod(0)
    alpha = alphas[case["micro.0.t"]].float()[:, None, None, None]
    noisy = alpha.sqrt() * case["micro.0.latents"] + (1 - alpha).sqrt() * case["micro.0.noise"]
    with torch.no_grad():
        answer = unet(noisy, case["micro.0.t"], case["cond"][about["cases"]["grad-121"]["cond_rows"][0]]).sample
    expected = case["micro.0.pred"]
    assert float((answer - expected).norm() / expected.norm()) < 1e-4


def test_a_lightning_ckpt_gives_the_same_model(sd1: BaseModel, tmp_path: Path) -> None:
    path = write_ldm_checkpoint(tmp_path / "one.ckpt", "sd1", tiny=True, ema=True)
    info = inspect_model(path)
    assert (info.family, info.has_ema, info.dtype, info.dims) == ("sd1", True, "F16", sd1.dims)
    assert_same_weights(load_base_model(path, dtype=torch.float32), sd1)


def test_plain_weights_unless_the_averaged_ones_are_asked_for(sd1: BaseModel, sd1_path: Path) -> None:
    averaged = load_base_model(sd1_path, dtype=torch.float32, use_ema=True, parts=["unet"])
    stored = load_file(sd1_path)
    assert torch.equal(averaged.unet.conv_in.weight, stored["model_ema.diffusion_modelinput_blocks00weight"].float())
    assert torch.equal(sd1.unet.conv_in.weight, stored[f"{UNET}input_blocks.0.0.weight"].float())


def test_everything_is_frozen_and_parts_can_be_left_out_or_dropped(sd1: BaseModel, sd1_path: Path) -> None:
    for part in (sd1.unet, sd1.vae, sd1.text_encoder):
        assert not part.training
        assert not any(parameter.requires_grad for parameter in part.parameters())
    encoder_only = load_base_model(sd1_path, dtype=torch.float16, parts=["vae", "text_encoder"])
    assert next(iter(encoder_only.text_encoder.parameters())).dtype == torch.float16
    with pytest.raises(ValueError, match="unet"):
        _ = encoder_only.unet
    encoder_only.drop("vae", "text_encoder")
    assert not encoder_only.parts
    assert (sd1.padding_id, sd1.scaling_factor, sd1.dims) == (49407, 0.18215, [96, 32, 64, 128])


def test_weights_of_the_files_own_type_alias_the_file(sd1_path: Path) -> None:
    model = load_base_model(sd1_path, dtype=torch.float16, parts=["unet"])
    first = {name: value.data_ptr() for name, value in model.unet.state_dict().items()}
    assert max(first.values()) - min(first.values()) < sd1_path.stat().st_size


def test_the_schedule_is_stable_diffusions(sd1: BaseModel, sd2: BaseModel) -> None:
    scheduler: Any = sd1.noise_scheduler
    assert scheduler.config.prediction_type == "epsilon"
    assert torch.allclose(scheduler.betas[[0, -1]], torch.tensor([0.00085, 0.012]))
    assert float(scheduler.alphas_cumprod[-1]) == pytest.approx(0.00466, abs=1e-5)
    assert sd2.noise_scheduler.config.prediction_type == "v_prediction"
    assert (sd2.info.native_size_px, sd2.padding_id) == (768, 0)


def save_as_folder(model: BaseModel, where: Path, *, safe: bool = True) -> Path:
    """Write a diffusers folder of the parts."""
    model.unet.half().save_pretrained(where / "unet", safe_serialization=safe)
    model.vae.half().save_pretrained(where / "vae", safe_serialization=safe)
    model.text_encoder.half().save_pretrained(where / "text_encoder")
    model.tokenizer.save_pretrained(where / "tokenizer")
    model.noise_scheduler.save_pretrained(where / "scheduler")
    (where / "model_index.json").write_text('{"text_encoder": ["transformers", "CLIPTextModel"]}')
    return where


@pytest.mark.parametrize("safe", [True, False])
def test_a_diffusers_folder_loads_alike(sd1: BaseModel, sd1_path: Path, tmp_path: Path, safe: bool) -> None:
    where = save_as_folder(load_base_model(sd1_path, dtype=torch.float16), tmp_path / "f", safe=safe)
    model = load_base_model(where, dtype=torch.float32)
    assert_same_weights(model, sd1)
    assert (model.dims, model.prediction_type, model.padding_id) == (sd1.dims, "epsilon", 49407)
    (where / "unet" / f"diffusion_pytorch_model.{'safetensors' if safe else 'bin'}").unlink()
    with pytest.raises(AppError, match="unet"):
        load_base_model(where, dtype=torch.float32)


def test_another_vae_takes_the_place_of_the_models_own(sd1: BaseModel, sd1_path: Path, tmp_path: Path) -> None:
    other = {name: value for name, value in ldm_tensors("sd1", tiny=True, seed=9).items() if name.startswith(VAE)}
    bare = save_safetensors(tmp_path / "x.vae.safetensors", {n.removeprefix(VAE): v for n, v in other.items()})
    model = load_base_model(sd1_path, dtype=torch.float32, parts=["vae"], vae_path=bare)
    assert torch.equal(model.vae.quant_conv.weight, other[f"{VAE}quant_conv.weight"].float())
    assert not torch.equal(model.vae.quant_conv.weight, sd1.vae.quant_conv.weight)
    with pytest.raises(AppError, match="a LoRA, not a VAE"):
        load_base_model(sd1_path, dtype=torch.float32, parts=["vae"], vae_path=write_lora(tmp_path / "l.safetensors"))


class AnswersWith(torch.nn.Module):
    """A stand-in for a UNet."""

    def __init__(self, answer: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.answer, self.device, self.dtype = answer, torch.device("cpu"), torch.float32

    def forward(self, x: torch.Tensor, _timestep: torch.Tensor, _context: torch.Tensor) -> Any:
        return type("Output", (), {"sample": self.answer(x)})


def test_the_probe_tells_noise_from_velocity_and_else_asks(sd2_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smooth = torch.linspace(-1, 1, 32).expand(1, 4, 32, 32)
    cases: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "epsilon": lambda x: x + 0.2 * smooth,
        "v_prediction": lambda x: 0.07 * x - 0.6 * smooth,
        "unknown": lambda x: 0.6 * x - smooth,
    }
    for expected, answer in cases.items():
        assert probe_prediction_type(AnswersWith(answer), 96) == expected
    monkeypatch.setattr("trainer.base_model.load.probe_prediction_type", lambda unet, context_dim: "unknown")
    with pytest.raises(AppError, match=r"--set model\.prediction_type=") as caught:
        load_base_model(sd2_path, dtype=torch.float32, parts=["unet"])
    assert "two.safetensors" in caught.value.message
    monkeypatch.setattr("trainer.base_model.load.probe_prediction_type", lambda unet, context_dim: "epsilon")
    assert load_base_model(sd2_path, dtype=torch.float32, parts=["unet"]).prediction_type == "epsilon"


class Bomb:
    """A pickle that would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def hostile_file(kind: str, where: Path) -> Path:
    path = where / f"{kind}.ckpt"
    if kind == "malicious-zip":
        torch.save({"state_dict": {"a": Bomb(where / "ran")}}, path)
    elif kind == "malicious-stream":
        path.write_bytes(pickle.dumps({"state_dict": Bomb(where / "ran")}, protocol=2))
    elif kind == "half-ckpt":
        write_ldm_checkpoint(path, "sd1", tiny=True)
        os.truncate(path, path.stat().st_size // 2)
    elif kind == "hypernetwork":
        layer = {"linear.0.weight": torch.zeros(1536, 768)}
        torch.save({768: (layer, layer), "layer_structure": [1, 2, 1], "name": "x", "step": 0}, path)
    elif kind == "embedding":
        torch.save({"string_to_param": {"*": torch.zeros(1, 768)}, "name": "x"}, path)
    else:
        torch.save([1, 2, 3], path)
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("malicious-zip", "system"),
        ("malicious-stream", ""),
        ("half-ckpt", "half-ckpt"),
        ("hypernetwork", "a hypernetwork"),
        ("embedding", "textual-inversion"),
        ("list", "unknown kind"),
    ],
)
def test_hostile_and_foreign_ckpt_files_are_refused(tmp_path: Path, kind: str, expected: str) -> None:
    path = hostile_file(kind, tmp_path)
    before = path.read_bytes()
    with pytest.raises(AppError) as caught:
        load_base_model(path, dtype=torch.float32)
    assert expected in str(caught.value)
    assert caught.value.hint
    assert not (tmp_path / "ran").exists()
    assert path.read_bytes() == before


def test_sdxl_lora_and_inpainting_files_are_refused_by_name(tmp_path: Path) -> None:
    inpainting = {
        name: value
        for name, value in ldm_tensors("sd1", tiny=True, in_channels=9).items()
        if not name.startswith("first_stage")
    }
    files = {
        "Stable Diffusion XL": write_sdxl_shaped(tmp_path / "xl.safetensors"),
        "a LoRA": write_lora(tmp_path / "lora.safetensors"),
        "an inpainting model": save_safetensors(tmp_path / "inpaint.safetensors", inpainting),
    }
    for expected, path in files.items():
        with pytest.raises(AppError, match=expected):
            require_trainable(inspect_model(path))


def test_a_checkpoint_with_missing_or_wrong_tensors_says_which(sd1_path: Path, tmp_path: Path) -> None:
    tensors = load_file(sd1_path)
    lost = f"{UNET}output_blocks.5.1.transformer_blocks.0.attn2.to_v.weight"
    without = save_safetensors(tmp_path / "lost.safetensors", {n: v for n, v in tensors.items() if n != lost})
    with pytest.raises(AppError, match="lacks 1 of the 686 tensors of the UNet") as caught:
        load_base_model(without, dtype=torch.float32)
    assert lost in caught.value.message
    no_vae = {name: value for name, value in tensors.items() if not name.startswith(VAE)}
    path = save_safetensors(tmp_path / "novae.safetensors", no_vae)
    with pytest.raises(AppError, match=r"model\.vae"):
        load_base_model(path, dtype=torch.float32)
    assert "vae" in load_base_model(path, dtype=torch.float32, parts=["vae"], vae_path=sd1_path).parts


def test_the_embedded_demo_model_loads() -> None:
    with resources.as_file(resources.files("presets") / "demo" / "model") as where:
        if not (where / "unet" / "diffusion_pytorch_model.safetensors").is_file():
            pytest.skip("the demo model has not been trained yet")
        model = load_base_model(where, dtype=torch.float32)
    assert model.dims[0] == model.text_encoder.config.hidden_size
    contexts = encode_prompts(["a red circle on a white background, " * 8, ""], model)
    length = model.tokenizer.model_max_length
    assert [len(context) % length for context in contexts] == [0, 0]
    assert len(contexts[0]) > len(contexts[1]) == length
