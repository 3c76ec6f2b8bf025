"""Downloading a model from a Hub that lives in this process: chosen files, progress, resume, later offline."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = bytes(range(256)) * (24 << 12)  # 24 MiB: the client works in pieces of 10
FILES = {
    "model_index.json": b"{}",
    "README.md": b"read me",
    "unet/config.json": b"{ }",
    "unet/diffusion_pytorch_model.safetensors": WEIGHTS,
    "unet/diffusion_pytorch_model.bin": b"another copy",
    "vae/diffusion_pytorch_model.safetensors": b"vae",
    "text_encoder/model.safetensors": b"text",
    "tokenizer/vocab.json": b"{  }",
}
PROGRAM = """
import json, sys
from trainer.base_model.hub import download_model
from trainer.errors import AppError
seen = []
try:
    print(json.dumps([str(download_model(sys.argv[1], lambda done, total: seen.append([done, total]))), seen[-1:]]))
except AppError as error:
    print(json.dumps(["AppError", str(error)]))
"""


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub's interface as the client asks for. Breaks off `break_at` bytes into the weights, once."""

    protocol_version = "HTTP/1.1"
    break_at: int | None = None
    asked: list[tuple[str, str | None]]

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/api/models/o/n/tree"):
            return self.send_json(
                [{"type": "file", "path": n, "size": len(d), "oid": oid(d)} for n, d in FILES.items()]
            )
        if path.startswith("/api/models/o/n"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in FILES.items()]
            return self.send_json({"id": "o/n", "sha": COMMIT, "siblings": siblings, "tags": [], "private": False})
        name = path.removeprefix(f"/o/n/resolve/{COMMIT}/").removeprefix("/o/n/resolve/main/")
        if name not in FILES:
            return self.send_json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        return self.send_file(name, body)

    def send_json(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for key, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def send_file(self, name: str, body: bool) -> None:
        data, wanted = FILES[name], self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if body:
            self.asked.append((name, wanted))
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{oid(data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if not body:
            return
        if data is WEIGHTS and Hub.break_at is not None:
            self.wfile.write(data[start : Hub.break_at])
            self.wfile.flush()
            Hub.break_at = None
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data[start:])


def oid(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub_url() -> Iterator[str]:
    Hub.asked, Hub.break_at = [], None
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def fetch(name: str, url: str, home: Path, offline: bool = False) -> list[object]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_OFFLINE": str(int(offline)), "NO_PROXY": "127.0.0.1",
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "5",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout, done.stderr
    found: list[object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_download_takes_what_is_needed_and_is_there_offline_later(hub_url: str, tmp_path: Path) -> None:
    folder, progress = fetch("o/n", hub_url, tmp_path)
    present = {str(path.relative_to(str(folder))) for path in Path(str(folder)).rglob("*") if path.is_file()}
    assert present == set(FILES) - {"README.md", "unet/diffusion_pytorch_model.bin"}
    assert (Path(str(folder)) / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == WEIGHTS
    total = sum(len(FILES[name]) for name in present)
    assert progress == [[total, total]]
    assert fetch("o/n", hub_url, tmp_path, offline=True)[0] == folder
    assert fetch("o/n/unet/diffusion_pytorch_model.safetensors", hub_url, tmp_path)[0] == (
        f"{folder}/unet/diffusion_pytorch_model.safetensors"
    )


def test_a_dropped_connection_goes_on_where_it_stopped(hub_url: str, tmp_path: Path) -> None:
    Hub.break_at = 15_000_000
    folder = fetch("o/n", hub_url, tmp_path)[0]
    assert ("unet/diffusion_pytorch_model.safetensors", f"bytes={10 << 20}-") in Hub.asked
    assert (Path(str(folder)) / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == WEIGHTS
    Hub.asked.clear()
    assert fetch("o/n", hub_url, tmp_path)[0] == folder
    assert Hub.asked == [], "complete files were fetched again"


def test_without_a_network_the_needed_files_are_named(tmp_path: Path) -> None:
    title, text = fetch("o/n", "http://127.0.0.1:9", tmp_path, offline=True)
    assert title == "AppError"
    assert "unet/" in str(text)
    assert "--model FOLDER" in str(text)


def test_an_unknown_repository_is_named(hub_url: str, tmp_path: Path) -> None:
    title, text = fetch("o/other", hub_url, tmp_path)
    assert title == "AppError"
    assert "No such model" in str(text)
    assert "o/other" in str(text)
