"""Picture files as they come from phones, scanners, web pages and vandals."""

import struct
import zlib
from pathlib import Path

from PIL import Image

from support.photos import photograph


def write_cut_short(folder: Path) -> list[Path]:
    """Write one half of a photograph in each format."""
    paths = []
    with Image.open(photograph("chelsea")) as photo:
        for extension in ("jpg", "png", "webp", "bmp", "tif", "gif"):
            path = folder / f"cut.{extension}"
            photo.save(path)
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2])
            paths.append(path)
    return paths


def write_bomb(path: Path, width: int = 60_000, height: int = 60_000) -> Path:
    """Write a small PNG whose header promises `width` x `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path
