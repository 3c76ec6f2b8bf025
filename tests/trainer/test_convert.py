"""Files from one layout to another: the same network comes out, whoever wrote the file."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.commands import hypernet
from tests.support.loaders import load_as_a1111
from trainer.convert import average, convert
from trainer.errors import AppError
from trainer.hypernetwork import Hypernetwork, Structure, load, save

DROPPING = Structure(
    layer_structure=(1, 2, 1.5, 1), activation_func="prelu", is_layer_norm=True, dropout_structure=(0, 0.1, 0.2, 0)
)


def written(path: Path, seed: int = 1, structure: Structure = DROPPING) -> Path:
    net = Hypernetwork.create((12, 8), structure, seed=seed, name=path.stem)
    net.step, net.optional_info, net.sd_checkpoint = seed * 100, 'a "note"\n猫', "0123456789"
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    save(net, path)
    return path


def test_there_and_back_is_the_same_file(tmp_path: Path) -> None:
    source = written(tmp_path / "gollum.pt")
    (tmp_path / "back").mkdir()
    convert([source], tmp_path / "gollum.safetensors")
    convert([tmp_path / "gollum.safetensors"], tmp_path / "back" / "gollum.pt")
    before, after = (torch.load(path, weights_only=True) for path in (source, tmp_path / "back" / "gollum.pt"))
    assert list(after) == list(before)
    for key in (12, 8):
        for mine, its in zip(before.pop(key), after.pop(key), strict=True):
            assert list(its) == list(mine)
            assert all(torch.equal(its[name], mine[name]) for name in mine)
    assert after == before | {"use_dropout": True}


def test_every_file_of_a1111s_becomes_one_of_the_present_layout(conformance: Path, tmp_path: Path) -> None:
    files = sorted((conformance / "hypernetworks").glob("*.pt"))
    assert len(files) > 50
    for number, path in enumerate(files):
        before = load(path)
        out = tmp_path / f"{number}.pt"
        convert([path], out)
        name, pairs = load_as_a1111(out)
        assert name == str(number)
        content = torch.load(out, weights_only=True)
        assert "dropout_structure" in content
        for dim in before.dims:
            context = torch.randn(1, 3, dim, generator=torch.Generator().manual_seed(dim))
            for mine, theirs in zip(before.transform(context, 0.5), pairs[dim], strict=True):
                torch.testing.assert_close(theirs(context, 0.5), mine, rtol=1e-5, atol=1e-6, msg=path.name)


def test_portable_leaves_dropout_out_and_moves_the_later_layers(tmp_path: Path) -> None:
    source = written(tmp_path / "one.pt")
    convert([source], tmp_path / "two.pt", portable=True)
    content = torch.load(tmp_path / "two.pt", weights_only=True)
    assert content["dropout_structure"] == [0, 0, 0, 0]
    assert not content["use_dropout"]
    assert len(content[12][0]) == len(torch.load(source, weights_only=True)[12][0])
    context = torch.randn(2, 3, 12)
    for mine, its in zip(load(source).transform(context), load(tmp_path / "two.pt").transform(context), strict=True):
        assert torch.equal(mine, its)


def test_the_average_is_the_mean_of_the_weights(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{seed}.pt", seed) for seed in (1, 2, 3)]
    convert(paths, tmp_path / "mean.pt", shares=[1, 1, 2])
    mean, nets = load(tmp_path / "mean.pt"), [load(path) for path in paths]
    assert mean.name == "mean"
    assert mean.step == 300
    states = [net.state_dict() for net in nets]
    for key, tensor in mean.state_dict().items():
        wanted = (states[0][key] + states[1][key] + 2 * states[2][key]) / 4
        torch.testing.assert_close(tensor, wanted)
    other = load(written(tmp_path / "other.pt", 4, Structure()))
    with pytest.raises(AppError, match="built otherwise"):
        average([nets[0], other])
    with pytest.raises(AppError, match="shares"):
        average(nets, [1, 2])


def test_strange_safetensors_are_told_apart(tmp_path: Path) -> None:
    tensors = {"12.k.linear.0.weight": torch.zeros(12, 12)}
    cases = {
        "[]": "Damaged",
        json.dumps({"layout": 2, "widths": [12]}): "layout is unknown",
        json.dumps({"layout": 1, "widths": [13]}): "Damaged",
        json.dumps({"layout": 1, "widths": ["12"]}): "layout is unknown",
    }
    for facts, said in cases.items():
        save_file(tensors, tmp_path / "x.safetensors", metadata={"hypernetwork": facts})
        with pytest.raises(AppError, match=said):
            load(tmp_path / "x.safetensors")
    save_file({"a.lora_up.weight": torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(AppError, match="is a LoRA"):
        load(tmp_path / "x.safetensors")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = written(tmp_path / "one.pt", 1), written(tmp_path / "two.pt", 2)
    out = tmp_path / "both.safetensors"
    assert "--average" in hypernet(capsys, "convert", str(one), str(two), "--out", str(out)).err
    said = hypernet(capsys, "convert", str(one), str(two), "--average", "--out", str(out))
    assert said.code == 0, said.err
    assert "step 200, widths 12, 8" in said.out
    assert "--overwrite" in hypernet(capsys, "convert", str(one), "--out", str(out)).err
    assert "neither .pt" in hypernet(capsys, "convert", str(one), "--out", str(tmp_path / "x.bin")).err
    seen = hypernet(capsys, "inspect", str(out))
    assert "hypernetwork" in seen.out
    assert "both" in seen.out
