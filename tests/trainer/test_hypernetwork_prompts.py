"""Prompt tags and names as A1111 takes them."""

import subprocess
import sys

import pytest

from trainer.errors import AppError
from trainer.hypernetwork import check_name, parse_prompt


@pytest.mark.parametrize(
    ("prompt", "text", "hypernetworks", "num_warnings"),
    [
        ("a cat", "a cat", [], 0),
        ("a <hypernet:gollum:0.8> cat", "a  cat", [("gollum", 0.8)], 0),
        ("<hypernet:b><hypernet:a:-1.5><hypernet:b:2>", "", [("b", 1.0), ("a", -1.5), ("b", 2.0)], 0),
        ("<hypernet:a b-1.2:.5:more:9>", "", [("a b-1.2", 0.5)], 0),
        ("x <lora:y:1>, <hypernet:a:1>", "x , ", [("a", 1.0)], 1),
        ("<Hypernet:a:1>", "", [], 1),
        ("<hypernet:a:1><hypernet:b:strong>", "", [], 1),
        ("<hypernet:a:nan>", "", [], 1),
        ("<hypernet:a:>", "", [], 1),
        ("1 < 2, <3 and <hypernet:>", "1 < 2, <3 and <hypernet:>", [], 0),
    ],
)
def test_tags(prompt: str, text: str, hypernetworks: list[tuple[str, float]], num_warnings: int) -> None:
    parsed = parse_prompt(prompt)
    assert parsed.text == text
    assert parsed.hypernetworks == hypernetworks
    assert len(parsed.warnings) == num_warnings


def test_default_weight_and_hostile_names() -> None:
    assert parse_prompt("<hypernet:a>", 0.6).hypernetworks == [("a", 0.6)]
    assert "\x1b" not in "".join(parse_prompt("<hypernet:\x1b[31m:x>").warnings)


@pytest.mark.parametrize("name", ["gollum", "Gollum 2.0_b-3", "Ünïcode", "咕噜"])
def test_usable_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        *(("gollum(1)", "gollum1"), ("a/b", "ab"), ("../x", "Use x."), ("a\n", "Use a."), ("<i>", "Use i.")),
        *(("", "letters"), ("..", "letters"), ("None", "letters"), (" x", "Use x."), ("x" * 300, "Use xxx")),
    ],
)
def test_unusable_names(name: str, hint: str) -> None:
    with pytest.raises(AppError) as caught:
        check_name(name)
    assert hint in caught.value.hint


def test_prompts_and_names_do_not_wait_for_torch() -> None:
    code = (
        "import sys, trainer.hypernetwork.names, trainer.hypernetwork.structure\n"
        "from trainer.hypernetwork import parse_prompt, check_name, Structure\n"
        "assert not {'torch', 'numpy', 'diffusers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
