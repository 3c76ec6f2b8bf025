"""The parts of the demo model before training, and the tokenizer files that go with them."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from trainer.demo.scenes import CHARACTER, COLOURS, FILLS, OPENINGS, PLACES, SHAPES, SIZES

CONTEXT_WIDTH: Final = 96
MAX_TOKENS: Final = 32
START, END = "<|startoftext|>", "<|endoftext|>"
EXTRA_WORDS: Final = (
    "a an and above on background the with in of to by photo style hypernetwork portrait colour color "
    "shape paper ink line lines hatched hatching drawn frame framed navy face head eyes ears character "
    "creature gray grey"
)

VAE_CONFIG: Final[dict[str, Any]] = {
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [16, 32, 64],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 2,
    "mid_block_add_attention": False,
    "sample_size": 64,
}
TEXT_CONFIG: Final[dict[str, Any]] = {
    "hidden_size": CONTEXT_WIDTH,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": MAX_TOKENS,
    "projection_dim": CONTEXT_WIDTH,
}
UNET_CONFIG: Final[dict[str, Any]] = {
    "sample_size": 16,
    "block_out_channels": [32, 64, 128],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": CONTEXT_WIDTH,
    # Despite its name this is the number of heads, as in Stable Diffusion 1.x: 32 channels each.
    "attention_head_dim": [1, 2, 4],
    "norm_num_groups": 8,
}
SCHEDULER_CONFIG: Final[dict[str, Any]] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.02,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def make_vae() -> Any:
    """A fresh AutoencoderKL: 64 x 64 pixels to 4 x 16 x 16 latents."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return AutoencoderKL(**VAE_CONFIG)


def make_unet() -> Any:
    """A fresh UNet2DConditionModel."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel(**UNET_CONFIG)


def make_text_encoder(vocabulary_size: int) -> Any:
    """A fresh CLIPTextModel; the last two token ids are start and end."""
    from transformers import CLIPTextConfig, CLIPTextModel

    ids = {
        "bos_token_id": vocabulary_size - 2,
        "eos_token_id": vocabulary_size - 1,
        "pad_token_id": vocabulary_size - 1,
    }
    return CLIPTextModel(CLIPTextConfig(**TEXT_CONFIG, vocab_size=vocabulary_size, **ids))


def demo_words() -> list[str]:
    """Every word that shall be one token, without repetition."""
    texts = [*SHAPES, *COLOURS, *FILLS, *SIZES, *PLACES, *OPENINGS, CHARACTER, EXTRA_WORDS]
    return list(dict.fromkeys(word for text in texts for word in text.split()))


def byte_letters() -> list[str]:
    """The printable letter that byte-level BPE uses for each byte, in CLIP's order of bytes.

    Bytes that print as themselves come first, the others are moved to U+0100 and up (GPT-2, encoder.py).
    """
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(0x100 + index) for index in range(len(others))]


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first, until every word is a single token."""
    pieces = {word: [*word[:-1], f"{word[-1]}</w>"] for word in words}
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for parts in pieces.values() for pair in pairwise(parts))
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        pieces = {word: _merged(parts, best) for word, parts in pieces.items()}


def write_tokenizer(folder: Path) -> None:
    """Write the files of a CLIPTokenizer whose vocabulary is bytes, demo words and two marks."""
    merges = learn_merges(demo_words())
    letters = byte_letters()
    tokens = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        *("".join(pair) for pair in merges),
        START,
        END,
    ]
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": MAX_TOKENS,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer that `write_tokenizer` wrote."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result
