"""The shipped demo model, its judge and its pictures, and the code that makes them."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.demo.assets import demo_model_dir, demo_pictures_dir
from trainer.demo.autoencoder import VaeBudget, as_floats, psnr, train_vae, vae_pictures
from trainer.demo.build import make_whitened
from trainer.demo.diffusion import UnetBudget, stratified_timesteps, train_unet
from trainer.demo.drawing import draw
from trainer.demo.evaluate import draw_scenes, pair_scenes, single_scenes
from trainer.demo.export import export_model
from trainer.demo.judge import accuracy, edge_energy, fidelity, judge_pictures, load_judge, out_of_range, pair_fidelity
from trainer.demo.models import demo_words, make_vae, write_tokenizer
from trainer.demo.optimisers import orthogonalised
from trainer.demo.parallel import rate_at
from trainer.demo.pool import make_shard, token_ids, whiten
from trainer.demo.sampling import DemoModel, load_demo_model
from trainer.demo.scenes import place_scene, random_scene

LIMIT_BYTES = 20_000_000


@pytest.fixture(scope="module")
def model() -> DemoModel:
    """The shipped demo model."""
    torch.manual_seed(0)
    return load_demo_model(demo_model_dir())


def test_everything_shipped_for_the_demo_is_small() -> None:
    files = [path for path in demo_model_dir().parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LIMIT_BYTES


def test_the_ordinary_pipeline_loads_the_folder_and_draws_the_same(model: DemoModel) -> None:
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        demo_model_dir(), safety_checker=None, torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    prompt = "a red circle on a blue background"
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(4))
    drawn = pipeline(prompt, num_inference_steps=8, guidance_scale=3.0, latents=noise, output_type="pt").images
    ours = model.pictures([prompt], seed=4, steps=8).clamp(-1, 1) / 2 + 0.5
    assert float((drawn - ours).abs().max()) < 0.02


def test_hypernetwork_widths_are_all_different() -> None:
    unet = json.loads((demo_model_dir() / "unet" / "config.json").read_text())
    widths = [unet["cross_attention_dim"], *unet["block_out_channels"]]
    assert len(set(widths)) == len(widths)
    scheduler = json.loads((demo_model_dir() / "scheduler" / "scheduler_config.json").read_text())
    assert scheduler["prediction_type"] == "v_prediction"


def test_every_demo_word_is_one_token_and_other_words_are_spelled(model: DemoModel) -> None:
    for word in demo_words():
        assert len(model.tokenizer(word).input_ids) == 3, word
    odd = model.tokenizer("Zürich 猫").input_ids
    assert model.tokenizer.decode(odd, skip_special_tokens=True).strip() == "zürich 猫"


def test_solid_shapes_are_drawn_as_asked(model: DemoModel) -> None:
    scenes = single_scenes(32, seed=11)
    pictures = draw_scenes(model, scenes, seed=3, steps=12, guidance=3.0)
    scores = fidelity(pictures, scenes)
    assert scores["shape"] >= 0.9
    assert scores["colour"] >= 0.95
    assert scores["background"] >= 0.95
    # Looks that hypernetworks are to add must not be there before.
    assert scores["hatched"] < 0.1
    assert scores["framed"] < 0.1
    assert scores["character"] < 0.1
    assert out_of_range(pictures) < 0.05


def test_judge_knows_unseen_drawings() -> None:
    scores = accuracy(load_judge(), *judge_pictures(300, seed=99))
    assert min(scores.values()) >= 0.97, scores


def test_judge_reads_each_of_two_things() -> None:
    scenes = pair_scenes(40, seed=5)
    rng = Random(0)
    pictures = torch.from_numpy(np.stack([np.asarray(draw(place_scene(scene, rng))) for scene in scenes]))
    scores = pair_fidelity(as_floats(pictures.permute(0, 3, 1, 2)), scenes)
    assert scores["shape"] >= 0.95
    assert scores["colour"] >= 0.97


def test_hatching_raises_edge_energy() -> None:
    flat, hatched = (
        as_floats(torch.from_numpy(np.array(draw(random_scene(Random(3), pairs=0), style))).permute(2, 0, 1)[None])
        for style in ("flat", "hatched")
    )
    assert edge_energy(hatched) > 2 * edge_energy(flat)


@pytest.mark.parametrize("kind", ["style", "character"])
def test_demo_pictures_leave_cropping_to_do_and_have_captions(kind: str) -> None:
    pictures = sorted(demo_pictures_dir(kind).glob("*.png"))  # type: ignore[arg-type]
    assert len(pictures) >= 12
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.width != picture.height
            assert min(picture.size) > 64
        caption = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        assert caption
        assert caption in path.stem


def test_drawing_repeats_itself_and_refuses_unknown_styles() -> None:
    first, second = (draw(random_scene(Random(8)), "hatched", 96, 80, Random(9)) for _ in range(2))
    assert first.size == (96, 80)
    assert first.tobytes() == second.tobytes()
    with pytest.raises(ValueError, match="sepia"):
        draw(random_scene(Random(8)), "sepia")


def test_whitening_changes_latents_but_not_pictures() -> None:
    torch.manual_seed(0)
    vae = make_vae().eval()
    pictures = as_floats(vae_pictures(24, seed=1))
    before = psnr(vae, pictures)
    with torch.no_grad():
        whiten(vae, pictures)
        latents = vae.encode(pictures).latent_dist.mean * 0.18215
    assert psnr(vae, pictures) == pytest.approx(before, abs=1e-3)
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert latents.std(dim=(0, 2, 3)) == pytest.approx(torch.ones(4), abs=1e-3)


def test_timesteps_cover_the_schedule_evenly() -> None:
    timesteps = stratified_timesteps(10, 1.0, torch.Generator().manual_seed(0))
    assert [int(timestep) // 100 for timestep in timesteps] == list(range(10))


def test_rate_warms_up_stays_and_falls() -> None:
    assert rate_at(0.0, 0, flat_until=0.5) == pytest.approx(0.01)
    assert rate_at(0.4, 500, flat_until=0.5) == 1.0
    assert rate_at(1.0, 900, flat_until=0.5) == pytest.approx(0.02)


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    matrices = torch.randn(2, 16, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_tiny_build_goes_through_and_resumes(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    vae_budget = VaeBudget(minutes=0.01, pictures=60, batch=2)
    train_vae(0, 1, vae_budget, tmp_path)
    make_whitened(tmp_path)
    write_tokenizer(tmp_path / "tokenizer")
    make_shard(0, 1, 50, tmp_path)
    train_unet(0, 1, UnetBudget(minutes=0.02, batch=2), tmp_path)
    first = torch.load(tmp_path / "unet-state.pt", weights_only=True)
    # A busy machine may have spent more than the first budget: go on from what was really spent.
    train_unet(0, 1, UnetBudget(minutes=first["elapsed_s"] / 60 + 0.02, batch=2), tmp_path)
    second = torch.load(tmp_path / "unet-state.pt", weights_only=True)
    assert second["step"] > first["step"]
    assert second["elapsed_s"] > first["elapsed_s"]
    export_model(tmp_path, tmp_path / "model")
    exported = load_demo_model(tmp_path / "model")
    assert exported.pictures(["a red circle"], steps=2).shape == (1, 3, 64, 64)
    assert token_ids(exported.tokenizer, ["a red circle"]).shape == (1, 32)
