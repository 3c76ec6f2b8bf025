"""Real workers on the rungs of the memory ladder: the same training, in less memory."""

from typing import Any

import pytest

from tests.support.projects import events, losses, make_run, photo_project, run_to_end
from trainer.project import Project

SHORT: dict[str, Any] = {"training": {"steps": 4, "batch_size": 2}, "save": {"every": 0}, "preview": {"every": 4}}
LOWVRAM = {"gradient_checkpointing": True, "offload": "all", "optimizer_on_host": True, "micro_batch": 1}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("rungs"))


def curve(project: Project, **memory: Any) -> dict[int, float]:
    folder = make_run(project, SHORT, {"memory": memory})
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    assert len(events(folder, "preview")) == 2  # before and after: drawn with the very same storage
    return losses(folder)


def test_each_rung_has_the_loss_curve_of_full(project: Project) -> None:
    full = curve(project)
    assert curve(project, **LOWVRAM) == pytest.approx(full, rel=1e-4)
    assert curve(project, weights="8bit") == pytest.approx(full, rel=0.01)
