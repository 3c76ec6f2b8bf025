"""How many tokens a caption has for the text encoder, counted without loading a model.

SD 1.x and 2.x share one vocabulary, CLIP's, which is shipped; a diffusers folder's own tokenizer goes before it.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.base_model.emphasis import parse_emphasis
from trainer.base_model.tokenizer import END, MAX_LENGTH, all_tokens, shipped_merges

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
"""What is never joined: contractions, runs of letters, single digits, runs of signs (Radford et al. 2021, CLIP)."""

_LONGEST = 100_000


class TokenCounter:
    """Counts tokens as the base model's tokenizer does.

    Args:
        model: The base model's path; empty or anything but a diffusers folder takes the shipped vocabulary.
        emphasis: Whether brackets and BREAK are read, which then are no tokens.
    """

    def __init__(self, model: str = "", *, emphasis: bool = True) -> None:
        folder = _own_folder(model)
        self._tokenizer = _tokenizer(folder)
        self._emphasis = emphasis
        self.room = (MAX_LENGTH if folder is None else _own_length(folder)) - 2
        """Tokens that the text encoder sees at a time; longer captions are encoded in pieces, as in A1111."""

    def __call__(self, text: str) -> int:
        """Return the number of tokens of a text, begin and end not counted."""
        texts = [piece.text for piece in parse_emphasis(text)] if self._emphasis else [text]
        return sum(len(self._tokenizer.encode(each, add_special_tokens=False).ids) for each in texts if each)


def _own_folder(model: str) -> Path | None:
    folder = Path(model) / "tokenizer"
    has_files = model and (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    return folder if has_files else None


def _own_length(folder: Path) -> int:
    """Return the length of what the encoder is given, begin and end counted; CLIP's where the folder says none."""
    try:
        length = json.loads((folder / "tokenizer_config.json").read_bytes())["model_max_length"]
    except (OSError, ValueError, TypeError, KeyError):
        return MAX_LENGTH
    # transformers writes 10^30 for "not known".
    return length if isinstance(length, int) and 2 < length <= _LONGEST else MAX_LENGTH


@lru_cache(maxsize=2)
def _tokenizer(folder: Path | None) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    if folder is None:
        merges = shipped_merges()
        vocabulary = {token: number for number, token in enumerate(all_tokens(merges))}
    else:
        vocabulary = json.loads((folder / "vocab.json").read_bytes())
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        pairs = (line.partition(" ") for line in lines if line and not line.startswith("#version"))
        merges = [(left, right) for left, _, right in pairs]
    model = models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>", unk_token=END)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return tokenizer
