"""Make the training pictures of one source: choose frames, resize, save. A pure function of file and options."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from trainer.files import replace_atomic
from trainer.pictures.decode import MAX_MEGAPIXELS, Header, Picture, PictureError, decode
from trainer.pictures.geometry import Frame, aspect_size, center_frame, enlargement, inside
from trainer.pictures.look import judge_enlargement, judge_size

_RECIPE_VERSION = 1
_COMPRESS_LEVEL = 3
"""PNG: within 4 % of level 6 in size on photographs at less than half its time."""


@dataclass(frozen=True)
class CropOptions:
    """How training pictures are made."""

    size: int = 512
    """Side in pixels, a multiple of 64."""
    mode: Literal["center"] = "center"
    """Where the frame is put."""
    keep_aspect: bool = False
    """Take sides that are multiples of 64, near the picture's shape, of size x size in area."""
    flip: bool = False
    """Add a copy mirrored left to right."""
    keep_alpha: bool = False
    """Keep a varying alpha channel, as the weight of the loss."""
    max_megapixels: float = MAX_MEGAPIXELS
    """Larger sources are refused."""

    def recipe(self, frame: Frame | None) -> str:
        """Return a short hash of everything but the source's content that shapes the result."""
        tree = {"version": _RECIPE_VERSION, **asdict(self), "frame": None if frame is None else frame.box}
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Cut:
    """One frame and the size it is resized to."""

    frame: Frame
    out_width: int
    out_height: int


@dataclass(frozen=True)
class Crops:
    """The training pictures of one source, before they are saved."""

    images: tuple[Image.Image, ...]
    """Mode RGB, or RGBA where alpha is the weight of the loss."""
    notes: tuple[str, ...]
    megapixels: float
    """Of the source."""


def crop_picture(path: Path, options: CropOptions, manual: Frame | None = None) -> Crops:
    """Decode a source and return its training pictures.

    Args:
        path: The source.
        options: What to make.
        manual: The frame that the user chose for this picture; it overrides the mode.

    Raises:
        PictureError: with the reason why it cannot be used.
    """
    picture = decode(
        path,
        lambda width, height: _scale_needed(width, height, options, manual),
        keep_alpha=options.keep_alpha,
        max_megapixels=options.max_megapixels,
    )
    header = picture.header
    cuts = _cuts(header, options, manual)
    reason, notes = judge_size(header, options.size, options.keep_aspect) if manual is None else _judge_manual(cuts[0])
    if reason:
        raise PictureError(reason)
    images = [cut_out(picture, cut) for cut in cuts]
    if options.flip:
        images = [each for image in images for each in (image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))]
    return Crops(tuple(images), (*notes, *picture.notes), header.width * header.height / 1e6)


def cover(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale an RGB or RGBA image to cover width x height and cut its middle out; never squashed."""
    if image.size == (width, height):
        return image
    return _resized(image, center_frame(image.width, image.height, width, height).box, (width, height))


def keep_shape(image: Image.Image, multiple: int) -> Image.Image:
    """Cut an image's edges so that its sides are multiples of `multiple` pixels; no resizing where it is large enough.

    A side shorter than `multiple` is scaled up to it.
    """
    if min(image.size) < multiple:
        factor = multiple / min(image.size)
        image = cover(image, max(multiple, round(image.width * factor)), max(multiple, round(image.height * factor)))
    width, height = (side // multiple * multiple for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def cut_out(picture: Picture, cut: Cut) -> Image.Image:
    """Resize one frame of a decoded picture, which may be smaller than the file's.

    At the frame's edges the filter still sees the pixels beyond, as if the whole had been resized and then cut.
    """
    x_scale = picture.rgb.width / picture.header.width
    y_scale = picture.rgb.height / picture.header.height
    left, top, right, bottom = cut.frame.box
    box = (
        max(0.0, left * x_scale),
        max(0.0, top * y_scale),
        min(float(picture.rgb.width), right * x_scale),
        min(float(picture.rgb.height), bottom * y_scale),
    )
    size = (cut.out_width, cut.out_height)
    rgb = _resized(picture.rgb, box, size)
    if picture.alpha is not None:
        rgb.putalpha(_resized(picture.alpha, box, size))
    return rgb


def save_crops(images: Sequence[Image.Image], processed: Path, names: Sequence[str]) -> None:
    """Save training pictures as PNG; each file is replaced whole."""
    for image, name in zip(images, names, strict=True):
        with replace_atomic(processed / name) as temporary:
            image.save(temporary, "PNG", compress_level=_COMPRESS_LEVEL)


def out_size(width: float, height: float, options: CropOptions) -> tuple[int, int]:
    """Return the sides of the training picture made from a width x height frame or picture."""
    return aspect_size(width, height, options.size) if options.keep_aspect else (options.size, options.size)


def _cuts(header: Header, options: CropOptions, manual: Frame | None) -> list[Cut]:
    width, height = header.width, header.height
    if manual is not None:
        if not inside(manual, width, height):
            raise PictureError(f"its manual frame does not lie on the picture of {width}x{height}")
        return [_manual_cut(manual, options)]
    out = out_size(width, height, options)
    return [Cut(center_frame(width, height, *out), *out)]


def _manual_cut(frame: Frame, options: CropOptions) -> Cut:
    return Cut(frame, *out_size(frame.width, frame.height, options))


def _judge_manual(cut: Cut) -> tuple[str, tuple[str, ...]]:
    size = f"{cut.frame.width:.0f}x{cut.frame.height:.0f}"
    return judge_enlargement("its manual frame", size, enlargement(cut.frame, cut.out_width, cut.out_height))


def _scale_needed(width: int, height: int, options: CropOptions, manual: Frame | None) -> float:
    if manual is None:
        out = out_size(width, height, options)
        return enlargement(center_frame(width, height, *out), *out)
    if not inside(manual, width, height):
        return 1.0
    cut = _manual_cut(manual, options)
    return enlargement(manual, cut.out_width, cut.out_height)


def _resized(image: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """Resize a part by Lanczos, in gamma-encoded values as the VAE was trained on; alpha doesn't darken colours."""
    if image.mode == "RGBA":  # Pillow would premultiply, and blacken what alpha hides
        rgb, alpha = image.convert("RGB"), image.getchannel("A")
        resized = _resized(rgb, box, size)
        resized.putalpha(_resized(alpha, box, size))
        return resized
    return image.resize(size, Image.Resampling.LANCZOS, box=box)
