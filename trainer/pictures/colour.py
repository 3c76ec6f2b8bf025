"""Bring any pixel layout to 8-bit sRGB, and take alpha apart."""

import math
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageCms


def plain_mode(image: Image.Image) -> Image.Image:
    """Return the image in L, LA, RGB, RGBA, CMYK or LAB with 8 bits, nothing else changed."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _to_8_bits(image)
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode in ("P", "PA", "L", "RGB"):
        has_alpha = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if has_alpha else "RGB")
    if image.mode in ("LA", "RGBA", "CMYK", "LAB"):
        return image
    if image.mode == "La":
        return image.convert("LA")
    if image.mode == "RGBa":
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and floating-point grey to 0..255 (Pillow's own conversion would clip)."""
    _low, high = image.getextrema()
    assert isinstance(high, int | float)
    if not math.isfinite(high):
        raise ValueError("it holds numbers that are not finite")
    if image.mode == "F":
        full = 1.0 if high <= 1 else 255.0 if high <= 255 else float(high)
    else:
        full = max(65535.0, float(high))
        image = image.convert("I")
    factor = 255.0 / full
    return image.point(lambda value: value * factor + 0.5).convert("L")


def split_to_srgb(
    image: Image.Image, profile: bytes | None, keep_alpha: bool, notes: list[str]
) -> tuple[Image.Image, Image.Image | None]:
    """Split off alpha, convert colours to sRGB, and lay them on white unless alpha is kept."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert("L" if image.mode == "LA" else "RGB")
    rgb = _to_srgb(image, profile, notes)
    if alpha is None:
        return rgb, None
    low, high = alpha.getextrema()
    if low == high == 255 or (keep_alpha and low == high):
        return rgb, None
    if keep_alpha:
        return rgb, alpha
    notes.append("transparent parts were laid on white")
    on_white = Image.new("RGB", rgb.size, "white")
    on_white.paste(rgb, mask=alpha)
    return on_white, None


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    if profile:
        try:
            transform = _transform(profile, image.mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            notes.append("its colour profile is unusable and was ignored")
        else:
            if transform is not None:
                applied = ImageCms.applyTransform(image, transform)
                assert applied is not None
                notes.append("its colours were converted to sRGB")
                return applied
    if image.mode == "LAB":
        return ImageCms.applyTransform(image, _lab_transform()) or image
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the conversion from a profile to sRGB, None where the profile is sRGB already."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    if mode in ("RGB", "L") and "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    target = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(source, target, mode, "RGB", intent, flags)


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
