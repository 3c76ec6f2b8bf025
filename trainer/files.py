"""Files that are replaced whole or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it over `path` when the block ends without an error.

    The data is synced to disk before the rename and the folder after it, so that a crash at any
    moment leaves either the old file or the new one.

    Raises:
        OSError: the folder cannot be written or the disk is full; `path` is then as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` (text as UTF-8) to `path` through `replace_atomic`."""
    with replace_atomic(path) as temporary:
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


def sync_folder(folder: Path) -> None:
    """Make renames within `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path, chunk_bytes: int = 1 << 22, go_on: Callable[[], bool] = lambda: True) -> str:
    """Return the SHA-256 of a file's content as hex, read in slices; "" when `go_on` says no before the end."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(chunk_bytes):
            if not go_on():
                return ""
            digest.update(chunk)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
