"""Make the training pictures of one source: choose frames, resize, save. A pure function of file and options."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trainer.files import replace_atomic
from trainer.pictures.decode import Picture, PictureError, decode
from trainer.pictures.framing import Cut, cuts_for, manual_cut, scale_needed
from trainer.pictures.geometry import Frame, center_frame, kept_share
from trainer.pictures.look import LEAST_KEPT, SMALLEST_PX, cut_away, judge_enlargement, too_small
from trainer.pictures.options import CropOptions

__all__ = ["CropOptions", "Crops", "cover", "crop_picture", "cut_out", "frame_picture", "keep_shape", "save_crops"]

_COMPRESS_LEVEL = 3
"""PNG: within 4 % of level 6 in size on photographs at less than half its time."""


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
        AppError: the mode needs OpenCV or a model file that is missing.
    """

    picture, cuts, notes = frame_picture(path, options, manual)
    header = picture.header
    closest = max(cut.enlargement for cut in cuts)
    if picture.rgb.width < closest * header.width and picture.rgb.width < header.width:
        picture = _decoded(path, options, lambda width, height: closest)
    images = [cut_out(picture, cut) for cut in cuts]
    if options.flip:
        images = [each for image in images for each in (image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))]
    return Crops(tuple(images), (*notes, *picture.notes), header.width * header.height / 1e6)


def frame_picture(
    path: Path, options: CropOptions, manual: Frame | None = None
) -> tuple[Picture, list[Cut], tuple[str, ...]]:
    """Decode a source as far as its frames need, and return it with the frames and notes on how they were found.

    Raises:
        PictureError: with the reason why it cannot be used.
        AppError: the mode needs OpenCV or a model file that is missing.
    """
    picture = _decoded(path, options, lambda width, height: _scale_needed(width, height, options, manual))
    return picture, *_cuts(picture, options, manual)


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


def _decoded(path: Path, options: CropOptions, scale: Callable[[int, int], float]) -> Picture:
    return decode(path, scale, keep_alpha=options.keep_alpha, max_megapixels=options.max_megapixels)


def _scale_needed(width: int, height: int, options: CropOptions, manual: Frame | None) -> float:
    """Return the scale that the frames need, judging the size before anything large is decoded."""
    if min(width, height) < SMALLEST_PX:
        raise PictureError(too_small(width, height))
    return scale_needed(width, height, options, manual)


def _cuts(picture: Picture, options: CropOptions, manual: Frame | None) -> tuple[list[Cut], tuple[str, ...]]:
    """Return the frames and notes on them; a frame that would be enlarged too much is refused."""
    width, height = picture.header.width, picture.header.height
    if manual is None:
        cuts, notes = cuts_for(picture.rgb, picture.header, options)
        what, size = "it", f"{width}×{height}"
    else:
        cuts, notes = [manual_cut(width, height, options, manual)], ()
        what, size = "its manual frame", f"{manual.width:.0f}×{manual.height:.0f}"
    reason, enlarging = judge_enlargement(what, size, max(cut.enlargement for cut in cuts))
    if reason:
        raise PictureError(reason)
    kept = sum(kept_share(cut.frame, width, height) for cut in cuts)
    cutting = (cut_away(kept),) if manual is None and kept < LEAST_KEPT and options.mode != "face" else ()
    return cuts, (*notes, *enlarging, *cutting)


def _resized(image: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """Resize a part by Lanczos, in gamma-encoded values as the VAE was trained on; alpha doesn't darken colours."""
    if image.mode == "RGBA":  # Pillow would premultiply, and blacken what alpha hides
        rgb, alpha = image.convert("RGB"), image.getchannel("A")
        resized = _resized(rgb, box, size)
        resized.putalpha(_resized(alpha, box, size))
        return resized
    return image.resize(size, Image.Resampling.LANCZOS, box=box)
