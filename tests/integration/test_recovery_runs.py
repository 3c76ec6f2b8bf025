"""A real run on the demo model that is held below a limit makes itself fit."""

from pathlib import Path

from tests.support.projects import events, make_run, photo_project, run_to_end
from trainer.recovery.changes import effective_config
from trainer.run.status import Status, glance

LIMIT_BYTES = 38 << 20
"""Room for two pictures at once, not for four."""


def test_under_a_limit_the_probe_finds_the_rung_before_a_step_is_spent(tmp_path: Path) -> None:
    project = photo_project(tmp_path)
    large = {"training": {"steps": 2, "batch_size": 8}, "preview": {"every": 0}, "validation": {"every": 0}}
    folder = make_run(project, large, {"memory": {"vram_limit": "38MiB"}})
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    told = events(folder, "recovering")
    assert told
    for event in told:
        assert (event["why"], event["step"], event["by"]) == ("memory", 0, "policy")
        assert "during probe" in event["message"]
        assert event["details"]["limit_bytes"] == LIMIT_BYTES
        assert event["details"]["live_bytes"] + event["details"]["asked_bytes"] > LIMIT_BYTES
    assert [event["step"] for event in events(folder, "step")] == [1, 2]
    config = effective_config(folder)
    assert 0 < config.memory.micro_batch < 8
    assert config.training.batch_size == 8
    assert glance(folder).status is Status.FINISHED


def test_a_limit_that_holds_the_chosen_rung_holds_the_whole_run_the_reading_of_the_model_too(tmp_path: Path) -> None:
    project = photo_project(tmp_path)
    short = {"training": {"steps": 2, "batch_size": 4}, "preview": {"every": 0}, "validation": {"every": 0}}
    limit = {"memory": {"vram_limit": "16MiB", "offload": "all", "optimizer_on_host": True}}
    folder = make_run(project, short, limit, {"memory": {"rung": "pinned", "gradient_checkpointing": True}})
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    assert events(folder, "recovering") == []
