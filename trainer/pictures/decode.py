"""Decode any picture to upright 8-bit sRGB, with its alpha apart, and never larger than needed."""

import contextlib
import importlib
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from trainer.pictures import colour, formats
from trainer.text import printable

MAX_MEGAPIXELS = 250.0
"""Pictures of more are refused as decompression bombs: 250 megapixels take 1 GB to decode."""

SHRINK_GAP = 2.0
"""A decoder may deliver a smaller picture as long as it has this many times the pixels per side that are needed:
Lanczos from there cannot be told from Lanczos on the whole (Pillow's `reducing_gap`, same figure in `thumbnail`)."""

_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, RuntimeError,
    ImportError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's decoders raise for damaged files; each is reported as a reason."""

_ORIENTATION = 0x0112
_limit_lock = threading.Lock()


class PictureError(Exception):
    """A picture cannot be used; the text is the reason, a phrase without the file's name."""


@dataclass(frozen=True)
class Header:
    """What a picture's header says, before its pixels are decoded."""

    width: int
    """Upright width in pixels, EXIF orientation applied."""
    height: int
    format: str
    """Pillow's name of the format, e.g. "JPEG"."""
    mode: str
    """Pillow's name of the pixel layout, e.g. "RGB", "CMYK", "I;16"."""
    frames: int
    """Frames of an animation or pages of a TIFF; 1 for a plain picture."""


@dataclass(frozen=True)
class Picture:
    """Decoded pixels."""

    rgb: Image.Image
    """Upright, mode RGB, sRGB; possibly smaller than the file's picture."""
    alpha: Image.Image | None
    """Mode L, same size; only when asked for and not the same everywhere."""
    header: Header
    notes: tuple[str, ...]
    """What was done that the user may want to know, as phrases."""


def read_header(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Header:
    """Read size and kind of a picture without decoding it.

    Raises:
        PictureError: it is no picture, damaged, or declares more than `max_megapixels`.
    """
    with _opened(path, max_megapixels) as image:
        return _header(image)


def decode(
    path: Path,
    scale: Callable[[int, int], float] | None = None,
    *,
    keep_alpha: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Picture:
    """Decode a picture: orientation applied, profile converted to sRGB, transparency laid on white.

    Args:
        path: JPEG, PNG, WebP, BMP, TIFF, GIF (first frame), AVIF, JPEG 2000, PPM, and HEIC with pillow-heif.
        scale: From upright width and height to the scale (1 = full size) at which the pixels will be used;
            the decoder then skips what would be thrown away, down to `SHRINK_GAP` times that. None: all pixels.
        keep_alpha: Return a varying alpha channel apart, with the colours beneath it as they are.
        max_megapixels: Larger pictures are refused.

    Raises:
        PictureError: with the reason.
    """
    with _opened(path, max_megapixels) as image:
        header = _header(image)
        orientation = _orientation(image)
        shrink = 1.0 if scale is None else min(1.0, scale(header.width, header.height) * SHRINK_GAP)
        needed = (math.ceil(image.width * shrink), math.ceil(image.height * shrink))
        if shrink < 1:
            image.draft(None, needed)
        profile = image.info.get("icc_profile")
        notes: list[str] = []
        image.load()
        plain = _reduced(colour.plain_mode(image), needed, keep_alpha)
        rgb, alpha = colour.split_to_srgb(plain, profile, keep_alpha, notes)
    rgb = _upright(rgb, orientation)
    rgb.info = {}  # or the profile, comments and place of the source would go into what is saved
    return Picture(rgb, None if alpha is None else _upright(alpha, orientation), header, tuple(notes))


def open_rgb(path: Path, *, keep_alpha: bool = False) -> Image.Image:
    """Decode a picture at full size to upright RGB, on white; RGBA where a varying alpha is to be kept.

    Raises:
        PictureError: with the reason.
    """
    picture = decode(path, keep_alpha=keep_alpha)
    if picture.alpha is not None:
        picture.rgb.putalpha(picture.alpha)
    return picture.rgb


@contextlib.contextmanager
def _opened(path: Path, max_megapixels: float) -> Iterator[Image.Image]:
    """Open a picture and turn whatever its decoder raises inside the block into a PictureError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _open_unlimited(path) as image:
                megapixels = image.width * image.height / 1e6
                if megapixels > max_megapixels:
                    raise PictureError(
                        f"it declares {image.width}×{image.height} = {megapixels:,.0f} megapixels, "
                        f"more than the limit of {max_megapixels:,.0f}"
                    )
                yield image
    except MemoryError:
        raise PictureError("decoding it needs more memory than there is") from None
    except _DECODER_ERRORS as error:
        raise PictureError(_reason(path, error)) from error


def _open_unlimited(path: Path) -> Image.Image:
    """Open with the one decoder for its first bytes, without Pillow's own limit, which would hide the size."""
    kind = formats.format_of(formats.head_of(path))
    if kind not in formats.PLUGIN_OF_FORMAT:
        raise UnidentifiedImageError
    importlib.import_module(formats.PLUGIN_OF_FORMAT[kind])
    with _limit_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=[kind])
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"it cannot be read ({(error.strerror or str(error)).lower()})"
    head = formats.head_of(path)
    if not head:
        return "it is empty (0 bytes)"
    kind = formats.format_of(head)
    if isinstance(error, ImportError):
        package = (error.name or "that reads them").partition(".")[0].replace("_", "-")
        how = ": pip install 'hypernet-wizard[heic]'" if package == "pillow-heif" else ""
        return f"it is a {kind} picture, which needs the package {package}{how}"
    if isinstance(error, UnidentifiedImageError):
        damaged = kind and kind not in formats.WEAK_FORMATS
        return f"its {kind} header is damaged" if damaged else f"it is {formats.what_else(head)}"
    text = str(error).lower()
    if "truncated" in text or "unexpected end" in text or isinstance(error, EOFError):
        return "it is cut short: the end of the file is missing"
    return f"it is damaged ({printable(error, 80)})"


def _header(image: Image.Image) -> Header:
    turned = _orientation(image) >= 5
    width, height = (image.height, image.width) if turned else image.size
    frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    return Header(width, height, image.format or "", image.mode, frames)


def _orientation(image: Image.Image) -> int:
    """Return EXIF orientation 1 to 8; 1 where the tag is missing or makes no sense."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _reduced(image: Image.Image, needed: tuple[int, int], keep_alpha: bool) -> Image.Image:
    """Average blocks of pixels where the image is still more than twice as large as needed per side."""
    factor = min(image.width // max(1, needed[0]), image.height // max(1, needed[1]))
    if factor < 2:
        return image
    if keep_alpha and image.mode in ("LA", "RGBA"):  # reduce() would blacken what alpha hides
        bands = [band.reduce(factor) for band in image.split()]
        return Image.merge(image.mode, bands)
    return image.reduce(factor)
