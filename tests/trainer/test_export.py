"""Exported weights draw what the hypernetwork draws: in the UNet, through diffusers' own loaders, in merged files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.support.checkpoints import TINY_TEXT, TINY_UNET, write_ldm_checkpoint
from tests.support.commands import hypernet
from trainer.base_model.load import load_base_model
from trainer.demo.assets import demo_model_dir
from trainer.errors import AppError
from trainer.export.export import Target, export
from trainer.export.linear import linear_maps
from trainer.export.merge import write_merged
from trainer.hypernetwork import Hypernetwork, Structure, attach, load, save

DIMS = (96, 32, 64, 128)
MODEL = str(demo_model_dir())
STRENGTH = 0.6


def written(
    path: Path, structure: Structure, dims: tuple[int, ...] = DIMS, bias: float = 0.1, scale: float = 1
) -> Path:
    net = Hypernetwork.create(dims, structure, seed=4, name=path.stem)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * bias)
            elif parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale / parameter.shape[1] ** 0.5)
    save(net, path)
    return path


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers without activation, which collapse to one matrix of full rank and one bias."""
    return written(tmp_path_factory.mktemp("nets") / "linear.pt", Structure())


@pytest.fixture(scope="module")
def unet() -> Any:
    return load_base_model(Path(MODEL), dtype=torch.float32, parts=["unet"]).unet


def inputs(dim: int = 96) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    latents_BCHW = torch.randn(2, 4, 8, 8, generator=generator)
    return latents_BCHW, torch.tensor([30, 700]), torch.randn(2, 7, dim, generator=generator)


@torch.no_grad()
def predicted(unet: Any, dim: int = 96) -> Tensor:
    return unet(*inputs(dim)[:2], encoder_hidden_states=inputs(dim)[2], return_dict=False)[0]


def off_by(unet: Any, changed: Any, net: Hypernetwork, dim: int = 96) -> float:
    """Return how far a changed UNet is from the network's effect, as a share of it."""
    plain = predicted(unet, dim)
    with attach(unet, [(net, STRENGTH)]):
        wanted = predicted(unet, dim)
    effect = float((wanted - plain).norm())
    assert effect > 0.02 * float(plain.norm())
    return float((predicted(changed, dim) - wanted).norm()) / effect


def with_lora(path: Path) -> Any:
    """Apply a file as kohya's trainer, A1111 and ComfyUI do: stems are module names with _ for dots."""
    changed = load_base_model(Path(MODEL), dtype=torch.float32, parts=["unet"]).unet
    stems = {"lora_unet_" + name.replace(".", "_"): module for name, module in changed.named_modules()}
    tensors = load_file(path)
    used = set()
    for stem in {key.partition(".")[0] for key in tensors}:
        module, mine = stems[stem], {key.partition(".")[2]: key for key in tensors if key.partition(".")[0] == stem}
        used |= set(mine.values())
        if "lora_up.weight" in mine:
            up, down = tensors[mine["lora_up.weight"]].float(), tensors[mine["lora_down.weight"]].float()
            delta = up @ down * float(tensors[mine["alpha"]]) / down.shape[0]
            assert set(mine) == {"lora_up.weight", "lora_down.weight", "alpha"}
        else:
            delta = tensors[mine["diff"]].float()
        module.weight.data = module.weight.data + delta
        if "diff_b" in mine:
            module.bias.data = module.bias.data + tensors[mine["diff_b"]].float()
    assert used == tensors.keys()
    return changed


@pytest.mark.parametrize("target", ["lora", "full-diff"])
def test_a_lora_is_the_hypernetwork(tmp_path: Path, linear: Path, unet: Any, target: Target) -> None:
    done = export(linear, target, MODEL, tmp_path / "out.safetensors", strength=STRENGTH)
    assert done.error < 1e-5
    assert off_by(unet, with_lora(done.path), load(linear)) < 1e-4


def test_the_rank_is_what_the_network_needs_and_half_is_half(tmp_path: Path, unet: Any) -> None:
    narrow = written(tmp_path / "narrow.pt", Structure(layer_structure=(1, 0.25, 1)))
    done = export(narrow, "lora", MODEL, tmp_path / "narrow.safetensors", strength=STRENGTH, half=True)
    shapes = {key: tensor.shape for key, tensor in load_file(done.path).items() if key.endswith("lora_down.weight")}
    assert {tuple(shape) for shape in shapes.values()} == {(24, 96), (8, 32), (16, 64), (32, 128)}
    assert 1e-5 < done.error < 5e-3
    assert off_by(unet, with_lora(done.path), load(narrow)) < 5e-3


def test_diffusers_reads_the_changed_unet(tmp_path: Path, linear: Path, unet: Any) -> None:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    done = export(linear, "diffusers", MODEL, tmp_path / "unet", strength=STRENGTH)
    changed = UNet2DConditionModel.from_pretrained(done.path, local_files_only=True).float()
    assert done.error < 0.02
    assert off_by(unet, changed, load(linear)) < 0.02


def test_a_merged_file_is_the_model_with_the_network_and_all_else_as_it_was(tmp_path: Path) -> None:
    dims = (TINY_TEXT, TINY_UNET, 2 * TINY_UNET, 4 * TINY_UNET)
    base = write_ldm_checkpoint(tmp_path / "base.safetensors", "sd1", tiny=True, ema=True, dtype=torch.float32)
    network = written(tmp_path / "net.pt", Structure(), dims)
    done = export(network, "merged-checkpoint", str(base), tmp_path / "merged.safetensors", strength=STRENGTH)
    assert done.error < 1e-4
    before, after = load_file(base), load_file(done.path)
    assert after.keys() == {name for name in before if not name.startswith("model_ema.")}
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert len(changed) == 3 * 32
    assert all(".attn" in name and name.endswith(("to_k.weight", "to_v.weight", "to_out.0.bias")) for name in changed)
    plain, merged = (load_base_model(path, dtype=torch.float32, parts=["unet"]).unet for path in (base, done.path))
    assert off_by(plain, merged, load(network), TINY_TEXT) < 1e-3


def test_a_diffusers_folder_becomes_one_file(tmp_path: Path, linear: Path) -> None:
    from trainer.base_model import names
    from trainer.base_model.layouts import UNET

    done = export(linear, "merged-checkpoint", MODEL, tmp_path / "merged.safetensors", strength=STRENGTH)
    merged = load_file(done.path)
    model = load_base_model(Path(MODEL), dtype=torch.float16)
    source_of = names.unet_sources(model.unet.config, UNET)
    for name, weight in model.unet.state_dict().items():
        same = torch.equal(merged[source_of(name).name].reshape(weight.shape), weight)
        assert same != (".attn" in name and name.endswith(("to_k.weight", "to_v.weight", "to_out.0.bias"))), name
    assert torch.equal(
        merged["cond_stage_model.transformer.text_model.final_layer_norm.weight"],
        next(w for name, w in model.text_encoder.named_parameters() if name.endswith("final_layer_norm.weight")),
    )
    assert "first_stage_model.decoder.conv_in.weight" in merged


def sd2_folder(folder: Path) -> Path:
    """Write a tiny SD 2 model in diffusers' layout, as its own library saves one."""
    from transformers import CLIPTokenizer

    ldm = write_ldm_checkpoint(folder.with_suffix(".safetensors"), "sd2", tiny=True, dtype=torch.float32)
    model = load_base_model(ldm, dtype=torch.float32, prediction_type="epsilon")
    parts = {
        "unet": model.unet,
        "vae": model.vae,
        "text_encoder": model.text_encoder,
        "scheduler": model.noise_scheduler,
    }
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    assert isinstance(model.tokenizer, CLIPTokenizer)
    model.tokenizer.save_pretrained(folder / "tokenizer")
    index = {name: ["diffusers", type(part).__name__] for name, part in parts.items()}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", **index}))
    return folder


def test_a_diffusers_folder_of_sd_2_becomes_one_file_with_openclips_joined_matrices(tmp_path: Path) -> None:
    folder = sd2_folder(tmp_path / "base")
    dims = (TINY_TEXT, TINY_UNET, 2 * TINY_UNET, 4 * TINY_UNET)
    network = written(tmp_path / "net.pt", Structure(), dims)
    base = load_base_model(folder, dtype=torch.float32, parts=["unet"])
    # A folder tells it by the width 1024, which would take a gigabyte here.
    base = replace(base, info=replace(base.info, family="sd2"))
    maps = {key: found.scaled(STRENGTH) for key, found in linear_maps(load(network)).items()}
    write_merged(tmp_path / "merged.safetensors", base, maps, {})
    before, after = load_file(tmp_path / "base.safetensors"), load_file(tmp_path / "merged.safetensors")
    text = {name for name in before if name.startswith("cond_stage_model.model.transformer.resblocks.")}
    assert any(name.endswith("attn.in_proj_weight") for name in text)
    used = {name for name in text if name in after}
    assert {name.rpartition("resblocks.")[2].partition(".")[0] for name in text - used} <= {"23"}, "the layer left out"
    assert all(torch.equal(before[name], after[name]) for name in used)
    merged = load_base_model(tmp_path / "merged.safetensors", dtype=torch.float32, prediction_type="epsilon")
    plain = load_base_model(folder, dtype=torch.float32, parts=["unet", "text_encoder"])
    assert merged.info.family == "sd2"
    assert off_by(plain.unet, merged.unet, load(network), TINY_TEXT) < 1e-3
    one, other = plain.text_encoder.state_dict(), merged.text_encoder.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_the_bias_diffusers_reads_what_else_it_refuses(
    tmp_path: Path, linear: Path, unet: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("peft")
    out = tmp_path / "dropped.safetensors"
    arguments = ("export", str(linear), "--to", "lora", "--model", MODEL, "--strength", str(STRENGTH))
    said = hypernet(capsys, *arguments, "--drop-bias", "--out", str(out), "--json")
    assert said.code == 0, said.err
    assert not any(".diff" in key for key in load_file(out))
    told = json.loads(said.out)
    assert told["error"] > 0.01, "what is left out is in the printed difference"
    assert not any("diffusers reads no LoRA" in note for note in told["notes"])
    assert off_by(unet, pipeline_with(out).unet, load(linear)) == pytest.approx(
        off_by(unet, with_lora(out), load(linear)), rel=1e-3
    )


def pipeline_with(lora: Path) -> Any:
    """Return diffusers' own pipeline with a LoRA loaded by its own loader."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        MODEL, safety_checker=None, torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
    return pipeline


def test_a_diffusers_pipeline_loads_the_lora(tmp_path: Path, unet: Any) -> None:
    pytest.importorskip("peft")
    network = written(tmp_path / "plain.pt", Structure(), bias=0)
    done = export(network, "lora", MODEL, tmp_path / "plain.safetensors", strength=STRENGTH)
    assert off_by(unet, pipeline_with(done.path).unet, load(network)) < 1e-4


@pytest.mark.parametrize(
    ("structure", "reason"),
    [(Structure(activation_func="relu"), "activation relu"), (Structure(is_layer_norm=True), "layer norm")],
)
def test_what_is_not_linear_is_refused_with_the_reason(tmp_path: Path, structure: Structure, reason: str) -> None:
    network = written(tmp_path / "net.pt", structure)
    with pytest.raises(AppError, match=reason):
        export(network, "lora", MODEL, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_the_closest_linear_change_and_its_error(tmp_path: Path, unet: Any) -> None:
    weak = written(tmp_path / "weak.pt", Structure(activation_func="elu"), scale=0.3)
    done = export(
        weak,
        "lora",
        MODEL,
        tmp_path / "weak.safetensors",
        strength=STRENGTH,
        approximate=True,
        prompts=["a red circle"],
    )
    assert done.closest is not None
    assert done.closest.errors.keys() == {f"{dim} {kind}" for dim in DIMS for kind in "kv"}
    assert all(0 < error < 0.6 for error in done.closest.errors.values())
    assert 0.001 < done.closest.prediction_error < 0.5
    assert done.error < 1e-4
    assert off_by(unet, with_lora(done.path), load(weak)) < 0.7


def test_the_command_says_how_near_it_is_and_overwrites_only_if_asked(
    tmp_path: Path, linear: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("export", str(linear), "--to", "lora", "--model", MODEL, "--out", str(tmp_path / "out.safetensors"))
    said = hypernet(capsys, *arguments)
    assert said.code == 0, said.err
    assert "Self-check: attention with the change differs by" in said.out
    assert "<lora:out:1>" in said.out
    assert "for diffusers (--to diffusers), or without biases (--drop-bias)" in said.out
    assert "--overwrite" in hypernet(capsys, *arguments).err
    assert hypernet(capsys, *arguments, "--overwrite").code == 0
    assert "Choose one of" in hypernet(capsys, *arguments[:2], "--to", "gguf", "--model", MODEL).err
