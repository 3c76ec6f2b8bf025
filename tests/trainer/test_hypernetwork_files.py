"""A1111's files are read as A1111 reads them, and ours are accepted by everybody who reads them."""

import hashlib
import json
import pickletools
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainer.errors import AppError
from trainer.hypernetwork import Hypernetwork, Structure, load, load_optimizer, save, save_optimizer
from trainer.hypernetwork.structure import COMFYUI_ACTIVATIONS

# What A1111 up to 1.9.4 lets pass, from the reference's checklist.
MEMBERS = re.compile(r"archive/(data/\d+|version|data\.pkl)")
GLOBALS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in ("Float", "Half", "BFloat16", "Int", "Long", "Double", "Byte")),
    "torch float32",
}
RICH = Structure((1, 2, 0.5, 1), "mish", True, "XavierNormal", True, True, (0, 0.1, 0.2, 0))


@pytest.fixture(scope="module")
def manifest(conformance: Path) -> dict[str, Any]:
    return json.loads((conformance / "manifest.json").read_text())


@pytest.fixture(scope="module")
def expected(conformance: Path) -> dict[str, np.ndarray]:
    with np.load(conformance / "expected.npz") as arrays:
        return dict(arrays)


def assert_close(found: torch.Tensor, wanted: np.ndarray) -> None:
    torch.testing.assert_close(found, torch.from_numpy(wanted), rtol=1e-5, atol=1e-6)


def assert_readable_by_a1111(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        assert all(MEMBERS.fullmatch(member.filename) for member in archive.infolist())
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
        pickled = archive.read("archive/data.pkl")
    names = {argument for opcode, argument, _ in pickletools.genops(pickled) if opcode.name == "GLOBAL"}
    assert names <= GLOBALS
    assert not any(opcode.name in ("STACK_GLOBAL", "INST") for opcode, _, _ in pickletools.genops(pickled))


def same(a: Hypernetwork, b: Hypernetwork) -> bool:
    fields = ("dims", "structure", "name", "step", "sd_checkpoint", "sd_checkpoint_name", "optional_info")
    ours, theirs = a.state_dict(), b.state_dict()
    return (
        all(getattr(a, field) == getattr(b, field) for field in fields)
        and list(ours) == list(theirs)
        and all(torch.equal(ours[key], theirs[key]) for key in ours)
    )


def test_every_file_of_a1111_means_the_same_here(conformance: Path, manifest: dict, expected: dict) -> None:
    assert len(manifest["files"]) == 58
    for entry in manifest["files"].values():
        path = conformance / entry["file"]
        wanted = entry["effective"]
        net = load(path)
        structure = net.structure
        assert sorted(net.dims) == sorted(wanted["dims"])
        assert list(structure.layer_structure) == wanted["layer_structure"]
        assert structure.activation_func == (wanted["activation_func"] or "linear")
        assert structure.weight_initialization == wanted["weight_init"]
        assert structure.is_layer_norm == wanted["add_layer_norm"]
        assert structure.use_dropout == wanted["use_dropout"]
        assert list(structure.dropout_structure) == wanted["dropout_structure"]
        assert structure.last_layer_dropout == wanted["last_layer_dropout"]
        assert structure.activate_output == wanted["activate_output"]
        assert (net.name, net.step) == (wanted["name"], wanted["step"])
        assert (net.sd_checkpoint, net.sd_checkpoint_name) == (wanted["sd_checkpoint"], wanted["sd_checkpoint_name"])
        assert sum(parameter.numel() for parameter in net.parameters()) == wanted["parameters"]
        assert list(net.pair(net.dims[0])[0].state_dict()) == wanted["module_keys"]
        assert net.warnings == []
        for dim in net.dims:
            context_BLD = torch.from_numpy(expected[f"in/{dim}"])
            for strength in manifest["multipliers"]:
                for kind, found in zip("kv", net.transform(context_BLD, strength), strict=True):
                    assert_close(found, expected[f"{path.stem}/{dim}/{kind}@{strength}"])
                    assert strength or torch.equal(found, context_BLD)


def test_stacks_chain_in_order_and_leave_other_widths_alone(conformance: Path, manifest: dict, expected: dict) -> None:
    for stack in manifest["stacks"]:
        context_BLD = torch.from_numpy(expected[f"in/{stack['dim']}"])
        key_BLD = value_BLD = context_BLD
        for name, strength in zip(stack["names"], stack["multipliers"], strict=True):
            net = load(conformance / manifest["files"][name]["file"])
            key_BLD, value_BLD = net.transform_pair(key_BLD, value_BLD, strength)
        if stack["untouched"]:
            assert key_BLD is context_BLD
            assert value_BLD is context_BLD
        else:
            assert_close(key_BLD, expected[f"stack/{stack['id']}/k"])
            assert_close(value_BLD, expected[f"stack/{stack['id']}/v"])


def test_every_file_survives_saving_here(conformance: Path, manifest: dict, tmp_path: Path) -> None:
    for name, entry in manifest["files"].items():
        net = load(conformance / entry["file"])
        first, second = tmp_path / "a.pt", tmp_path / "b.pt"
        save(net, first)
        again = load(first)
        save(again, second)
        assert same(net, again), name
        assert first.read_bytes() == second.read_bytes(), name
        assert_readable_by_a1111(first)


def test_what_is_written(tmp_path: Path) -> None:
    net = Hypernetwork.create([48, 32], RICH, seed=1, name="gollum")
    net.step, net.sd_checkpoint = 100, "0123456789"
    path = tmp_path / "gollum.pt"
    save(net, path)
    content = torch.load(path, weights_only=True)
    mapped = torch.load(path, weights_only=True, mmap=True)
    assert [type(key) for key in content][:3] == [int, int, str]
    assert list(content[48][1]) == [
        *("linear.0.weight", "linear.0.bias", "linear.2.weight", "linear.2.bias"),
        *("linear.4.weight", "linear.4.bias", "linear.6.weight", "linear.6.bias"),
        *("linear.8.weight", "linear.8.bias", "linear.10.weight", "linear.10.bias"),
    ]
    for dim in (48, 32):
        for i in range(2):
            for key, tensor in content[dim][i].items():
                assert torch.equal(tensor, mapped[dim][i][key])
                assert tensor.dtype == torch.float32
                assert mapped[dim][i][key].data_ptr() % 64 == 0
    assert {key: value for key, value in content.items() if isinstance(key, str)} == {
        "step": 100,
        "name": "gollum",
        "layer_structure": [1, 2, 0.5, 1],
        "activation_func": "mish",
        "is_layer_norm": True,
        "weight_initialization": "XavierNormal",
        "sd_checkpoint": "0123456789",
        "sd_checkpoint_name": None,
        "activate_output": True,
        "use_dropout": True,
        "dropout_structure": [0, 0.1, 0.2, 0],
        "last_layer_dropout": True,
        "optional_info": None,
    }


def comfyui(content: dict, context_BLD: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply a file as ComfyUI does, from the reference's account of it (§10)."""
    kinds = [
        *(nn.Identity, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Hardswish),
        *(nn.Tanh, nn.Sigmoid, nn.Softsign, nn.Mish),
    ]
    activation = dict(zip(COMFYUI_ACTIVATIONS, kinds, strict=True))[content["activation_func"]]
    made = []
    for state in content[context_BLD.shape[-1]]:
        names = [key.removesuffix(".weight") for key in state if key.endswith(".weight")]
        layers: list[nn.Module] = []
        for i, name in enumerate(names):
            weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
            layer = nn.LayerNorm(len(weight)) if weight.ndim == 1 else nn.Linear(*weight.shape[::-1])
            layer.load_state_dict({"weight": weight, "bias": bias})
            layers.append(layer)
            if weight.ndim == 2 and (i < len(names) - 1 or content.get("activate_output", False)):
                layers.append(activation())
            if content.get("use_dropout") and i < len(names) - 1:
                layers.append(nn.Dropout(0.3))  # stays active there: eval() is never called
        made.append(context_BLD + nn.Sequential(*layers)(context_BLD) * strength)
    return made[0], made[1]


@pytest.mark.parametrize("activation", COMFYUI_ACTIVATIONS)
def test_portable_files_mean_the_same_in_comfyui(activation: str, tmp_path: Path) -> None:
    structure = Structure(
        (1, 2, 2, 1), activation, activation == "linear", "XavierNormal", True, True, (0, 0.2, 0.3, 0)
    )
    net = Hypernetwork.create([24], structure, seed=3)
    assert structure.comfyui_problems == []
    save(net, tmp_path / "portable.pt", portable=True)
    assert_readable_by_a1111(tmp_path / "portable.pt")
    context_BLD = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(4))
    wanted = net.transform(context_BLD, 0.7)
    ours = load(tmp_path / "portable.pt")
    theirs = comfyui(torch.load(tmp_path / "portable.pt", weights_only=True, mmap=True), context_BLD, 0.7)
    assert not ours.structure.drops
    for found in (ours.transform(context_BLD, 0.7), theirs):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def edited(tmp_path: Path, structure: Structure = RICH, **changes: object) -> Path:
    """Save a network, then change its flags (None: take the key out)."""
    save(Hypernetwork.create([16, 8], structure, seed=5, name="x"), tmp_path / "x.pt")
    content = torch.load(tmp_path / "x.pt", weights_only=True) | changes
    torch.save({key: value for key, value in content.items() if value is not None}, tmp_path / "edited.pt")
    return tmp_path / "edited.pt"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"layer_structure": [1, 3, 1]}, "layer_structure"),
        ({"is_layer_norm": False}, "is_layer_norm"),
        ({"activate_output": False}, "activate_output"),
        ({"dropout_structure": [0, 0.1, 0, 0]}, "dropout_structure"),
    ],
)
def test_tensors_win_over_flags(changes: dict, complaint: str, tmp_path: Path) -> None:
    original = Hypernetwork.create([16, 8], RICH, seed=5, name="x")
    net = load(edited(tmp_path, **changes))
    context_BLD = torch.randn(1, 3, 16)
    torch.testing.assert_close(net.transform(context_BLD), original.transform(context_BLD))
    assert len(net.warnings) == 1
    assert complaint in net.warnings[0]
    assert net.structure.layer_structure == pytest.approx(RICH.layer_structure, abs=0.05)


def test_missing_and_odd_metadata_is_tolerated(tmp_path: Path) -> None:
    keys = ("step", "name", "weight_initialization", "sd_checkpoint", "use_dropout", "last_layer_dropout")
    net = load(edited(tmp_path, **dict.fromkeys(keys)))
    assert (net.name, net.step, net.warnings) == ("edited", 0, [])
    odd = load(edited(tmp_path, step=np.float64(7), optional_info=np.ones(2), unknown={"a": [1]}))
    assert odd.step == 0
    assert "step" in odd.warnings[0]
    assert odd.optional_info is None


def wrong_files() -> dict[str, tuple[object, str]]:
    pair = ({"linear.0.weight": torch.ones(8, 8), "linear.0.bias": torch.ones(8)},) * 2
    narrow = ({"linear.0.weight": torch.ones(4, 8), "linear.0.bias": torch.ones(4)},) * 2
    nested = ({"linear.0.linear.0.weight": torch.ones(8, 8), "linear.0.linear.0.bias": torch.ones(8)},) * 2
    odd = ({"linear.0.weight": torch.ones(8, 8), "linear.0.bias": torch.ones(8), "alpha": torch.ones(1)},) * 2
    return {
        "lora": ({"lora_unet_x.lora_up.weight": torch.ones(1)}, "LoRA"),
        "embedding": ({"string_to_param": {"*": torch.ones(1, 768)}}, "embedding"),
        "checkpoint": ({"state_dict": {"model.diffusion_model.x": torch.ones(1)}}, "base model"),
        "optim": ({"optimizer_state_dict": {}, "hash": "0"}, "optimizer"),
        "tensor": (torch.ones(3), "pair of modules"),
        "one-module": ({8: pair[:1], "step": 1}, "not a pair"),
        "numbers": ({8: [1, 2]}, "not a pair"),
        "narrow": ({8: narrow}, "back to 8"),
        "other-width": ({16: pair}, "back to 16"),
        "nested": ({8: nested}, "MonkeyPatch"),
        "residual": ({8: pair, "skip_connection": True}, "MonkeyPatch"),
        "extra-tensor": ({8: odd}, "alpha"),
        "activation": ({8: pair, "activation_func": "sine\x1b[31m"}, "\\x1b"),
        "mixed": ({8: pair, 4: ({"linear.0.weight": torch.ones(4, 4)},) * 2}, "missing"),
    }


@pytest.mark.parametrize("kind", list(wrong_files()))
def test_other_files_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    content, words = wrong_files()[kind]
    path = tmp_path / f"{kind}.pt"
    torch.save(content, path)
    before = path.read_bytes()
    with pytest.raises(AppError) as caught:
        load(path)
    assert words in caught.value.message
    assert path.name in caught.value.message
    assert caught.value.hint
    assert "\x1b" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_safetensors_lora_is_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"lora_unet_x.lora_down.weight": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(AppError, match="a LoRA"):
        load(tmp_path / "x.safetensors")


def stepped(net: Hypernetwork, steps: int = 3) -> torch.optim.AdamW:
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for seed in range(steps):
        context_BLD = torch.randn(1, 4, net.dims[0], generator=torch.Generator().manual_seed(seed))
        key_BLD, value_BLD = net.transform(context_BLD)
        (key_BLD.square().mean() + value_BLD.square().mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def test_optimizer_state_continues_exactly(tmp_path: Path) -> None:
    net = Hypernetwork.create([16], RICH, seed=1)
    optimizer = stepped(net)
    path = tmp_path / "n.pt"
    save(net, path)
    save_optimizer(path, optimizer, net)
    assert_readable_by_a1111(tmp_path / "n.pt.optim")
    written = torch.load(tmp_path / "n.pt.optim", weights_only=True, mmap=True)
    assert list(written) == ["optimizer_name", "hash", "optimizer_state_dict"]
    assert written["hash"] == hashlib.sha256(path.read_bytes()).hexdigest()[:10]
    other = load(path)
    saved = load_optimizer(path, other)
    assert (saved.reason, saved.optimizer_name) == ("", "AdamW")
    resumed = torch.optim.AdamW(other.parameters(), lr=1.0)
    resumed.load_state_dict(saved.state)
    for it, its_optimizer in ((net, optimizer), (other, resumed)):
        it.transform(torch.ones(1, 2, 16))[0].sum().backward()
        its_optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


def test_optimizer_files_of_other_origin(tmp_path: Path) -> None:
    net = Hypernetwork.create([1024], Structure((1, 0.2, 1)), seed=1)
    path, optim = tmp_path / "n.pt", tmp_path / "n.pt.optim"
    save(net, path)
    assert load_optimizer(path, net).state is None
    save_optimizer(path, stepped(net, 1), net)
    written = torch.load(optim, weights_only=True)
    old_hash = hashlib.sha256(path.read_bytes()[0x100000:0x110000]).hexdigest()[:8]
    torch.save(written | {"hash": old_hash}, optim)
    assert path.stat().st_size > 0x110000
    assert load_optimizer(path, net).reason == ""
    torch.save(written | {"hash": "0123456789", "optimizer_name": "Nonsense"}, optim)
    offered = load_optimizer(path, net)
    assert offered.state is not None
    assert "hash" in offered.reason
    assert offered.optimizer_name == "AdamW"
    misfit = load_optimizer(path, Hypernetwork.create([1024], Structure((1, 0.3, 1)), seed=1))
    assert misfit.state is None
    assert "another network" in misfit.reason
    optim.write_bytes(b"")
    assert "empty" in load_optimizer(path, net).reason


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    for file, name in (("a.pt", RICH.activation_func), ("b.pt", "".join(RICH.activation_func))):
        save(Hypernetwork.create([8], RICH, seed=1, name=name), tmp_path / file)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    net = Hypernetwork.create([8], seed=1)
    path = tmp_path / "n.pt"
    save(net, path)
    before = path.read_bytes()
    net.optional_info = object()  # type: ignore[assignment]
    with pytest.raises(TypeError):
        save(net, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["n.pt"]
