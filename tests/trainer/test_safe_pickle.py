"""Files of torch.save are read without running anything, and what cannot be read is named."""

import argparse
import collections
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from trainer.errors import AppError
from trainer.safe_pickle import Leftover, read_pickle


class Evil:
    """Makes a file when it is unpickled carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


class EvilEval(Evil):
    def __reduce__(self) -> tuple[object, ...]:
        return eval, (f"open({str(self.mark)!r}, 'w')",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(("kind", "name"), [(Evil, "posix.system"), (EvilEval, "builtins.eval")])
def test_nothing_is_run(kind: type[Evil], name: str, zipped: bool, tmp_path: Path) -> None:
    path, mark = tmp_path / "x.pt", tmp_path / "mark"
    torch.save({"w": torch.ones(2), "e": kind(mark)}, path, _use_new_zipfile_serialization=zipped)
    for mmap in (False, True):
        with pytest.raises(AppError, match=name.replace(".", r"\.")):
            read_pickle(path, mmap=mmap)
    assert not mark.exists()


def test_safety_does_not_rest_on_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, mark = tmp_path / "x.pt", tmp_path / "mark"
    torch.save({"e": Evil(mark)}, path)
    monkeypatch.setattr("trainer.safe_pickle._zip_globals", lambda _path: (set(), True))
    with pytest.raises(AppError):
        read_pickle(path)
    assert not mark.exists()


@pytest.fixture
def lightning(monkeypatch: pytest.MonkeyPatch) -> type:
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    module = sys.modules["pytorch_lightning.callbacks"]
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": module.__name__})  # type: ignore[attr-defined]
    return module.ModelCheckpoint  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_of_training_programs_are_read(lightning: type, zipped: bool, tmp_path: Path) -> None:
    content = {
        "state_dict": collections.OrderedDict(w=torch.arange(6.0).view(2, 3), h=torch.ones(2).half()),
        "callbacks": {lightning: {"best": lightning()}},
        "hyper_parameters": argparse.Namespace(lr=1e-4),
        "global_step": np.int64(3),
        "seen": frozenset([1]),
        "counts": collections.defaultdict(list, {"a": [1]}),
        "epoch": 4,
    }
    path = tmp_path / "last.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    for mmap in (False, True):
        read = read_pickle(path, mmap=mmap)
        assert isinstance(read, dict)
        assert torch.equal(read["state_dict"]["w"], content["state_dict"]["w"])
        assert read["state_dict"]["h"].dtype == torch.float16
        assert read["epoch"] == 4
        assert read["counts"] == {"a": [1]}
        assert isinstance(read["global_step"], Leftover)
        assert list(read["callbacks"]) == [Leftover]


def test_a_compressed_archive_is_never_mapped(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(10_000)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as source,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    read = read_pickle(tmp_path / "b.pt", mmap=True)
    assert isinstance(read, dict)
    assert torch.equal(read["w"], torch.zeros(10_000))


def saved(zipped: bool = True, protocol: int = 2) -> bytes:
    import io

    buffer = io.BytesIO()
    content = {"w": torch.ones(5000)}
    torch.save(content, buffer, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def script() -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("x/data.pkl", "x/constants.pkl", "x/code/a.py"):
            archive.writestr(name, pickle.dumps({}, 2))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"hello", "torch.save"),
        (b"PK\x03\x04", "incomplete"),
        (b"\x80", "too early"),
        (saved()[:9000], "incomplete"),
        (saved(zipped=False)[:9000], "stopped"),
        (saved(zipped=False)[:200], "too early"),
        (saved(protocol=4), "protocol 4"),
        (pickle.dumps({"a": 1}, 2) * 5, "plain Python pickle"),
        (pickle.dumps(Evil(Path("x")), 4), "posix.system"),
        (script(), "TorchScript"),
        ((20).to_bytes(8, "little") + b'{"a": {}}' + b" " * 40, "safetensors"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unreadable_files_are_named(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    with pytest.raises(AppError) as caught:
        read_pickle(path)
    assert words in caught.value.message
    assert "x.pt" in caught.value.message
    assert caught.value.hint


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.pt"):
        with pytest.raises(AppError, match="not a file"):
            read_pickle(path)
