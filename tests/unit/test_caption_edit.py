"""Editing many captions at once."""

import time

import pytest

from trainer.captions import patterns
from trainer.captions.edit import replaced, sorted_tags, tag_counts, tags_of, with_prefix, with_suffix, without_tag
from trainer.errors import AppError

TEXTS = {"a": "a cat, red hat", "b": "a Cat [bold], red hat, sea", "c": "", "d": "a.cat\nsea"}


def test_plain_search_takes_signs_as_they_are_and_changes_only_what_it_finds() -> None:
    assert replaced(TEXTS, "a.c", r"\1x") == {"d": "\\1xat\nsea"}
    assert replaced(TEXTS, "[bold]", "") == {"b": "a Cat , red hat, sea"}
    assert replaced(TEXTS, "cat", "dog", ignore_case=True)["b"] == "a dog [bold], red hat, sea"
    assert replaced(TEXTS, "", "x") == {}
    assert replaced(TEXTS, "cat", "cat") == {}


def test_regular_expressions_have_groups_and_their_mistakes_are_named() -> None:
    assert replaced(TEXTS, r"(\w+) hat", r"hat of \1", regex=True)["a"] == "a cat, hat of red"
    with pytest.raises(AppError, match=r"Bad regular expression: “\(cat” → “x”: missing \)"):
        replaced(TEXTS, "(cat", "x", regex=True)
    with pytest.raises(AppError, match="Bad regular expression"):
        replaced(TEXTS, "cat", r"\1", regex=True)
    assert patterns.problem_of("(cat") == "at character 5: missing )"
    assert patterns.problem_of("cat", r"\1") == "invalid group reference"
    assert patterns.problem_of("(?x)(cat) # or dog", r"\1") == ""


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$"])
def test_a_regular_expression_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    monkeypatch.setattr(patterns, "PATIENCE_S", 0.3)
    begun_s = time.process_time()
    with pytest.raises(AppError, match=r"takes too long: “\(a.+” → “x”: still searching after 0\.3 s"):
        replaced({f"{number}": "a" * 10_000 + "!" for number in range(100)}, pattern, "x", regex=True)
    assert time.process_time() - begun_s < 5


def test_a_prefix_or_suffix_is_added_once() -> None:
    first = with_prefix(TEXTS, "photo of ")
    assert first["a"] == "photo of a cat, red hat"
    assert with_prefix({**TEXTS, **first}, "photo of ") == {}
    assert with_suffix(TEXTS, ", sea") == {"a": "a cat, red hat, sea", "c": ", sea", "d": "a.cat\nsea, sea"}


def test_tags_are_counted_once_a_caption_removed_and_sorted() -> None:
    assert tags_of(" a cat ,, red hat,") == ["a cat", "red hat"]
    assert tag_counts({**TEXTS, "e": "sea, sea"})[:2] == [("red hat", 2), ("sea", 2)]
    assert without_tag(TEXTS, " red hat ") == {"a": "a cat", "b": "a Cat [bold], sea"}
    assert sorted_tags({"a": "sea, cat, Ape, cat"}) == {"a": "Ape, cat, sea"}
    assert sorted_tags({"a": "x, sea", "b": "sea"}, by_count=True) == {"a": "sea, x"}
