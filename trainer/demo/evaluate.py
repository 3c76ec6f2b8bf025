"""Measures a demo model: `python -m trainer.demo.evaluate [FOLDER]` prints what the judge sees."""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import torch
from PIL import Image
from torch import Tensor

from trainer.demo.assets import demo_model_dir
from trainer.demo.judge import edge_energy, fidelity, load_judge, out_of_range, pair_fidelity
from trainer.demo.sampling import DemoModel, load_demo_model
from trainer.demo.scenes import COLOURS, FILLS, SHAPES, Scene, Thing


def single_scenes(count: int, seed: int, fills: tuple[str, ...] = ("solid",)) -> list[Scene]:
    """Scenes of a single thing of usual size in the middle; every shape equally often."""
    rng = Random(seed)
    scenes = []
    for index in range(count):
        background, colour = rng.sample(list(COLOURS), 2)
        shape, fill = SHAPES[index % len(SHAPES)], rng.choice(fills)
        scenes.append(
            Scene(
                (Thing(shape, colour, "solid" if shape == "ring" and fill == "outlined" else fill),),
                background,
            )
        )
    return scenes


def pair_scenes(count: int, seed: int) -> list[Scene]:
    """Scenes of two solid things, side by side or above each other."""
    rng = Random(seed)
    scenes = []
    for index in range(count):
        background, first, second = rng.sample(list(COLOURS), 3)
        things = (Thing(rng.choice(SHAPES), first), Thing(rng.choice(SHAPES), second))
        scenes.append(Scene(things, background, "and" if index % 2 else "above"))
    return scenes


def draw_scenes(model: DemoModel, scenes: list[Scene], seed: int, steps: int, guidance: float) -> Tensor:
    """Draw the scenes' prompts in batches of 32."""
    batches = [scenes[start : start + 32] for start in range(0, len(scenes), 32)]
    return torch.cat(
        [
            model.pictures([scene.prompt() for scene in batch], seed + index, steps, guidance)
            for index, batch in enumerate(batches)
        ]
    )


def contact_sheet(images_BCHW: Tensor, columns: int = 16, zoom: int = 2) -> Image.Image:
    """Lay pictures out on one sheet, row by row."""
    count, _, height, width = images_BCHW.shape
    sheet = Image.new("RGB", (columns * width, -(-count // columns) * height))
    bytes_BHWC = ((images_BCHW.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    for index, pixels_HWC in enumerate(bytes_BHWC):
        sheet.paste(Image.fromarray(pixels_HWC), (index % columns * width, index // columns * height))
    return sheet.resize((sheet.width * zoom, sheet.height * zoom), Image.Resampling.NEAREST)


def main() -> None:
    """Print fidelity for single things, fills and pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="diffusers folder; the shipped one if left out")
    parser.add_argument("--count", type=int, default=128, help="prompts of each sort")
    parser.add_argument("--steps", type=int, default=15, help="sampling steps")
    parser.add_argument("--guidance", type=float, default=3.0, help="classifier-free guidance scale")
    parser.add_argument("--seed", type=int, default=0, help="seed of prompts and noise")
    parser.add_argument("--sheet", type=Path, help="write the pictures to this PNG file")
    args = parser.parse_args()
    model, judge = load_demo_model(args.folder or demo_model_dir()), load_judge()
    sorts = {
        "solid": single_scenes(args.count, args.seed),
        "filled": single_scenes(args.count, args.seed + 1, FILLS[1:]),
        "pairs": pair_scenes(args.count, args.seed + 2),
    }
    drawn = {name: draw_scenes(model, scenes, args.seed, args.steps, args.guidance) for name, scenes in sorts.items()}
    for name, scenes in sorts.items():
        scores = (pair_fidelity if name == "pairs" else fidelity)(drawn[name], scenes, judge)
        print(
            f"{name:7}",
            " ".join(f"{key} {scores[key]:.3f}" for key in ("shape", "colour", "background", "fill")),
        )
    print(f"edge energy {edge_energy(drawn['solid']):.4f}, out of range {out_of_range(drawn['solid']):.4f}")
    if args.sheet:
        contact_sheet(torch.cat([images[:48] for images in drawn.values()])).save(args.sheet)


if __name__ == "__main__":
    main()
