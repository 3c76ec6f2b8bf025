"""Plans of a project on a card of any size."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer.devices import Gauges, Gpu
from trainer.memory import Plan, make_plan
from trainer.memory import plan as plan_module
from trainer.memory import target as target_module
from trainer.memory.table import load_table
from trainer.project import Project, create_project

GIB = 1 << 30
CARD = "NVIDIA GeForce RTX 3060"
MakePlan = Callable[..., Plan]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "pictures").mkdir()
    made = create_project("gollum", tmp_path / "pictures", "model.safetensors", "tutorial", tmp_path / "gollum")
    processed = made.root / "processed"
    processed.mkdir()
    for number in range(20):
        (processed / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return made


@pytest.fixture
def plan_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> MakePlan:
    """Plans the project for a card with so much free memory (None: no card), with settings changed."""

    def make(free_gib: float | None = 11.0, family: str = "sd1", **over: Any) -> Plan:
        cards = (
            () if free_gib is None else (Gpu(0, CARD, vram_free_bytes=int(free_gib * GIB), vram_total_bytes=12 * GIB),)
        )
        gauges = Gauges(cards, ram_used_bytes=2 * GIB, ram_total_bytes=16 * GIB, disk_free_bytes=200 * GIB)
        monkeypatch.setattr(plan_module, "read_gauges", lambda disk: gauges)
        monkeypatch.setattr(plan_module, "architecture_of", lambda path: load_table()[family])
        monkeypatch.setattr(target_module, "_torch_has_cuda", lambda: True)
        return make_plan(project, project.settings(over))

    return make
