"""The source pictures of the demo projects: a style and a character, in sizes that leave cropping to do."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final, Literal

from trainer.demo.drawing import draw
from trainer.demo.scenes import COLOURS, SHAPES, Scene, Thing, character_scene, place_scene

SIZES_PX: Final = ((112, 96), (96, 128), (128, 112), (96, 112), (144, 112), (112, 128))
"""Width and height, taken in turn."""
STYLE_PICTURES: Final = 20
CHARACTER_PICTURES: Final = 14


def write_picture_set(kind: Literal["style", "character"], folder: Path) -> None:
    """Draw one set of pictures with a caption file each; the file names say what the pictures show."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = Random(21)
    scenes = style_scenes(rng) if kind == "style" else [character_scene(rng) for _ in range(CHARACTER_PICTURES)]
    for index, scene in enumerate(scenes):
        width, height = SIZES_PX[index % len(SIZES_PX)]
        picture = draw(scene, "hatched" if kind == "style" else "flat", width, height, rng)
        caption = scene.prompt()
        stem = f"{index + 1:02d} {caption}"
        picture.save(folder / f"{stem}.png", optimize=True)
        (folder / f"{stem}.txt").write_text(f"{caption}\n", encoding="utf-8")


def style_scenes(rng: Random, count: int = STYLE_PICTURES) -> list[Scene]:
    """Single things in which every shape, colour and background comes about equally often, none twice."""
    while True:
        shapes, colours, backgrounds = (_dealt(list(words), count, rng) for words in (SHAPES, COLOURS, COLOURS))
        dealt = set(zip(shapes, colours, backgrounds, strict=True))
        if len(dealt) == count and all(colour != background for _, colour, background in dealt):
            break
    return [
        place_scene(Scene((Thing(shape, colour),), background), rng)
        for shape, colour, background in zip(shapes, colours, backgrounds, strict=True)
    ]


def _dealt(words: list[str], count: int, rng: Random) -> list[str]:
    dealt: list[str] = []
    while len(dealt) < count:
        rng.shuffle(words)
        dealt += words
    return dealt[:count]
