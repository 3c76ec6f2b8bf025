"""Installed files load by A1111's and ComfyUI's rules with the same numbers, and nothing of others is overwritten."""

from pathlib import Path

import pytest
import torch

from tests.support.commands import hypernet
from tests.support.loaders import load_as_a1111, load_as_comfyui
from trainer.errors import AppError
from trainer.hypernetwork import Hypernetwork, Structure, load, save
from trainer.install import install
from trainer.programs import find_programs, program_at

DIMS = (12, 8)
STRUCTURES = {
    "plain": Structure(),
    "deep": Structure(layer_structure=(1, 2, 1.5, 1), activation_func="swish"),
    "output": Structure(activation_func="relu", activate_output=True),
    "normed": Structure(is_layer_norm=True),
    "dropping": Structure(
        layer_structure=(1, 2, 2, 1), activation_func="mish", use_dropout=True, dropout_structure=(0, 0.1, 0.3, 0)
    ),
}


@pytest.fixture
def a1111(tmp_path: Path) -> Path:
    root = tmp_path / "stable-diffusion-webui"
    (root / "models" / "Stable-diffusion").mkdir(parents=True)
    return root


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    root = tmp_path / "ComfyUI"
    (root / "models" / "checkpoints").mkdir(parents=True)
    return root


def written(path: Path, structure: Structure = STRUCTURES["plain"], seed: int = 1) -> Path:
    net = Hypernetwork.create(DIMS, structure, seed=seed, name="inner")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)) * 0.3)
    save(net, path)
    return path


@pytest.mark.parametrize("name", STRUCTURES)
def test_both_programs_load_it_with_our_numbers(tmp_path: Path, a1111: Path, comfyui: Path, name: str) -> None:
    source = written(tmp_path / "gollum-400.pt", STRUCTURES[name])
    net = load(source)
    for root, kind in ((a1111, "A1111"), (comfyui, "ComfyUI")):
        program = program_at(root)
        assert program.kind == kind
        done = install(source, program, "gollum")
        assert done.path == root / "models" / "hypernetworks" / "gollum.pt"
        assert done.tag == "<hypernet:gollum:1>"
    inner, pairs = load_as_a1111(a1111 / "models" / "hypernetworks" / "gollum.pt")
    patch = load_as_comfyui(comfyui / "models" / "hypernetworks" / "gollum.pt")
    assert inner == "gollum"
    assert patch is not None
    for dim in DIMS:
        context = torch.randn(2, 5, dim, generator=torch.Generator().manual_seed(dim))
        ours = net.transform(context, 0.7)
        theirs = [module(context, 0.7) for module in pairs[dim]]
        for found in (theirs, patch(context, 0.7)):
            for mine, its in zip(ours, found, strict=True):
                torch.testing.assert_close(mine, its, rtol=0, atol=1e-6)


def test_what_comfyui_would_draw_otherwise_is_said(tmp_path: Path, a1111: Path) -> None:
    strange = written(tmp_path / "gelu.pt", Structure(activation_func="gelu"))
    assert any("does not know the activation gelu" in note for note in install(strange, program_at(a1111)).notes)
    assert load_as_comfyui(a1111 / "models" / "hypernetworks" / "gelu.pt") is None


def test_another_file_is_never_overwritten_unasked(tmp_path: Path, a1111: Path) -> None:
    program = program_at(a1111)
    first, second = written(tmp_path / "one.pt", seed=1), written(tmp_path / "two.pt", seed=2)
    installed = install(first, program, "gollum").path
    content = installed.read_bytes()
    assert install(first, program, "gollum").was_there
    with pytest.raises(AppError, match="another hypernetwork"):
        install(second, program, "gollum")
    assert installed.read_bytes() == content
    assert not install(second, program, "gollum", overwrite=True).was_there
    assert installed.read_bytes() != content


def test_a_namesake_in_a_subfolder_is_found(tmp_path: Path, a1111: Path) -> None:
    below = a1111 / "models" / "hypernetworks" / "mine"
    below.mkdir(parents=True)
    written(below / "gollum.pt", seed=3)
    with pytest.raises(AppError, match="A1111 may take either"):
        install(written(tmp_path / "gollum.pt"), program_at(a1111), overwrite=True)


@pytest.mark.parametrize("name", ["None", "a(b)", "../../evil", "a/b", "a<b>", "x" * 300, " gollum"])
def test_names_that_a1111_would_change_are_refused(tmp_path: Path, a1111: Path, name: str) -> None:
    with pytest.raises(AppError, match="cannot be called"):
        install(written(tmp_path / "one.pt"), program_at(a1111), name)
    assert not list(a1111.rglob("*.pt"))


def test_places_that_would_ignore_it_are_told_apart(tmp_path: Path, a1111: Path) -> None:
    source = written(tmp_path / "one.pt")
    (a1111 / "modules_forge").mkdir()
    with pytest.raises(AppError, match="applies no hypernetwork"):
        install(source, program_at(a1111))
    with pytest.raises(AppError, match="Not an installation"):
        program_at(tmp_path)
    assert all(program.root != a1111 for program in find_programs([tmp_path]))


def test_the_command_finds_the_program_and_prints_the_tag(
    tmp_path: Path, a1111: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    source = written(tmp_path / "gollum.pt")
    said = hypernet(capsys, "install", str(source))
    assert said.code == 0, said.err
    assert "<hypernet:gollum:1>" in said.out
    assert "Forge" in said.out
    assert (a1111 / "models" / "hypernetworks" / "gollum.pt").is_file()
    refused = hypernet(capsys, "install", str(written(tmp_path / "other.pt", seed=5)), "--name", "gollum")
    assert refused.code == 1
    assert "--overwrite" in refused.err
