"""Tokens counted without a model are those of the model's own tokenizer."""

import shutil
from pathlib import Path

import pytest

from trainer.base_model.text_encoding import token_count
from trainer.base_model.tokenizer import folder_tokenizer, shipped_tokenizer
from trainer.captions.tokens import TokenCounter
from trainer.demo.assets import demo_model_dir

TEXTS = [
    "", "a photo of a cat", "1girl, solo, hat_(blue), 12345, it's", "Ünïcödé “quotes” 😀 地図 \u202e",
    "(masterpiece:1.3), [sketch] of gollum \\(film\\) BREAK by the sea", "word " * 90, "  a\r\n\tb  ",
    "don't we'll I'd",
]  # fmt: skip


@pytest.mark.parametrize("emphasis", [True, False])
def test_counts_are_those_of_the_real_tokenizer(emphasis: bool) -> None:
    counter, real = TokenCounter(emphasis=emphasis), shipped_tokenizer("sd1")
    assert [counter(text) for text in TEXTS] == [token_count(text, real, emphasis=emphasis) for text in TEXTS]


def test_a_models_own_vocabulary_goes_first() -> None:
    counter, real = TokenCounter(str(demo_model_dir())), folder_tokenizer(demo_model_dir())
    assert [counter(text) for text in TEXTS] == [token_count(text, real) for text in TEXTS]
    assert counter(TEXTS[1]) == 6
    assert (counter.room, TokenCounter().room) == (real.model_max_length - 2, 75)


def test_a_vocabulary_that_tells_no_length_has_clips(tmp_path: Path) -> None:
    own = shutil.copytree(demo_model_dir() / "tokenizer", tmp_path / "tokenizer")
    for written in ('{"model_max_length": 1000000000000000019884624838656}', '{"model_max_length": "x"}', "[]", "{"):
        (own / "tokenizer_config.json").write_text(written)
        assert TokenCounter(str(tmp_path)).room == 75


def test_a_model_without_a_vocabulary_of_its_own_has_clips(tmp_path: Path) -> None:
    assert TokenCounter(str(tmp_path))("a photo of a cat") == 5
