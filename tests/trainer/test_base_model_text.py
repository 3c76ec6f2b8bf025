"""Prompts become the tokens and conditions that A1111 makes of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoints import write_ldm_checkpoint

from trainer.base_model.load import BaseModel, load_base_model
from trainer.base_model.text_encoding import encode_prompts, split_prompt, token_count
from trainer.base_model.tokenizer import folder_tokenizer, shipped_tokenizer
from trainer.errors import AppError

CAT, COMMA = 2368, 267


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return shipped_tokenizer("sd1")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseModel]:
    folder = tmp_path_factory.mktemp("text")
    return {
        family: load_base_model(
            write_ldm_checkpoint(folder / f"{family}.safetensors", family, tiny=True),  # type: ignore[arg-type]
            dtype=torch.float32,
            parts=["text_encoder"],
        )
        for family in ("sd1", "sd2")
    }


def test_known_ids(tokenizer: Any) -> None:
    """Ids of CLIP's own tokenizer (feasibility study: equal to clip's SimpleTokenizer)."""
    assert tokenizer("a photo of a cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("A PHOTO  of\na Cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert (tokenizer.pad_token_id, shipped_tokenizer("sd2").pad_token_id, len(tokenizer)) == (49407, 0, 49408)
    assert tokenizer.model_max_length == 77


def test_a_broken_vocabulary_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.base_model.tokenizer.shipped_merges", lambda: [("a", "b")])
    with pytest.raises(AppError, match="tokenizer is broken"):
        shipped_tokenizer("sd1")


def test_a_folder_without_tokenizer_is_refused_and_one_with_is_read(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(AppError, match=r"vocab\.json"):
        folder_tokenizer(tmp_path)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    assert folder_tokenizer(tmp_path)("a cat")["input_ids"] == [49406, 320, CAT, 49407]


def sizes(text: str, tokenizer: Any) -> list[int]:
    return [len(chunk.ids) for chunk in split_prompt(text, tokenizer)]


def test_long_prompts_are_cut_into_chunks_not_off(tokenizer: Any) -> None:
    assert sizes("", tokenizer) == [0]
    assert sizes("cat " * 75, tokenizer) == [75]
    assert sizes("cat " * 76, tokenizer) == [75, 1]
    assert sizes("cat " * 300, tokenizer) == [75] * 4
    assert token_count("cat " * 300, tokenizer) == 300
    assert sizes("cat BREAK cat cat", tokenizer) == [1, 2]
    assert sizes("cat BREAK BREAK cat", tokenizer) == [1, 0, 1]


def test_a_comma_near_the_end_of_a_chunk_moves_the_tail(tokenizer: Any) -> None:
    """Within the last 20 of 75 tokens the tail after the comma moves on; further back it does not."""
    assert sizes("cat " * 70 + "," + "cat " * 10, tokenizer) == [71, 10]
    assert sizes("cat " * 55 + "," + "cat " * 25, tokenizer) == [56, 25]
    assert sizes("cat " * 54 + "," + "cat " * 25, tokenizer) == [75, 5]
    assert sizes("cat " * 75 + "," + "cat " * 10, tokenizer) == [75, 11]
    second = split_prompt("cat " * 70 + "," + "dog " * 10, tokenizer)[0].ids
    assert second[-1] == COMMA


def test_weights_go_with_their_tokens(tokenizer: Any) -> None:
    chunk = split_prompt("a (cat:1.5), [dog]", tokenizer)[0]
    assert [round(weight, 4) for weight in chunk.weights] == [1, 1.5, 1, 0.9091]
    literal = split_prompt("(cat:1.5)", tokenizer, emphasis=False)[0]
    assert set(literal.weights) == {1.0}
    assert len(literal.ids) > 3


def test_a_backslash_makes_a_bracket_literal_and_is_never_text_itself(tokenizer: Any) -> None:
    def ids(text: str, emphasis: bool = True) -> list[int]:
        return split_prompt(text, tokenizer, emphasis=emphasis)[0].ids

    assert ids(r"a \(cat\) [dog\]") == ids("a (cat) dog]", emphasis=False)
    assert set(split_prompt(r"a \(cat\)", tokenizer)[0].weights) == {1.0}
    assert ids(r"a \cat") == ids("a cat")
    assert ids(r"a \\cat") == ids(r"a \cat", emphasis=False)


def test_short_tokenizers_make_short_chunks(tokenizer: Any) -> None:
    import copy

    short = copy.deepcopy(tokenizer)
    short.model_max_length = 32
    assert sizes("cat " * 31, short) == [30, 1]


@pytest.mark.parametrize(("family", "padding"), [("sd1", 49407), ("sd2", 0)])
def test_padding_is_the_familys_own(models: dict[str, BaseModel], family: str, padding: int) -> None:
    model = models[family]
    ids = torch.tensor([[49406, 320, CAT, 49407, *[padding] * 73]])
    expected = model.text_encoder(ids).last_hidden_state[0]
    found = encode_prompts(["a cat"], model)[0]
    assert found.shape == (77, 96)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not found.requires_grad


def test_each_prompt_keeps_its_own_length_and_value(models: dict[str, BaseModel]) -> None:
    texts = ["cat " * 200, "", "a (dog:1.2) and a cat"]
    together = encode_prompts(texts, models["sd1"])
    assert [len(context) for context in together] == [231, 77, 77]
    for text, context in zip(texts, together, strict=True):
        assert torch.allclose(encode_prompts([text], models["sd1"])[0], context, atol=1e-5)


def test_emphasis_multiplies_and_keeps_the_mean(models: dict[str, BaseModel]) -> None:
    plain, strong = encode_prompts(["a cat", "a (cat:1.5)"], models["sd1"])
    assert float(strong.mean()) == pytest.approx(float(plain.mean()), rel=1e-4)
    ratio = strong / plain
    scale = float(ratio[0, 0])
    assert torch.allclose(ratio[2], torch.full((96,), 1.5 * scale), rtol=1e-3)
    others = torch.cat([ratio[:2], ratio[3:]])
    assert torch.allclose(others, torch.full_like(others, scale), rtol=1e-3)


def test_clip_skip_takes_an_earlier_layer_and_the_final_norm(models: dict[str, BaseModel]) -> None:
    model = models["sd1"]
    ids = torch.tensor([[49406, 320, CAT, *[49407] * 74]])
    hidden = model.text_encoder(ids, output_hidden_states=True).hidden_states[-2]
    expected = model.text_encoder.final_layer_norm(hidden)[0]
    assert torch.allclose(encode_prompts(["a cat"], model, clip_skip=2)[0], expected, atol=1e-5)
    with pytest.raises(ValueError, match="1 to 12"):
        encode_prompts(["a cat"], model, clip_skip=13)
    two = models["sd2"]
    skipped, plain = encode_prompts(["a cat"], two, clip_skip=2)[0], encode_prompts(["a cat"], two)[0]
    assert torch.allclose(skipped, plain, atol=1e-5)
