"""Makes the embedded demo model from nothing: `python -m trainer.demo.build` (`make demo-model`).

Every stage leaves a file in the work folder and is skipped when that file is there; the two long ones
also go on where they were interrupted. The learning rate follows the clock, so a stage always ends in
time, better trained on a faster machine. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from random import Random

import torch

from trainer.demo.autoencoder import VaeBudget, as_floats, train_vae, vae_pictures
from trainer.demo.diffusion import UnetBudget, train_unet
from trainer.demo.export import export_model
from trainer.demo.judge import HEADS, accuracy, judge_pictures, train_judge
from trainer.demo.models import make_vae, write_tokenizer
from trainer.demo.parallel import launch
from trainer.demo.picture_sets import write_picture_set
from trainer.demo.pool import make_shard, whiten

SHIPPED = Path(__file__).parents[2] / "presets" / "demo"


def main() -> None:
    """Run all stages that are not done yet."""
    args = _arguments()
    work, target = args.work.resolve(), args.target.resolve()
    work.mkdir(parents=True, exist_ok=True)
    vae_budget = replace(VaeBudget(), minutes=args.vae_minutes)
    unet_budget = replace(UnetBudget(), minutes=args.unet_minutes, pictures=args.pictures)
    if not (work / "vae.pt").exists():
        launch(train_vae, args.processes, vae_budget, work)
    if not (work / "vae-whitened.pt").exists():
        make_whitened(work)
    write_tokenizer(work / "tokenizer")
    launch(make_shard, args.processes, unet_budget.pictures, work)
    if not (work / "unet-finished").exists():
        launch(train_unet, args.processes, unet_budget, work)
        (work / "unet-finished").touch()
    export_model(work, target / "model")
    if not (target / "judge.safetensors").exists():
        make_judge(target / "judge.safetensors")
    write_picture_set("style", target / "pictures" / "style")
    write_picture_set("character", target / "pictures" / "character")
    print(f"made {target}")


def make_whitened(work: Path) -> None:
    """Bring the trained autoencoder's latents to Stable Diffusion's scale: `vae-whitened.pt`."""
    vae = make_vae().eval()
    vae.load_state_dict(torch.load(work / "vae.pt", weights_only=True))
    with torch.no_grad():
        whiten(vae, as_floats(vae_pictures(400, seed=3)))
    torch.save(vae.state_dict(), work / "vae-whitened.pt")


def make_judge(path: Path, steps: int = 1000) -> None:
    """Train the judge and write it; prints its accuracy on unseen pictures."""
    from safetensors.torch import save_file

    judge = train_judge(seed=1, steps=steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half() if value.is_floating_point() else value for name, value in judge.state_dict().items()}
    save_file(weights, path)
    scores = accuracy(judge, *judge_pictures(1000, seed=Random(2).randrange(1 << 30)))
    print("judge:", " ".join(f"{name} {scores[name]:.3f}" for name in HEADS), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--work", type=Path, default=Path("build/demo-model"), help="folder for unfinished work")
    parser.add_argument("--target", type=Path, default=SHIPPED, help="folder for the results")
    parser.add_argument("--processes", type=int, default=min(2, cores), help="one-thread processes, one per core")
    parser.add_argument("--vae-minutes", type=float, default=VaeBudget.minutes, help="budget of the autoencoder")
    parser.add_argument(
        "--unet-minutes", type=float, default=UnetBudget.minutes, help="budget of text encoder and UNet"
    )
    parser.add_argument("--pictures", type=int, default=UnetBudget.pictures, help="size of the pool of latents")
    return parser.parse_args()


if __name__ == "__main__":
    main()
