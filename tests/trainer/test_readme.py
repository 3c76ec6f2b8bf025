"""The README's Python lines run as they stand there, on a real diffusers pipeline."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from trainer.demo.assets import demo_model_dir
from trainer.hypernetwork import Hypernetwork, Structure, save

README = Path(__file__).parents[2] / "README.md"


def test_the_lines_for_python_change_a_pipelines_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    code = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(code) == 1
    structure = Structure(weight_initialization="XavierNormal")
    save(Hypernetwork.create((96, 32, 64, 128), structure, seed=1, name="gollum"), tmp_path / "gollum.pt")
    monkeypatch.chdir(tmp_path)
    pipeline = StableDiffusionPipeline.from_pretrained(
        demo_model_dir(), safety_checker=None, torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    drawn = []

    class Seeded:
        """The pipeline with few steps and the same noise each time."""

        unet = pipeline.unet

        def __call__(self, prompt: str) -> object:
            seed = torch.Generator().manual_seed(3)
            made = pipeline(prompt, num_inference_steps=6, guidance_scale=3.0, generator=seed)
            drawn.append(np.asarray(made.images[0], dtype=int))
            return made

    Seeded()("a portrait")
    names: dict[str, object] = {"pipeline": Seeded()}
    exec(code[0], names)
    Seeded()("a portrait")
    assert names["image"] is not None
    assert np.abs(drawn[0] - drawn[1]).mean() > 1
    assert np.array_equal(drawn[0], drawn[2])
