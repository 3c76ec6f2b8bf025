"""A real run on the demo model that is answered, changed and resumed from the command line."""

import json
from pathlib import Path

import pytest

from tests.support.commands import hypernet
from tests.support.projects import events, make_run, photo_project, wait_for_event
from tests.support.warm import start
from trainer.recovery.changes import effective_config, read_changes
from trainer.run.lock import is_held, kill_worker
from trainer.run.status import glance


def test_the_command_line_answers_and_changes_a_run_that_is_computed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    bare = {"preview": {"every": 0}, "validation": {"every": 0}, "save": {"every": 0}}
    asking = {"recovery": {"on_oom": "ask", "answer_s": 600}}
    folder = make_run(photo_project(tmp_path, 4), {"training": {"steps": 5000, "batch_size": 4}}, bare, asking)
    (folder.path / "injuries.json").write_text(json.dumps([[["trainer.training:StepGuard.begin", "memory", 3]]]))
    process = start(folder.path, folder.worker_log, "injured_worker")
    request.addfinalizer(process.kill)
    run = str(folder.path)
    question = wait_for_event(folder, "question")
    assert (question["step"], question["choices"]) == (2, ["micro-batch", "checkpointing", "medvram", "stop"])
    shown = hypernet(capfd, "answer", run).out
    assert "Gradient checkpointing (" in shown
    assert "()" not in shown
    assert hypernet(capfd, "answer", run, "checkpointing").code == 0
    wait_for_event(folder, "step", lambda event: event["step"] == 3)
    by_rung = events(folder, "recovering")[-1]["changes"]
    assert by_rung["memory.gradient_checkpointing"] == "true"

    refused = hypernet(capfd, "set", run, "--set", "optimizer.learning_rate=1")
    assert refused.code == 1
    assert "memory.*" in refused.said
    assert hypernet(capfd, "set", run, "--set", "memory.micro_batch=2").code == 0
    told = wait_for_event(folder, "recovering", lambda event: event["why"] == "user")
    assert told["changes"] == {"memory.micro_batch": "2"}
    wait_for_event(folder, "step", lambda event: event["step"] > told["step"])
    assert hypernet(capfd, "stop", run).code == 0
    process.join(240)
    assert process.exitcode == 0

    stopped = glance(folder).state.step
    changed = ["--set", "memory.gradient_checkpointing=false", "--set", "memory.micro_batch=0"]
    assert hypernet(capfd, "resume", run, *changed).code == 0
    request.addfinalizer(lambda: is_held(folder) and kill_worker(folder))
    wait_for_event(folder, "step", lambda event: event["step"] > stopped)
    assert hypernet(capfd, "stop", run).code == 0
    wait_for_event(folder, "stopped", lambda event: event["step"] > stopped)
    steps = [event["step"] for event in events(folder, "step")]
    assert steps == list(range(1, len(steps) + 1)), "no step was lost or made twice"
    assert [dict(change.settings) for change in read_changes(folder)] == [
        by_rung,
        {"memory.micro_batch": "2"},
        {"memory.gradient_checkpointing": "false", "memory.micro_batch": "0"},
    ]
    config = effective_config(folder)
    assert (config.memory.gradient_checkpointing, config.memory.micro_batch) == (False, 0)
    assert config.training.batch_size == 4
