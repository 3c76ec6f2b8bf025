"""Prompts to text conditions, in A1111's way: chunks without truncation, weights, clip skip.

Follows modules/sd_hijack_clip.py and modules/sd_emphasis.py of AUTOMATIC1111 1.10.1 in behaviour.
Axes: N chunks, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from trainer.base_model.emphasis import Piece, parse_emphasis

if TYPE_CHECKING:
    from trainer.base_model.load import BaseModel

COMMA_BACKTRACK = 20
"""A comma among the last so many tokens of a full chunk moves what follows it into the next chunk."""
ENCODER_BATCH = 16
"""Chunks that go through the text encoder at once."""


@dataclass
class Chunk:
    """One stretch of tokens that fits the text encoder, with the weight of each."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    last_comma: int = -1


def encode_prompts(
    texts: Sequence[str], base_model: BaseModel, *, clip_skip: int = 1, emphasis: bool = True
) -> list[torch.Tensor]:
    """Encode each prompt by itself.

    Args:
        texts: Prompts.
        base_model: Gives the text encoder (where it is and of its dtype) and the tokenizer.
        clip_skip: Which hidden layer from the end; above 1 the final layer norm follows it. SD 2.x, whose last
            layer is left out already, ignores it, as A1111 does.
        emphasis: Whether brackets and BREAK are read; without, the prompt is taken literally.

    Returns:
        For each prompt a tensor (77·N, D) in the text encoder's dtype, on its device; N ≥ 1.

    Raises:
        ValueError: `clip_skip` is outside 1 … number of layers.
    """
    chunked = [split_prompt(text, base_model.tokenizer, emphasis=emphasis) for text in texts]
    chunks = [chunk for of_text in chunked for chunk in of_text]
    vectors: list[torch.Tensor] = []
    for start in range(0, len(chunks), ENCODER_BATCH):
        vectors.extend(_encode_chunks(chunks[start : start + ENCODER_BATCH], base_model, clip_skip))
    contexts, used = [], 0
    for of_text in chunked:
        contexts.append(torch.cat(vectors[used : used + len(of_text)]))
        used += len(of_text)
    return contexts


def token_count(text: str, tokenizer: Any, *, emphasis: bool = True) -> int:
    """Return the tokens of a prompt, without start, end and padding."""
    return sum(len(chunk.ids) for chunk in split_prompt(text, tokenizer, emphasis=emphasis))


def split_prompt(text: str, tokenizer: Any, *, emphasis: bool = True) -> list[Chunk]:
    """Cut a prompt into chunks of at most `model_max_length` - 2 tokens (75 for CLIP)."""
    room = tokenizer.model_max_length - 2
    comma_id = tokenizer.get_vocab().get(",</w>", -1)
    pieces = parse_emphasis(text) if emphasis else [Piece(text)]
    tokenized = tokenizer([piece.text for piece in pieces], add_special_tokens=False, verbose=False)["input_ids"]
    chunks = [Chunk()]
    for piece, ids in zip(pieces, tokenized, strict=True):
        if piece.is_break:
            chunks.append(Chunk())
        for token in ids:
            _append_token(chunks, token, piece.weight, room, comma_id)
    if len(chunks) > 1 and not chunks[-1].ids:
        chunks.pop()
    return chunks


def _append_token(chunks: list[Chunk], token: int, weight: float, room: int, comma_id: int) -> None:
    chunk = chunks[-1]
    if token == comma_id:
        chunk.last_comma = len(chunk.ids)
    elif len(chunk.ids) == room and chunk.last_comma >= 0 and len(chunk.ids) - chunk.last_comma <= COMMA_BACKTRACK:
        cut = chunk.last_comma + 1
        chunks.append(Chunk(chunk.ids[cut:], chunk.weights[cut:]))
        del chunk.ids[cut:], chunk.weights[cut:]
    if len(chunks[-1].ids) == room:
        chunks.append(Chunk())
    chunks[-1].ids.append(token)
    chunks[-1].weights.append(weight)


@torch.no_grad()
def _encode_chunks(chunks: list[Chunk], base_model: BaseModel, clip_skip: int) -> list[torch.Tensor]:
    tokenizer, encoder = base_model.tokenizer, base_model.text_encoder
    length = tokenizer.model_max_length
    ids_NL = torch.full((len(chunks), length), base_model.padding_id, dtype=torch.long)
    weights_NL = torch.ones(len(chunks), length)
    for row, chunk in enumerate(chunks):
        end = len(chunk.ids) + 1
        ids_NL[row, 0], ids_NL[row, end] = tokenizer.bos_token_id, tokenizer.eos_token_id
        ids_NL[row, 1:end] = torch.tensor(chunk.ids, dtype=torch.long)
        weights_NL[row, 1:end] = torch.tensor(chunk.weights)
    vectors_NLD = _hidden(encoder, ids_NL.to(encoder.device), 1 if base_model.info.family == "sd2" else clip_skip)
    return list(_weighted(vectors_NLD, weights_NL.to(encoder.device)))


def _hidden(encoder: Any, ids_NL: torch.Tensor, clip_skip: int) -> torch.Tensor:
    layers = encoder.config.num_hidden_layers
    if not 1 <= clip_skip <= layers:
        raise ValueError(f"clip_skip is {clip_skip}; this text encoder allows 1 to {layers}")
    if clip_skip == 1:
        last: torch.Tensor = encoder(input_ids=ids_NL).last_hidden_state
        return last
    hidden_NLD = encoder(input_ids=ids_NL, output_hidden_states=True).hidden_states[-clip_skip]
    normed: torch.Tensor = getattr(encoder, "text_model", encoder).final_layer_norm(hidden_NLD)
    return normed


def _weighted(vectors_NLD: torch.Tensor, weights_NL: torch.Tensor) -> torch.Tensor:
    """Multiply each token's vector by its weight, then scale each chunk back to its mean ("Original" emphasis).

    A chunk without weights is returned as it is, and where the mean is lost in rounding no scale is applied.
    """
    plain_N = (weights_NL == 1).all(dim=1)
    if bool(plain_N.all()):
        return vectors_NLD
    before_NLD = vectors_NLD.float()
    after_NLD = before_NLD * weights_NL[:, :, None]
    mean_before_N, mean_after_N = before_NLD.mean(dim=(1, 2)), after_NLD.mean(dim=(1, 2))
    usable_N = mean_after_N.abs() > 1e-6 * after_NLD.abs().mean(dim=(1, 2))
    scale_N = torch.where(usable_N, mean_before_N / mean_after_N, torch.ones_like(mean_after_N))
    scaled_NLD = (after_NLD * scale_N[:, None, None]).to(vectors_NLD.dtype)
    return torch.where(plain_N[:, None, None], vectors_NLD, scaled_NLD)
