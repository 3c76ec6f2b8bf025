"""CLIP's tokenizer, made offline from the shipped merges or read from a diffusers folder."""

from __future__ import annotations

import gzip
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import AppError
from trainer.text import printable

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

MAX_LENGTH = 77
START, END = "<|startoftext|>", "<|endoftext|>"
KNOWN_TEXT, KNOWN_IDS = "a photo of a cat", [49406, 320, 1125, 539, 320, 2368, 49407]
"""Known from CLIP's own tokenizer; a wrong vocabulary gives other ids without any error."""


def shipped_tokenizer(family: str) -> CLIPTokenizer:
    """Return the tokenizer of SD 1.x and 2.x; they differ in the padding: 49407 in SD 1.x, 0 (`!`) in SD 2.x.

    Raises:
        AppError: the installed transformers library does not give the known ids.
    """
    from transformers import CLIPTokenizer

    pairs = shipped_merges()
    vocabulary = {token: number for number, token in enumerate(all_tokens(pairs))}
    pad = "!" if family == "sd2" else END
    # The names of transformers 4 (vocab_file, merges_file) are taken silently here and give garbage.
    tokenizer = CLIPTokenizer(
        vocab=vocabulary, merges=pairs, unk_token=END, bos_token=START, eos_token=END, pad_token=pad,
        model_max_length=MAX_LENGTH,
    )  # fmt: skip
    if tokenizer(KNOWN_TEXT)["input_ids"] != KNOWN_IDS or tokenizer.pad_token_id != vocabulary[pad]:
        raise AppError(
            "The tokenizer is broken",
            f"The installed transformers library does not turn “{KNOWN_TEXT}” into CLIP's ids.",
            "Install the versions of constraints.txt: make setup.",
        )
    return tokenizer


def folder_tokenizer(folder: Path) -> CLIPTokenizer:
    """Return the tokenizer of a diffusers folder.

    Raises:
        AppError: it is missing or cannot be read.
    """
    from transformers import CLIPTokenizer

    where = folder / "tokenizer"
    if not any((where / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        message = f"{printable(where)} holds neither tokenizer.json nor vocab.json."
        raise AppError("Incomplete model folder", message, "Copy or download the whole folder again.")
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(where), local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{printable(where)} cannot be read ({printable(error, 120)})."
        raise AppError("Damaged model folder", message, "Copy or download the whole folder again.") from error
    return tokenizer


def shipped_merges() -> list[tuple[str, str]]:
    """Return CLIP's merges, the most frequent first; they serve SD 1.x and 2.x alike."""
    packed = (resources.files("presets") / "base_models" / "clip" / "merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").splitlines()
    return [(left, right) for left, _, right in (line.partition(" ") for line in lines)]


def all_tokens(merges: list[tuple[str, str]]) -> list[str]:
    """Return all tokens by id: 256 bytes, 256 bytes ending a word, the merges, start, end."""
    letters = _byte_letters()
    return [*letters, *(letter + "</w>" for letter in letters), *(a + b for a, b in merges), START, END]


def _byte_letters() -> list[str]:
    """The printable stand-ins of the 256 bytes in CLIP's order: printable Latin-1 first, then the rest from U+0100."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in printed] + [chr(256 + index) for index in range(256 - len(printed))]
