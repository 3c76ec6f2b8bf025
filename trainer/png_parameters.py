"""Generation parameters in a PNG's text, as A1111 writes and reads them (modules/processing.py at v1.10.1)."""

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
) -> str:
    """Return the three-part text: prompt, negative prompt, settings."""
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
    }
    lines = [prompt]
    if negative_prompt:
        lines.append(f"Negative prompt: {negative_prompt}")
    lines.append(", ".join(f"{name}: {value}" for name, value in facts.items() if value not in (None, "")))
    return "\n".join(lines)


def save_png(picture: Image.Image, path: Path, parameters: str) -> None:
    """Write a PNG atomically, with its generation parameters."""
    text = PngInfo()
    text.add_itxt("parameters", parameters) if not parameters.isascii() else text.add_text("parameters", parameters)
    with replace_atomic(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=text)
