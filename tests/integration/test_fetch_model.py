"""A base model is downloaded for the wizard by a process of its own, from a Hub that lives in this process."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_base_model_hub import WEIGHTS, Hub, hub_url
from trainer.errors import AppError
from tui.fetch import Cancelled, fetch_model

__all__ = ["hub_url"]


@pytest.fixture
def hub(hub_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of somebody whose Hub this is, with an empty cache."""
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", hub_url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return hub_url


def test_what_was_downloaded_is_returned_and_told_as_it_arrives(hub: str) -> None:
    told: list[tuple[int, int]] = []
    folder = fetch_model("o/n", lambda done, total: told.append((done, total)), lambda: False)
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == WEIGHTS
    assert told
    assert all(0 <= done <= total for done, total in told)
    assert told[-1][1] > len(WEIGHTS)


def test_what_can_not_be_had_is_told_as_by_the_command_line(hub: str) -> None:
    with pytest.raises(AppError, match="o/other"):
        fetch_model("o/other", lambda done, total: None, lambda: False)


def test_a_download_ends_when_it_is_cancelled(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, wanted = threading.Event(), threading.Event()
    send_file = Hub.send_file

    def send_slowly(self: Hub, name: str, body: bool) -> None:
        if body:
            wanted.set()
            go_on.wait(60)
        send_file(self, name, body)

    monkeypatch.setattr(Hub, "send_file", send_slowly)
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*args: Any, **options: Any) -> "subprocess.Popen[bytes]":
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    try:
        with pytest.raises(Cancelled):
            fetch_model("o/n", lambda done, total: None, wanted.is_set)
    finally:
        go_on.set()
    assert started[0].returncode is not None, "its process has ended"


def test_a_download_that_dies_is_told(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(AppError, match="ended without a word"):
        fetch_model("o/n", lambda done, total: None, lambda: False)
