"""Download captioners' files, with progress, whole or not at all."""

import urllib.error
import urllib.request
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from trainer.base_model.hub import download_files
from trainer.captions.model_files import Progress
from trainer.errors import AppError
from trainer.files import replace_atomic
from trainer.network import network_reason
from trainer.text import printable

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0


def fetch_repository(repo: str, patterns: Sequence[str], progress: Progress | None = None) -> Path:
    """Download the files of a Hub repository that match `patterns` and return the folder they are in.

    Raises:
        AppError: it cannot be reached, or there is no such repository.
    """
    return download_files(repo, lambda names: [n for n in names if any(fnmatch(n, p) for p in patterns)], progress)


def fetch_file(url: str, path: Path, progress: Progress | None = None) -> Path:
    """Download one file to `path`; nothing is left there if it is interrupted.

    Raises:
        AppError: the server cannot be reached, or sends less than it promised.
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, replace_atomic(path) as temporary:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            with open(temporary, "wb") as file:
                while chunk := answer.read(_CHUNK_BYTES):
                    file.write(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(done, total)
            if total and done < total:
                raise AppError("Download cut off", f"{printable(url)}: {done} of {total} bytes came.", "Try again.")
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
        raise AppError("Download failed", f"{printable(url)}: {network_reason(error)}.", "Try again.") from error
    return path
