"""Generation parameters in a PNG's text, as A1111 writes and reads them (modules/processing.py at v1.10.1)."""

import json
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from trainer.files import replace_atomic
from trainer.sampling import SamplerSettings


def parameters_text(
    prompt: str,
    negative_prompt: str,
    settings: SamplerSettings,
    *,
    model_name: str | None,
    model_hash: str | None,
    hypernetwork: str = "",
    strength: float = 1.0,
    hashes: Mapping[str, str] | None = None,
    clip_skip: int = 1,
) -> str:
    """Return the three-part text: prompt, negative prompt, settings.

    Args:
        prompt: With its tags. A1111 makes a tag of `hypernetwork` when it reads the text, so give one or the other.
        negative_prompt: May be empty.
        settings: How the picture was drawn.
        model_name: The base model.
        model_hash: Its short hash.
        hypernetwork: Used without a tag in the prompt.
        strength: Its weight.
        hashes: Short hashes of the hypernetworks by name, as A1111 writes those of LoRAs.
        clip_skip: Written where it is not 1.
    """
    facts = {
        "Steps": settings.steps,
        "Sampler": settings.sampler,
        "CFG scale": f"{settings.cfg_scale:g}",
        "Seed": settings.seed,
        "Size": f"{settings.width}x{settings.height}",
        "Model hash": model_hash,
        "Model": model_name,
        "Hypernet": hypernetwork,
        "Hypernet strength": f"{strength:g}" if hypernetwork else None,
        "Clip skip": clip_skip if clip_skip > 1 else None,
        "Hypernet hashes": ", ".join(f"{name}: {value}" for name, value in (hashes or {}).items()),
    }
    lines = [prompt]
    if negative_prompt:
        lines.append(f"Negative prompt: {negative_prompt}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in facts.items() if value not in (None, "")))
    return "\n".join(lines)


def _quoted(value: object) -> str:
    """Quote what holds a separator (modules/infotext_utils.py, `quote`)."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(sign in text for sign in ",\n:") else text


def save_png(picture: Image.Image, path: Path, parameters: str) -> None:
    """Write a PNG atomically, with its generation parameters."""
    text = PngInfo()
    text.add_itxt("parameters", parameters) if not parameters.isascii() else text.add_text("parameters", parameters)
    with replace_atomic(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=text)


def read_parameters(path: Path) -> str:
    """Return the generation parameters of a PNG; empty where it has none or cannot be read."""
    try:
        with Image.open(path) as picture:
            return str(picture.info.get("parameters") or "")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""


def read_prompt(path: Path) -> str:
    """Return the prompt in a PNG's generation parameters; empty where there is none."""
    lines: list[str] = []
    for line in read_parameters(path).splitlines():
        if line.startswith(("Negative prompt: ", "Steps: ")):
            break
        lines.append(line)
    return "\n".join(lines)
