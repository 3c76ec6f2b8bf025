"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of files and numbers produced by AUTOMATIC1111 itself, beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "conformance"
    if not folder.is_dir():
        pytest.skip("the conformance set (../shared/conformance) is not beside this checkout")
    return folder


@pytest.fixture(autouse=True)
def own_user_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test its own cache and configuration folders."""
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
