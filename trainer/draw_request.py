"""What a picture is to be, checked and without torch: for the command line, the wizard and their workers."""

import secrets
from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from trainer.config.model import Sampler, Section, setting
from trainer.config.read import validated

MOST_SEED = 2**32
DEFAULT_SIZE_PX = 512


class DrawRequest(Section):
    """A prompt and how it is drawn; the defaults are those of A1111's txt2img page."""

    prompt: str = setting("", "What to draw; <hypernet:NAME:WEIGHT> switches hypernetworks on")
    negative_prompt: str = setting("", "What not to draw")
    hypernetworks: tuple[str, ...] = setting((), "Further ones, each PATH, NAME, PATH:WEIGHT or NAME:WEIGHT")
    strength: float = setting(1.0, "Weight of those that name none", ge=-10, le=10)
    sampler: Sampler = setting("DPM++ 2M Karras", "Sampler, by A1111's name")
    steps: int = setting(20, "Sampling steps", unit="steps", ge=1, le=150)
    cfg_scale: float = setting(7.0, "How strictly the prompt is followed", ge=1, le=30)
    seed: int = setting(-1, "Seed of the first picture, the next has one more; -1 takes a random one", ge=-1, lt=2**32)
    width: int = setting(0, "Width; 0 takes the model's own size", unit="px", ge=0, le=2048, multiple_of=8)
    height: int = setting(0, "Height; 0 takes the model's own size", unit="px", ge=0, le=2048, multiple_of=8)
    batch: int = setting(1, "Pictures", unit="pictures", ge=1, le=64)

    @field_validator("hypernetworks", mode="before")
    @classmethod
    def _lines(cls, value: Any) -> Any:
        return tuple(filter(None, map(str.strip, value.splitlines()))) if isinstance(value, str) else value

    def settled(self, size_px: int) -> "DrawRequest":
        """Return the request with a seed drawn and a size chosen where it names none."""
        return self.model_copy(
            update={
                "seed": secrets.randbelow(MOST_SEED) if self.seed == -1 else self.seed,
                "width": self.width or size_px,
                "height": self.height or size_px,
            }
        )


def read_request(fields: Mapping[str, Any]) -> DrawRequest:
    """Return a request from what was typed or sent.

    Raises:
        AppError: an unknown name or a value out of bounds.
    """
    return validated(DrawRequest, fields, "the request")


def size_fields(text: str) -> dict[str, int]:
    """Return width and height of a text such as 512x768; an empty one leaves the choice to the model.

    Raises:
        AppError: it is no such text.
    """
    from trainer.errors import AppError
    from trainer.text import printable

    if not text:
        return {}
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) != 2 or not all(side.strip().isdecimal() for side in sides):
        raise AppError("Bad size", f"{printable(text, 40)!r} is not WIDTHxHEIGHT.", "Write e.g. 512x768.")
    return {"width": int(sides[0]), "height": int(sides[1])}
