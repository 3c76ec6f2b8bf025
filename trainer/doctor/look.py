"""Taking the readings that the doctor judges; each function blocks, `look_at_torch` for seconds."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from trainer.devices import driver_version, read_gauges
from trainer.doctor.findings import (
    Finding,
    captioners_finding,
    card_findings,
    extras_findings,
    logout_finding,
    machine_findings,
    models_finding,
    terminal_findings,
    torch_finding,
)
from trainer.errors import AppError

TORCH_S = 120.0
PACKAGE = "hypernet-wizard"
_REQUIREMENT = re.compile(r"""^([\w.-]+).*;.*\bextra == ["']([\w-]+)["']""")
_ONLY_FOR_TESTS = "test"


def look_at_machine() -> list[Finding]:
    """Look at all but torch and the terminal."""
    from trainer.base_model.find import MODELS_BELOW_A1111, find_a1111_folders, find_models
    from trainer.project import projects_root
    from trainer.run.launch import logout_warning

    root = projects_root()
    gauges = read_gauges(disk=next(path for path in (root, *root.parents) if path.exists()))
    a1111 = find_a1111_folders()
    models = find_models(folders=[place / MODELS_BELOW_A1111 for place in a1111])
    extras = optional_packages()
    return [
        *card_findings(gauges, driver_version()),
        *machine_findings(gauges, str(root)),
        logout_finding(logout_warning()),
        models_finding(
            [str(model.path) for model in models],
            [str(folder) for folder in a1111],
            _problem_of(models[0].path) if models else "",
        ),
        *extras_findings(extras, [name for names in extras.values() for name in names if not is_installed(name)]),
    ]


def _problem_of(model: Path) -> str:
    from trainer.memory.recognise import architecture_of

    try:
        architecture_of(model)
    except AppError as error:
        return f"{error.message} {error.hint}".strip()
    return ""


def look_at_captioners() -> Finding:
    """Look which captioners' models are here."""
    from trainer.captions.captioners import list_captioners

    return captioners_finding({info.name: info.standing for info in list_captioners()})


def look_at_torch() -> Finding:
    """Ask torch in a process of its own."""
    has_cards = bool(read_gauges().gpus)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "trainer.doctor.torch_facts"],
            capture_output=True,
            text=True,
            timeout=TORCH_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        facts = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return torch_finding({"error": f"it took longer than {TORCH_S:.0f} s"}, has_cards)
    except (OSError, ValueError, IndexError):
        # Whatever ended it, an abort in a driver for instance, it printed no line of facts.
        return torch_finding(None, has_cards)
    return torch_finding(facts if isinstance(facts, dict) else None, has_cards)


def look_at_terminal(environment: Mapping[str, str], size: tuple[int, int] | None = None) -> list[Finding]:
    """Look at the terminal.

    Args:
        environment: Variables, as they were before the wizard took any of them away.
        size: Columns and rows; asked of the system when left out.
    """
    # Not sys.stdout, which the wizard replaces while it runs.
    encoding = getattr(sys.__stdout__, "encoding", None) or "ascii"
    return terminal_findings(environment, size or _size(), encoding)


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    return size.columns, size.lines


def optional_packages(distribution: str = PACKAGE) -> dict[str, list[str]]:
    """Return the packages of each extra, as the installed distribution names them."""
    try:
        told = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return {}
    found: dict[str, list[str]] = {}
    for package, extra in (match.groups() for match in map(_REQUIREMENT.match, told) if match):
        if extra != _ONLY_FOR_TESTS:
            found.setdefault(extra, []).append(package)
    return found


def is_installed(package: str) -> bool:
    """Tell whether a distribution is there."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def versions() -> dict[str, str]:
    """Return the versions of what matters most, where they are installed."""
    names = ("torch", "diffusers", "transformers", "pillow")
    return {name: metadata.version(name) for name in names if is_installed(name)}


def whole_environment() -> dict[str, str]:
    """Return this process's variables."""
    return dict(os.environ)
