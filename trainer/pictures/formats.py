"""Which files are pictures, by name and by their first bytes, and what the others are."""

import codecs
from pathlib import Path

FORMAT_OF_EXTENSION = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".apng": "PNG",
    ".webp": "WEBP", ".bmp": "BMP", ".dib": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF",
    ".avif": "AVIF", ".heic": "HEIF", ".heif": "HEIF", ".jp2": "JPEG2000", ".j2k": "JPEG2000",
    ".ppm": "PPM", ".pgm": "PPM", ".pnm": "PPM",
}  # fmt: skip
"""Picture extensions and the name Pillow gives to the format."""

PLUGIN_OF_FORMAT = {
    "JPEG": "PIL.JpegImagePlugin", "PNG": "PIL.PngImagePlugin", "WEBP": "PIL.WebPImagePlugin",
    "BMP": "PIL.BmpImagePlugin", "TIFF": "PIL.TiffImagePlugin", "GIF": "PIL.GifImagePlugin",
    "AVIF": "PIL.AvifImagePlugin", "JPEG2000": "PIL.Jpeg2KImagePlugin", "PPM": "PIL.PpmImagePlugin",
    "HEIF": "pillow_heif.HeifImagePlugin",
}  # fmt: skip
"""All that is ever tried, one decoder a file, chosen by its first bytes; formats that run a program (EPS) are not."""

HEAD_BYTES = 512

WEAK_FORMATS = ("BMP", "PPM")
"""Formats whose signature is two letters, with which a text may begin."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    *((b"P%d" % kind, "PPM") for kind in range(1, 7)),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_OTHER_KINDS = (
    (b"<svg", "an SVG drawing; export it as PNG"),
    (b"<!doctype html", "a web page, not a picture"),
    (b"<html", "a web page, not a picture"),
    (b"%pdf", "a PDF document, not a picture"),
    (b"pk\x03\x04", "a ZIP archive, not a picture"),
    (b"8bps", "a Photoshop file; export it as PNG"),
    (b"%!ps", "a PostScript file, not a picture"),
)


def head_of(path: Path) -> bytes:
    """Return the first `HEAD_BYTES` bytes of a file."""
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)


def format_of(head: bytes) -> str:
    """Return the picture format that the first bytes tell, "" for none."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "AVIF" if brand in (b"avif", b"avis") else "HEIF" if brand in _HEIF_BRANDS else ""
    return ""


def what_else(head: bytes) -> str:
    """Say what a file that is no readable picture is, in a phrase that follows "it is"."""
    lowered = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, phrase in _OTHER_KINDS:
        if lowered.startswith(signature) or (signature == b"<svg" and b"<svg" in lowered):
            return phrase
    return "a text file, not a picture" if _is_text(head) else "not a picture in a format that is read here"


def is_picture_name(path: Path) -> bool:
    """Whether the extension promises a picture."""
    return path.suffix.lower() in FORMAT_OF_EXTENSION


def _is_text(head: bytes) -> bool:
    if any(byte < 9 or 13 < byte < 32 for byte in head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return sum(byte < 128 for byte in head) > 0.8 * len(head)
    return True
