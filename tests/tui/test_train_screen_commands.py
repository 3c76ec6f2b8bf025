"""Train, walked by keys alone, on runs written by hand: what a run is told to do."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tui.stories import Story, long_story
from tests.tui.walk import Walker, open_run, walk
from trainer.run.facts import StepPoint
from trainer.run.lock import RunLock
from trainer.run.series import Series
from trainer.run.state import RunState
from tui import jobs
from tui.screens.train import TrainScreen
from tui.screens.train_edit import edit_fields
from tui.widgets.dialogs import Edit


def commands(story: Story) -> list[dict[str, str]]:
    return [json.loads(path.read_text()) for path in sorted(story.folder.control.glob("*.json"))]


def test_commands_go_to_the_worker_and_wait_for_its_word(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.press("s")
        await walker.sees("Sent to the worker: save. It obeys between steps.")
        live.tell("ack", id=next(live.folder.control.glob("*.json")).stem, command="save")
        await walker.misses("Sent to the worker")
        await walker.press("v", "p")
        await walker.until(lambda: len(commands(live)) == 3)
        live.tell("paused", step=1240)
        await walker.sees("gollum  paused", "p go on")
        await walker.press("r")
        await walker.sees("It is paused: p lets it go on.")
        await walker.press("p")
        await walker.until(lambda: len(commands(live)) == 4)

    walk(body)
    assert {tuple(command.values()) for command in commands(live)} == {("save",), ("preview",), ("pause",), ("resume",)}


def test_a_second_p_takes_the_first_back_before_the_worker_has_obeyed_it(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.press("p")
        await walker.sees("p go on")
        await walker.press("p")
        await walker.sees("p pause")
        await walker.press("p")
        await walker.until(lambda: len(commands(live)) == 3)
        live.tell("paused", step=1240)
        await walker.sees("gollum  paused", "p go on")
        live.tell("resumed", step=1240)
        await walker.sees("gollum  running", "p pause")

    walk(body)
    assert [command["command"] for command in commands(live)] == ["pause", "resume", "pause"]


def test_a_worker_without_a_sign_of_life_is_killed_and_its_run_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.run.status.STALLED_S", 30.0)
    story = long_story(root)
    holds = (
        "import sys, time; from pathlib import Path; from trainer.run.folder import RunFolder; "
        "from trainer.run.lock import RunLock; lock = RunLock(RunFolder(Path(sys.argv[1]))); lock.__enter__(); "
        "print('held', flush=True); time.sleep(600)"
    )
    worker = subprocess.Popen([sys.executable, "-c", holds, str(story.folder.path)], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"held\n"
    story.clock.now = time.time() - 120
    story.tell("heartbeat")

    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.sees("No sign of life from the worker. If it stays so: x kills it.")
        await walker.press("x")
        await walker.sees("Kill the worker?", "no sign of life")
        await walker.press("y")
        await walker.sees("gollum  lost", "r resume")

    try:
        walk(body)
        assert worker.wait(10) == -signal.SIGKILL
    finally:
        worker.kill()


def test_stopping_asks_and_the_harmless_answer_has_the_focus(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.press("x")
        await walker.sees("Stop the run?", "It saves at the step it has reached by then, and ends.")
        await walker.press("enter")
        await walker.misses("Stop the run?")
        await walker.press("x")
        await walker.sees("Stop the run?")
        await walker.press("y")
        await walker.until(lambda: commands(live) == [{"command": "stop"}])
        live.tell("ack", id=next(live.folder.control.glob("*.json")).stem, command="stop")
        live.tell("stopping")
        await walker.sees("gollum  stopping", "Stopping: it leaves off what it is doing, saves at step 1,240 and ends.")
        await walker.press("p", "x")
        await walker.sees("The run is stopping.")
        await walker.press("escape")
        await walker.sees("gollum  stopping  step 1,240 / 2,000")

    walk(body)
    assert len(commands(live)) == 1


def test_the_learning_rate_is_checked_where_it_is_typed_and_only_changes_are_sent(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.press("e")
        await walker.sees("Change from the next step on", "1e-5", "a portrait of gollum")
        await walker.press("f1")
        await walker.sees("Help", "How a run goes", "Ctrl+N  accept: Take over what is written here")
        await walker.press("f1")
        await walker.misses("How a run goes")
        await walker.press("backspace", "x", "enter")
        await walker.sees("Type a number such as 1e-5")
        assert commands(live) == []
        await walker.press("backspace", "6")
        await walker.misses("Type a number such as 1e-5")
        await walker.press("tab")
        await walker.press("ctrl+n")
        await walker.until(lambda: commands(live) == [{"command": "set_learning_rate", "value": "1e-6"}])

    walk(body)


def test_a_rate_that_ruins_the_network_or_is_past_is_remarked_on_and_none_is_refused(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.press("e", *["backspace"] * 4)
        await walker.type("50")
        await walker.sees("! 50 ruins any network at once; 1e-5 is usual.")
        await walker.press("backspace", "backspace")
        await walker.type("5e-5:100, 5e-6")
        await walker.sees("! 5e-5 ends at step 100, which is past; 5e-6 holds at once.")
        await walker.press(*["backspace"] * len(", 5e-6"), "enter")
        await walker.sees("holds no rate for the steps to come")
        await walker.press(*["backspace"] * len("5e-5:100"), "0", "enter")
        await walker.sees("needs rates above 0, as nothing is learned at 0.")
        await walker.press("backspace", "9", "ctrl+n")
        await walker.until(lambda: commands(live) == [{"command": "set_learning_rate", "value": "9"}])

    walk(body)


def test_a_rate_that_is_typed_over_a_falling_one_says_that_it_holds_as_it_is() -> None:
    state = RunState(points=Series([StepPoint(5, 0.1, 0.1, 2.9e-3, None, None, None, 0.0)]), steps_total=100)
    values = {"set_learning_rate": "3e-3", "set_preview_prompt": ""}
    rate = edit_fields(values, 64, lambda: state, True)[0]
    assert "now 0.0029; what is typed holds as it is" in rate.remark("1e-3")
    assert rate.remark("3e-3") == ""
    assert edit_fields(values, 64, lambda: state, False)[0].remark("1e-3") == ""


def test_a_second_key_on_its_way_closes_one_dialog_or_screen_only(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        for keys in (("enter", "enter"), ("escape", "escape")):
            await walker.press("e")
            await walker.sees("Change from the next step on")
            dialog = walker.app.screen
            assert isinstance(dialog, Edit)
            for _ in keys:
                (dialog.action_accept if keys[0] == "enter" else dialog.action_cancel)()
            await walker.misses("Change from the next step on")
            await walker.sees("gollum  running")
        train = walker.app.screen
        assert isinstance(train, TrainScreen)
        train.action_back(), train.action_back()
        await walker.sees("▸ gollum")

    walk(body)


def test_a_pause_asked_for_while_the_run_loads_is_told_until_it_is_in_effect(root: Path) -> None:
    story = Story(root, 500)
    story.tell("phase", name="latents", done=3, total=12)
    story.until_now()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ gollum")
        await walker.press("enter")
        await walker.sees("gollum  running  latents 3/12", "p pause")
        await walker.press("p")
        await walker.sees("gollum  pausing  latents 3/12", "Sent to the worker: pause. It obeys before the first step.")
        story.tell("ack", id=next(story.folder.control.glob("*.json")).stem, command="pause")
        story.tell("paused", step=0)
        await walker.sees("gollum  paused", "p go on")

    with RunLock(story.folder):
        walk(body)


def test_a_failed_run_says_what_to_do_and_can_be_resumed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(root, 500).train(120)
    story.tell("failed", error="Out of memory", message="Tried to allocate 1.20 GiB", hint="Set data.size=384.")
    resumed: list[bool] = []
    monkeypatch.setattr(jobs, "resume", lambda folder, unpinned: resumed.append(unpinned))
    monkeypatch.setattr(jobs, "watch_start", lambda folder, cancelled: None)

    async def body(walker: Walker) -> None:
        await walker.sees("needs you", "out of memory at step 120")
        await walker.press("enter")
        await walker.sees("gollum  out of memory  step 120 / 500", "Out of memory. Tried to allocate 1.20 GiB.")
        frame = await walker.sees("Set data.size=384. r goes on from the last state.")
        assert "GPU" not in frame
        assert walker.rows()[-1] == "  r resume  u results  l log  Esc back  F1 help  Ctrl+Q leave"
        await walker.press("p")
        await walker.sees("The run is out of memory; r goes on.")
        await walker.press("space")
        await walker.sees("display frozen")
        await walker.press("r")
        await walker.until(lambda: resumed == [False])
        await walker.misses("display frozen")
        with open(story.folder.config_file, "a") as file:
            file.write('[memory]\nrung = "pinned"\n')
        await walker.press("r")
        await walker.sees("Let the run take less memory?", "memory.rung is pinned")
        await walker.press("n")
        await walker.misses("Let the run take less memory?")
        await walker.press("r")
        await walker.sees("Let the run take less memory?")
        await walker.press("y")
        await walker.until(lambda: resumed == [False, True])

    walk(body)
