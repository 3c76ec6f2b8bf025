"""Recognising, finding and naming base models without torch."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.base_model import hashes, hub
from trainer.base_model.emphasis import parse_emphasis
from trainer.base_model.find import default_model, find_a1111_folders, find_models
from trainer.base_model.recognise import inspect_model, require_trainable
from trainer.errors import AppError

UNET = "model.diffusion_model."
ATTENTION = "1.transformer_blocks.0"


def write_header(path: Path, shapes: dict[str, tuple[int, ...]], metadata: dict[str, str] | None = None) -> Path:
    """Write a safetensors file of half-precision zeros (a hole on disk)."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + end)
    return path


def sd_shapes(context_dim: int = 768, in_channels: int = 4) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        f"{UNET}input_blocks.0.0.weight": (320, in_channels, 3, 3),
        f"{UNET}out.2.weight": (4, 320, 3, 3),
        "first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3),
    }
    for place, width in (("input_blocks.1", 320), ("input_blocks.4", 640), ("middle_block", 1280)):
        shapes[f"{UNET}{place}.{ATTENTION}.attn1.to_k.weight"] = (width, width)
        shapes[f"{UNET}{place}.{ATTENTION}.attn2.to_k.weight"] = (width, context_dim)
    text = "cond_stage_model.transformer.text_model." if context_dim == 768 else "cond_stage_model.model."
    shapes[f"{text}final.weight"] = (context_dim,)
    return shapes


def test_sd1_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    info = inspect_model(write_header(tmp_path / "sdxl-inpainting-v2.safetensors", sd_shapes()))
    assert (info.family, info.prediction_type, info.native_size_px) == ("sd1", "epsilon", 512)
    assert info.dims == [768, 320, 640, 1280]
    assert (info.dtype, info.in_channels, info.inpainting, info.has_ema) == ("F16", 4, False, False)
    assert info.has_vae
    assert info.has_text_encoder
    require_trainable(info)


def test_sd2_prediction_comes_from_metadata_or_yaml_or_stays_open(tmp_path: Path) -> None:
    path = write_header(tmp_path / "two.safetensors", sd_shapes(1024))
    info = inspect_model(path)
    assert (info.family, info.prediction_type, info.dims) == ("sd2", "unknown", [1024, 320, 640, 1280])
    path.with_suffix(".yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    info = inspect_model(path)
    assert (info.prediction_type, info.native_size_px) == ("v_prediction", 768)
    assert "v-prediction" in info.label
    told = write_header(tmp_path / "told.safetensors", sd_shapes(1024), {"modelspec.prediction_type": "epsilon"})
    assert inspect_model(told).prediction_type == "epsilon"


REFUSED = {
    "sdxl": ({**sd_shapes(), f"{UNET}label_emb.0.0.weight": (4, 4)}, "Stable Diffusion XL"),
    "inpainting": (sd_shapes(in_channels=9), "inpainting"),
    "pix2pix": (sd_shapes(in_channels=8), "pix2pix"),
    "no-text": ({n: s for n, s in sd_shapes().items() if not n.startswith("cond_")}, "text encoder"),
    "unet-damaged": ({n: s for n, s in sd_shapes().items() if "out.2" not in n}, "lacks layers"),
    "lora": ({"lora_unet_mid.lora_up.weight": (4, 4), "lora_unet_mid.alpha": (1,)}, "a LoRA"),
    "vae": ({"encoder.down.0.block.0.conv1.weight": (4, 4), "decoder.conv_in.weight": (4, 4)}, "a VAE"),
    "embedding": ({"emb_params": (4, 768)}, "textual-inversion"),
    "controlnet": ({"control_model.input_blocks.0.0.weight": (4, 4)}, "ControlNet"),
    "diffusers-part": ({"down_blocks.0.resnets.0.conv1.weight": (4, 4)}, "whole folder"),
    "flux": ({f"{UNET}double_blocks.0.img_attn.qkv.weight": (4, 4)}, "Flux"),
    "strange": ({"weight": (4, 4)}, "unknown kind"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_models_are_named_and_refused(tmp_path: Path, case: str) -> None:
    shapes, expected = REFUSED[case]
    info = inspect_model(write_header(tmp_path / f"{case}.safetensors", shapes))
    with pytest.raises(AppError) as caught:
        require_trainable(info)
    assert expected in str(caught.value)
    assert f"{case}.safetensors" in str(caught.value)
    assert caught.value.hint


def _header_of(raw: bytes, claim: int | None = None) -> bytes:
    return struct.pack("<Q", len(raw) if claim is None else claim) + raw


HOSTILE = {
    "empty": (b"", "empty"),
    "html": (b"\n<!DOCTYPE html><html>Sign in</html>" * 20, "web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2\n", "git lfs pull"),
    "text": (b"just a text file named like a model, long enough to look at " * 4, "text file"),
    "json-error": (b'{"error": "Repository not found", "statusCode": 404, "detail": "no"}' * 2, "text file"),
    "header-bomb": (_header_of(b"{}" + b"\0" * 90, 1 << 62), "damaged"),
    "header-of-99-MB": (_header_of(b"{}" + b"\0" * 90, 99_000_000), "damaged"),
    "no-json": (_header_of(b"{{{\xff" * 9), "not valid"),
    "list-header": (_header_of(b"[1, 2, 3]" + b" " * 60), "not valid"),
    "deep-json": (_header_of(b"[" * 100_000), "not valid"),
    "negative-place": (
        _header_of(json.dumps({"a": {"dtype": "F16", "shape": [1], "data_offsets": [-2, 0]}}).encode()),
        "not valid",
    ),
    "shape-lies": (
        _header_of(json.dumps({"a": {"dtype": "F16", "shape": [1 << 40], "data_offsets": [0, 2]}}).encode()) + b"00",
        "not valid",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_broken_files_give_one_clear_error(tmp_path: Path, case: str) -> None:
    content, expected = HOSTILE[case]
    path = tmp_path / "bad\x1b[31m.safetensors"
    path.write_bytes(content)
    with pytest.raises(AppError) as caught:
        inspect_model(path)
    assert expected in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_header_that_begins_like_a_pickle_is_still_read(tmp_path: Path) -> None:
    header = {"down_blocks.0.bias": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}
    raw = json.dumps(header).encode().ljust(0x0280)
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + b"00")
    assert inspect_model(tmp_path / "x.safetensors").family == "diffusers-part"


def test_a_download_cut_short_tells_both_sizes(tmp_path: Path) -> None:
    path = write_header(tmp_path / "half.safetensors", sd_shapes())
    whole = path.stat().st_size
    os.truncate(path, whole // 2)
    with pytest.raises(AppError, match=r"should be .* but is") as caught:
        inspect_model(path)
    assert str(whole) in caught.value.message


def test_missing_and_foreign_folders(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="No such file"):
        inspect_model(tmp_path / "nothing.safetensors")
    with pytest.raises(AppError, match=r"model_index\.json"):
        inspect_model(tmp_path)


def write_folder(folder: Path, unet: dict[str, object], index: dict[str, object] | None = None) -> Path:
    """Write a diffusers folder whose weights are one tensor each."""
    widths = {"block_out_channels": [32, 64, 128], "cross_attention_dim": 96, "in_channels": 4, "sample_size": 16}
    kinds = {
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    }
    configs = {
        "model_index.json": {"text_encoder": ["transformers", "CLIPTextModel"], **(index or {})},
        "unet/config.json": {**widths, **kinds, **unet},
        "vae/config.json": {"block_out_channels": [16, 32, 64]},
        "scheduler/scheduler_config.json": {"prediction_type": "v_prediction"},
    }
    for name, config in configs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(config))
    (folder / "text_encoder").mkdir()
    for name in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"):
        write_header(folder / f"{name}.safetensors", {"a": (2,)})
    return folder


def test_a_diffusers_folder_of_any_width_is_recognised(tmp_path: Path) -> None:
    info = inspect_model(write_folder(tmp_path / "demo", {}))
    assert (info.family, info.kind, info.prediction_type) == ("custom", "diffusers-folder", "v_prediction")
    assert (info.dims, info.native_size_px) == ([96, 32, 64, 128], 64)
    require_trainable(info)


@pytest.mark.parametrize(
    ("unet", "index", "expected"),
    [
        ({"in_channels": 9}, {}, "inpainting"),
        ({}, {"_class_name": "StableDiffusionXLPipeline"}, "Stable Diffusion XL"),
        ({}, {"text_encoder": ["x", "RobertaSeries"]}, "RobertaSeries"),
        ({"cross_attention_dim": None}, {}, "cannot be understood"),
    ],
)
def test_unusable_folders_are_refused(
    tmp_path: Path, unet: dict[str, object], index: dict[str, object], expected: str
) -> None:
    folder = write_folder(tmp_path / "x", unet, index)
    with pytest.raises(AppError, match=expected):
        require_trainable(inspect_model(folder))


def test_the_newest_model_of_an_a1111_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    models = tmp_path / "stable-diffusion-webui" / "models" / "Stable-diffusion"
    (models / "deep").mkdir(parents=True)
    assert default_model(models.parents[1]) is None
    names = ["old.ckpt", "deep/newer.safetensors", "newest.vae.safetensors", "notes.txt", "broken.safetensors"]
    for age, name in enumerate(names):
        (models / name).write_bytes(b"x")
        os.utime(models / name, (1000 + age, 1000 + age))
    (models / "broken.safetensors").unlink()
    (models / "broken.safetensors").symlink_to(models / "gone")
    assert default_model(models.parents[1]) == models / "deep" / "newer.safetensors"
    snapshot = tmp_path / ".cache" / "huggingface" / "hub" / "models--a--b" / "snapshots" / "1"
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    write_folder(snapshot, {})
    found = find_models(models.parents[1])
    assert [model.path.name for model in found] == ["1", "newer.safetensors", "old.ckpt"]
    assert found[0].size_bytes > 100
    assert find_a1111_folders() == [models.parents[1].resolve()]


def test_the_short_hash_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    assert hashes.short_hash(path) == "ba7816bf8f"  # SHA-256 of "abc", FIPS 180-2
    with monkeypatch.context() as patch:
        patch.setattr(hashes, "sha256_of", lambda path: pytest.fail("hashed again"))
        assert hashes.short_hash(path) == "ba7816bf8f"
    path.write_bytes(b"other!")
    assert hashes.short_hash(path) != "ba7816bf8f"
    assert hashes.short_hash(tmp_path) is None


def test_the_checkpoint_name_is_a1111s(tmp_path: Path) -> None:
    models = tmp_path / "models" / "Stable-diffusion"
    assert hashes.checkpoint_name(models / "photo" / "v1.5.safetensors", models) == "photo_v1.5"
    assert hashes.checkpoint_name(tmp_path / "elsewhere.ckpt", models) == "elsewhere"


def test_emphasis_follows_a1111() -> None:
    def weights(prompt: str) -> list[tuple[str, float]]:
        return [(piece.text, round(piece.weight, 4)) for piece in parse_emphasis(prompt)]

    assert weights("(a) b [c]") == [("a", 1.1), (" b ", 1.0), ("c", 0.9091)]
    assert weights("((a:1.5))") == [("a", 1.65)]
    assert weights(r"\(a\) \[b\] \\") == [("(a) [b] \\", 1.0)]
    assert weights("a (open (twice") == [("a ", 1.0), ("open ", 1.1), ("twice", 1.21)]
    assert weights("12:30) 4:3") == [("12:30) 4:3", 1.0)]
    assert weights("(a:x) ]") == [("a:x", 1.1), (" ]", 1.0)]
    assert weights("") == [("", 1.0)]
    assert [piece.is_break for piece in parse_emphasis("a BREAK b")] == [False, True, False]
    assert weights("BREAKFAST") == [("BREAKFAST", 1.0)]


def test_the_hub_download_takes_one_set_of_weights() -> None:
    names = [
        "model_index.json", "README.md", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin", "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors", "text_encoder/config.json", "text_encoder/model.safetensors",
        "tokenizer/vocab.json", "scheduler/scheduler_config.json", "safety_checker/model.safetensors",
        "v1-5.safetensors",
    ]  # fmt: skip
    assert hub.select_files("a/b", names) == sorted(
        set(names) - {
            "README.md", "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin",
            "safety_checker/model.safetensors", "v1-5.safetensors",
        }
    )  # fmt: skip
    assert hub.select_files("a/b", ["x.safetensors", "README.md"]) == ["x.safetensors"]
    with pytest.raises(AppError, match=r"a/b/x\.ckpt"):
        hub.select_files("a/b", ["y.safetensors", "x.ckpt"])
    with pytest.raises(AppError, match="No model"):
        hub.select_files("a/b", ["README.md"])


def test_repo_ids_are_told_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub.looks_like_repo_id("owner/model-1.5")
    assert hub.looks_like_repo_id("owner/repo/sub/file.safetensors")
    for text in ("model.safetensors", "/abs/file", "../x/y", "a/b/c", "owner/"):
        assert not hub.looks_like_repo_id(text)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "x").touch()
    assert not hub.looks_like_repo_id("models/x")


def test_the_light_half_needs_no_torch() -> None:
    code = (
        "import sys, trainer.base_model.find, trainer.base_model.hashes, trainer.base_model.recognise,"
        " trainer.base_model.hub, trainer.base_model.emphasis;"
        "print([m for m in ('torch', 'numpy', 'diffusers', 'transformers', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
