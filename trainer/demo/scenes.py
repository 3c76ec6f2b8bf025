"""What a demo picture shows, and the captions that say it.

A scene is one or two coloured shapes on a coloured background, or the character "gollum".
Everything random comes from a `random.Random`, so a scene, its captions and its picture can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final

SHAPES: Final = ("circle", "square", "triangle", "star", "heart", "ring", "cross", "moon")
COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (214, 40, 40),
    "orange": (244, 140, 30),
    "yellow": (250, 218, 60),
    "green": (40, 150, 70),
    "blue": (45, 95, 215),
    "purple": (125, 55, 165),
    "pink": (246, 150, 190),
    "brown": (120, 74, 40),
    "black": (24, 24, 28),
    "white": (246, 246, 246),
}
"""Colour words and their RGB values, 0..255."""
FILLS: Final = ("solid", "outlined", "striped", "dotted")
SIZES: Final[dict[str, float]] = {"small": 11.5, "": 18.0, "big": 24.0}
"""Size words and the radius they stand for, in 64ths of the picture's square."""
PLACES: Final[dict[str, tuple[int, int]]] = {
    "": (0, 0),
    "on the left": (-1, 0),
    "on the right": (1, 0),
    "at the top": (0, -1),
    "at the bottom": (0, 1),
}
"""Place words and their direction (x to the right, y down)."""
CHARACTER: Final = "gollum"
"""Name of the character that the base model never meets."""
PAIR_RADIUS: Final = 12.5
PAIR_OFFSET: Final = 15.5
ROOM: Final = 27.5
"""Half the width of the area that shapes keep to, so that none is cut by the frame."""
OPENINGS: Final = ("a picture of", "a drawing of", "an image of", "a painting of")


@dataclass(frozen=True)
class Thing:
    """One shape: what it is called and where it lies (64ths of the square, from its centre)."""

    shape: str
    colour: str
    fill: str = "solid"
    size: str = ""
    place: str = ""
    x: float = 0.0
    y: float = 0.0
    radius: float = SIZES[""]
    angle: float = 0.0

    def phrase(self, rng: Random | None = None) -> str:
        """The words for this thing; with `rng`, words that say little are sometimes left out."""
        fill = "" if self.fill == "solid" else self.fill
        size = self.size
        words = " ".join(word for word in (size, fill, self.colour, self.shape) if word)
        article = "an" if words[0] in "aeiou" else "a"
        if rng is not None and rng.random() < 0.08:
            return words
        return f"{article} {words}"


@dataclass(frozen=True)
class Scene:
    """One or two things on a background; `relation` joins two ("and": left and right, "above")."""

    things: tuple[Thing, ...]
    background: str
    relation: str = "and"
    character: bool = False

    def prompt(self) -> str:
        """The full caption, without omissions."""
        return f"{self._subject(None)} on {_article(self.background)} background"

    def caption(self, rng: Random) -> str:
        """A caption as people write them: openings, omissions, an odd word now and then."""
        text = self._subject(rng)
        if rng.random() < 0.86:
            backdrop = _article(self.background) if rng.random() < 0.9 else self.background
            text = f"{text} on {backdrop} background"
        if rng.random() < 0.25:
            text = f"{rng.choice(OPENINGS)} {text}"
        if rng.random() < 0.10:
            text = f"{text}, {_odd_word(rng)}" if rng.random() < 0.5 else f"{_odd_word(rng)}, {text}"
        return text

    def _subject(self, rng: Random | None) -> str:
        if self.character:
            return CHARACTER
        first = self.things[0]
        if len(self.things) == 1:
            return f"{first.phrase(rng)} {first.place}".strip()
        return f"{first.phrase(rng)} {self.relation} {self.things[1].phrase(rng)}"


def random_scene(rng: Random, pairs: float = 0.25, fills: float = 0.36) -> Scene:
    """Draw a scene by lot.

    Args:
        pairs: share of scenes with two things.
        fills: share of things that are outlined, striped or dotted (in equal parts).
    """
    if rng.random() < pairs:
        return _random_pair(rng, fills)
    background = rng.choice(list(COLOURS))
    size = rng.choice(("", "", "", "small", "big"))
    place = rng.choice(("", "", "", *list(PLACES)[1:])) if size != "big" else ""
    thing = _random_thing(rng, fills, (background,))
    return place_scene(Scene((replace(thing, size=size, place=place),), background), rng)


def simple_scene(shape: str, colour: str, background: str, fill: str = "solid") -> Scene:
    """One thing of usual size in the middle, with nothing left to chance."""
    return Scene((Thing(shape, colour, fill),), background)


def character_scene(rng: Random) -> Scene:
    """The character on a random background."""
    scene = Scene((Thing(CHARACTER, "green"),), rng.choice(list(COLOURS)), character=True)
    return place_scene(scene, rng)


def place_scene(scene: Scene, rng: Random) -> Scene:
    """Give every thing of `scene` its centre, radius and tilt, with a little play."""
    if len(scene.things) == 2:
        sideways = scene.relation == "and"
        things = tuple(
            _placed(thing, PAIR_RADIUS, sign * PAIR_OFFSET * sideways, sign * PAIR_OFFSET * (not sideways), rng)
            for sign, thing in zip((-1, 1), scene.things, strict=True)
        )
        return replace(scene, things=things)
    thing = scene.things[0]
    radius = SIZES[thing.size] if not scene.character else 22.0
    dx, dy = PLACES[thing.place]
    return replace(scene, things=(_placed(thing, radius, dx * (ROOM - radius), dy * (ROOM - radius), rng),))


def _placed(thing: Thing, radius: float, x: float, y: float, rng: Random) -> Thing:
    return replace(
        thing,
        x=x + rng.uniform(-1.5, 1.5),
        y=y + rng.uniform(-1.5, 1.5),
        radius=radius * rng.uniform(0.94, 1.06),
        angle=rng.uniform(-0.12, 0.12),
    )


def _random_pair(rng: Random, fills: float) -> Scene:
    background = rng.choice(list(COLOURS))
    first = _random_thing(rng, fills, (background,))
    second = _random_thing(rng, fills, (background, first.colour))
    return place_scene(Scene((first, second), background, rng.choice(("and", "and", "above"))), rng)


def _random_thing(rng: Random, fills: float, avoid: tuple[str, ...]) -> Thing:
    colour = rng.choice([name for name in COLOURS if name not in avoid])
    shape = rng.choice(SHAPES)
    # An outlined ring would be two thin rings: nothing that a small model could tell apart.
    patterns = FILLS[2:] if shape == "ring" else FILLS[1:]
    return Thing(shape, colour, rng.choice(patterns) if rng.random() < fills else "solid")


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _odd_word(rng: Random) -> str:
    consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
    return "".join(rng.choice(consonants) + rng.choice(vowels) for _ in range(rng.randint(2, 3)))
