"""The judge: a small network that says what a demo picture shows, and plain picture statistics.

It never takes part in training the demo model. Pictures are float32 [B, 3, 64, 64] in -1..1.
Axes: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.demo.assets import judge_file
from trainer.demo.autoencoder import as_floats
from trainer.demo.drawing import STYLES, draw
from trainer.demo.optimisers import MatrixOptimiser
from trainer.demo.parallel import rate_at
from trainer.demo.scenes import COLOURS, FILLS, SHAPES, Scene, character_scene, random_scene

HEADS: Final[dict[str, tuple[str, ...]]] = {
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "background": tuple(COLOURS),
    "fill": FILLS,
    "style": STYLES,
    "character": ("no", "yes"),
}
"""Questions and their possible answers; the first three and "fill" are about a single thing."""
IGNORE: Final = -100


class Judge(nn.Module):
    """Convolutional classifier with one answer per question in `HEADS`."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
        for width, out, stride in ((16, 32, 2), (32, 48, 1), (48, 64, 2), (64, 96, 1), (96, 96, 2)):
            layers += [nn.Conv2d(width, out, 3, stride=stride, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        width = 96
        self.heads = nn.ModuleDict({name: nn.Linear(2 * width, len(answers)) for name, answers in HEADS.items()})

    def forward(self, pictures_BCHW: Tensor) -> dict[str, Tensor]:
        """Logits for every question, [B, number of answers]."""
        features_BCHW = self.trunk(pictures_BCHW)
        pooled_BC = torch.cat([features_BCHW.mean(dim=(2, 3)), features_BCHW.amax(dim=(2, 3))], dim=1)
        return {name: head(pooled_BC) for name, head in self.heads.items()}


def load_judge(path: Path | None = None) -> Judge:
    """Load the shipped judge (or another file), ready to use.

    Raises:
        AppError: the shipped file is missing.
    """
    from safetensors.torch import load_file

    judge = Judge()
    judge.load_state_dict({name: value.float() for name, value in load_file(path or judge_file()).items()})
    return judge.eval()


@torch.no_grad()
def fidelity(images_BCHW: Tensor, scenes: Sequence[Scene], judge: Judge | None = None) -> dict[str, float]:
    """Share of pictures in which the judge sees what the scene asked for.

    Args:
        images_BCHW: generated pictures, -1..1.
        scenes: one scene of a single thing for each picture.

    Returns:
        Shares for "shape", "colour", "background" and "fill", and the mean probabilities (not shares)
        of "hatched", "framed" and "character", which do not depend on the scenes.
    """
    logits = (judge or load_judge())(images_BCHW)
    result = {}
    for name in ("shape", "colour", "background", "fill"):
        wanted_B = torch.tensor([_answer(scene, name) for scene in scenes])
        result[name] = float((logits[name].argmax(dim=1) == wanted_B).float().mean())
    style_BC = logits["style"].softmax(dim=1)
    for name in STYLES[1:]:
        result[name] = float(style_BC[:, STYLES.index(name)].mean())
    result["character"] = float(logits["character"].softmax(dim=1)[:, 1].mean())
    return result


def pair_fidelity(images_BCHW: Tensor, scenes: Sequence[Scene], judge: Judge | None = None) -> dict[str, float]:
    """The same for two things side by side or above each other: each half is judged on its own.

    The other half is covered with the colour of the picture's rim, so the judge sees one thing.
    """
    halves = [half for image, scene in zip(images_BCHW, scenes, strict=True) for half in _halves(image, scene)]
    singles = [Scene((thing,), scene.background) for scene in scenes for thing in scene.things]
    return fidelity(torch.stack(halves), singles, judge)


def edge_energy(images_BCHW: Tensor) -> float:
    """Mean absolute difference of neighbouring pixels, on a scale of 0..1; hatching raises it."""
    images_BCHW = images_BCHW.clamp(-1, 1) / 2
    return float(images_BCHW.diff(dim=-1).abs().mean() + images_BCHW.diff(dim=-2).abs().mean())


def out_of_range(images_BCHW: Tensor) -> float:
    """Share of decoded values outside -1.05..1.05; a wrecked hypernetwork raises it."""
    return float((images_BCHW.abs() > 1.05).float().mean())


def train_judge(seed: int, steps: int, batch: int = 64, pool: int = 6000) -> Judge:
    """Train a judge on drawn pictures, a little blurred and noisy as generated ones are."""
    torch.manual_seed(seed)
    pictures, labels = judge_pictures(pool, seed)
    judge = Judge().train()
    optimiser = MatrixOptimiser([judge], lr=5e-3)
    for step in range(steps):
        picks_B = torch.randint(pool, (batch,))
        logits = judge(_roughened(as_floats(pictures[picks_B])))
        loss = sum(F.cross_entropy(logits[name], labels[name][picks_B], ignore_index=IGNORE) for name in HEADS)
        assert isinstance(loss, Tensor)
        judge.zero_grad()
        loss.backward()
        optimiser.step(rate_at(step / steps, step, flat_until=0.2, warmup_steps=20))
        if (step + 1) % 200 == 0:
            print(f"judge step {step + 1} loss {loss.item():.3f}", flush=True)
    return judge.eval()


@torch.no_grad()
def accuracy(judge: Judge, pictures_BCHW: Tensor, labels: dict[str, Tensor]) -> dict[str, float]:
    """Share of right answers per question, on uint8 pictures with their labels."""
    logits = judge(as_floats(pictures_BCHW))
    return {
        name: float((logits[name].argmax(dim=1) == labels[name])[labels[name] != IGNORE].float().mean())
        for name in HEADS
    }


def judge_pictures(count: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Draw labelled pictures in all styles: uint8 [B, 3, 64, 64] and class numbers [B] per question."""
    rng = Random(seed)
    pictures, labels = [], []
    for _ in range(count):
        style = rng.choice(("flat", "flat", "flat", "hatched", "framed"))
        # Hatching hides fills, so hatched pictures have none, as in the demo's picture set.
        scene = random_scene(rng, pairs=0.03, fills=0.0 if style == "hatched" else 0.3)
        if style == "flat" and rng.random() < 0.15:
            scene = character_scene(rng)
        pictures.append(np.asarray(draw(scene, style, rng=rng)))
        labels.append(_labels(scene, style))
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return stacked, {name: torch.tensor([label[name] for label in labels]) for name in HEADS}


def _labels(scene: Scene, style: str) -> dict[str, int]:
    single = len(scene.things) == 1 and not scene.character
    result = {name: _answer(scene, name) if single else IGNORE for name in ("shape", "colour", "fill")}
    if style == "hatched":
        result["fill"] = IGNORE
    result["background"] = _answer(scene, "background")
    result["style"] = STYLES.index(style)
    result["character"] = int(scene.character)
    return result


def _answer(scene: Scene, question: str) -> int:
    value = scene.background if question == "background" else getattr(scene.things[0], question)
    return HEADS[question].index(value)


def _roughened(pictures_BCHW: Tensor) -> Tensor:
    blur = float(torch.rand(()))
    smooth_BCHW = F.avg_pool2d(F.pad(pictures_BCHW, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    noisy_BCHW = torch.lerp(pictures_BCHW, smooth_BCHW, blur)
    return noisy_BCHW + torch.randn_like(noisy_BCHW) * 0.06 * torch.rand(len(noisy_BCHW), 1, 1, 1)


def _halves(image_CHW: Tensor, scene: Scene) -> tuple[Tensor, Tensor]:
    side = image_CHW.shape[-1]
    rim = torch.cat([image_CHW[:, :2].flatten(1), image_CHW[:, -2:].flatten(1)], dim=1).median(dim=1).values
    axis = 2 if scene.relation == "and" else 1
    first, second = image_CHW.clone(), image_CHW.clone()
    first.narrow(axis, side // 2, side // 2).copy_(
        rim[:, None, None].expand(-1, *first.narrow(axis, 0, side // 2).shape[1:])
    )
    second.narrow(axis, 0, side // 2).copy_(rim[:, None, None].expand(-1, *second.narrow(axis, 0, side // 2).shape[1:]))
    return first, second
