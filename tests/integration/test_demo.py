"""The demo from end to end: one command trains a hypernetwork that visibly and measurably carries the style.

No single figure is believed: a wrecked network has many edges, and an untrained one obeys every prompt.
Only held-out loss, effect and prompt fidelity together say that training worked.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.support.projects import events, make_run, run_to_end
from trainer.demo.assets import demo_model_dir
from trainer.demo.evaluate import draw_scenes, single_scenes
from trainer.demo.judge import edge_energy, fidelity, out_of_range
from trainer.demo.sampling import load_demo_model
from trainer.hypernetwork import attach, load
from trainer.project import open_project
from trainer.run.events import read_events
from trainer.run.folder import RunFolder, find_runs
from trainer.run.state import replay
from trainer.verdict import Standing, Verdict, judge_training

SCENES = single_scenes(24, seed=3)


@dataclass(frozen=True)
class Figures:
    """What the judge sees of the pictures of all scenes."""

    edges: float
    colour: float
    shape: float
    out_of_range: float


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The projects' folder after `hypernet demo`, and what the command said."""
    root = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "trainer.cli.main", "demo"],
        env={**os.environ, "HYPERNET_PROJECTS": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root, done.stdout


def the_run(root: Path) -> RunFolder:
    return find_runs(root / "demo")[0]


def pictures(network: Path | None, strength: float = 1.0, count: int = len(SCENES)) -> torch.Tensor:
    torch.manual_seed(0)
    model = load_demo_model(demo_model_dir())
    networks = [] if network is None else [(load(network), strength)]
    if not networks:
        return draw_scenes(model, SCENES[:count], seed=5, steps=15, guidance=3.0)
    with attach(model.unet, networks), torch.no_grad():
        return draw_scenes(model, SCENES[:count], seed=5, steps=15, guidance=3.0)


def figures(images: torch.Tensor) -> Figures:
    seen = fidelity(images, SCENES)
    return Figures(edge_energy(images), seen["colour"], seen["shape"], out_of_range(images))


def verdict_on(run: RunFolder) -> Verdict:
    return judge_training(replay(read_events(run.events_file)))


def held_out(run: RunFolder) -> float:
    return float(events(run, "validated")[-1]["held_out"])


def carries_the_style(base: Figures, trained: Figures, held_out_loss: float) -> bool:
    """The judgement, its bounds taken over three seeds on these weights (docs/demo-model.md)."""
    effect = trained.edges >= 2.5 * base.edges
    return held_out_loss <= 0.5 and effect and trained.shape >= 0.75 and trained.colour >= 0.6


@pytest.fixture(scope="module")
def base() -> Figures:
    return figures(pictures(None))


def test_the_demo_ends_by_naming_its_files_and_what_to_do(demo: tuple[Path, str]) -> None:
    root, said = demo
    for path in (root / "demo" / "demo.pt", the_run(root).images, the_run(root).hypernetworks):
        assert path.exists()
        assert str(path) in said
    for word in ("eta", "Elapsed", "<hypernet:demo:1>", "models/hypernetworks"):
        assert word in said


def test_the_style_is_learned_and_the_prompt_still_obeyed(demo: tuple[Path, str], base: Figures) -> None:
    root, _ = demo
    trained = figures(pictures(root / "demo" / "demo.pt"))
    assert carries_the_style(base, trained, held_out(the_run(root))), (base, trained, held_out(the_run(root)))


def test_the_verdict_on_the_demo_is_good_and_its_best_step_late(demo: tuple[Path, str]) -> None:
    said = verdict_on(the_run(demo[0]))
    assert said.standing in (Standing.LEARNING, Standing.PLATEAU)
    assert said.best_step is not None
    assert said.best_step >= 250


def test_strength_zero_is_the_base_model(demo: tuple[Path, str]) -> None:
    assert torch.equal(pictures(demo[0] / "demo" / "demo.pt", 0.0, count=4), pictures(None, count=4))


def test_twenty_times_the_rate_fails_the_same_judgement(
    demo: tuple[Path, str], base: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = demo
    monkeypatch.setenv("HYPERNET_PROJECTS", str(root))
    project = open_project("demo")
    rate = float(project.settings().optimizer.learning_rate) * 20
    wrecked = make_run(
        project,
        {
            "optimizer": {"learning_rate": str(rate)},
            "training": {"steps": 80},
            "validation": {"every": 20},
            "health": {"variety_every": 0},
            "preview": {"every": 0},
            "save": {"every": 0},
        },
    )
    assert run_to_end(wrecked) == 0
    ruined = figures(pictures(wrecked.hypernetworks / "demo-80.pt"))
    assert not carries_the_style(base, ruined, held_out(wrecked)), (base, ruined, held_out(wrecked))
    said = verdict_on(wrecked)
    assert said.standing is Standing.COLLAPSED
    assert said.since_step in (20, 40)
    assert said.best_step in (None, 20)
    assert ruined.shape < 0.5
    assert ruined.out_of_range > 2 * base.out_of_range
