"""Opening the wizard: what is imported, and when it is the command line instead."""

import contextlib
import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "diffusers", "transformers", "numpy")


def python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)


def test_nothing_of_the_wizard_imports_a_heavy_library() -> None:
    code = (
        "import importlib, json, pkgutil, sys, tui, tui.app\n"
        "for module in pkgutil.walk_packages(tui.__path__, 'tui.'): importlib.import_module(module.name)\n"
        "import trainer.demo.job, trainer.start\n"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    assert json.loads(python(code).stdout) == []


def test_the_wizard_paints_before_it_imports_what_reads_projects_and_devices() -> None:
    late = ("pydantic", "psutil", "pynvml", "PIL", "trainer.run", "trainer.devices", "tui.jobs")
    code = f"import json, sys, tui.launch; print(json.dumps([name for name in {late} if name in sys.modules]))"
    assert json.loads(python(code).stdout) == []


def test_without_a_terminal_or_with_arguments_it_is_the_command_line() -> None:
    for arguments in ([], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "tui", *arguments],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert "Train Stable Diffusion hypernetworks" in done.stdout + done.stderr
        assert "textual" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "opens"),
    [
        ([], {"ascii_only": False, "demo": False, "images": "blocks"}),
        (["--ascii"], {"ascii_only": True, "demo": False, "images": "blocks"}),
        (["demo"], {"ascii_only": False, "demo": True, "images": "blocks"}),
        (["--images", "auto"], {"ascii_only": False, "demo": False, "images": "auto"}),
        (["demo", "--images=sixel"], {"ascii_only": False, "demo": True, "images": "sixel"}),
        (["demo", "--ascii"], {"ascii_only": True, "demo": True, "images": "blocks"}),
        (["demo", "--headless"], None),
        (["runs"], None),
    ],
)
def test_on_a_terminal_the_demo_and_nothing_else_open_the_wizard(
    arguments: list[str], opens: dict[str, bool] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tui.__main__
    import tui.launch
    from trainer.cli import main

    opened: list[dict[str, object]] = []
    monkeypatch.setattr(sys, "argv", ["hypernet", *arguments])
    monkeypatch.setattr(tui.__main__, "_is_terminal", lambda: True)
    monkeypatch.setattr(tui.launch, "run", lambda **options: opened.append(options) or 0)
    monkeypatch.setattr(main, "run", lambda: opened.append({}))
    with contextlib.suppress(SystemExit):
        tui.__main__.main()
    assert opened == [opens or {}]
