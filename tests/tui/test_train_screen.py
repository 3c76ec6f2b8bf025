"""Train, walked by keys alone, on runs written by hand."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.stories import HOSTILE, Story, long_story, make_project
from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.run.facts import StepPoint
from trainer.run.lock import RunLock
from trainer.run.series import Series
from trainer.run.state import RunState
from tui import jobs
from tui.screens.train import TrainScreen
from tui.screens.train_edit import edit_fields
from tui.widgets.dialogs import Edit


@pytest.fixture
def root(projects: Path) -> Path:
    make_project(projects, "gollum", crops=2, captions=2)
    return projects / "gollum"


@pytest.fixture
def live(root: Path) -> Iterator[Story]:
    story = long_story(root)
    with RunLock(story.folder):
        yield story


def commands(story: Story) -> list[dict[str, str]]:
    return [json.loads(path.read_text()) for path in sorted(story.folder.control.glob("*.json"))]


async def open_run(walker: Walker) -> None:
    await walker.sees("▸ gollum")
    await walker.press("enter")
    await walker.sees("step 1,240 / 2,000", "12 of 12")


@pytest.mark.parametrize("size", [SMALL, LARGE, (100, 30), (200, 60)])
def test_a_live_run_shows_all_that_matters(live: Story, size: tuple[int, int]) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        frame = await walker.sees("GPU   n/a   VRAM n/a", "heat n/a  power n/a", "RAM ", "GiB free")
        assert frame.startswith("  gollum  running  step 1,240 / 2,000  ██")
        assert "left" in frame.splitlines()[0]
        assert "loss 0.11" in frame
        assert "x held out 11.8%, B 12.0% at 700" in frame
        assert "0.42 s a step   learning rate 6.1e-6" in frame
        assert "verdict at step 1,200: Learning." in frame
        assert "step 1,200 · seed 42" in frame
        assert "saved hypernetworks/gollum-1200.pt at step 1,200" in frame
        assert frame.count("▀") > 40
        assert any("⠒" <= c < "⣿" for c in frame)
        edge = walker.app.screen.query_one("#curve").region.right
        plot = [row[:edge] for row in frame.splitlines() if "│" in row or "┤" in row]
        assert sum(row.count("B") for row in plot) == 1
        assert walker.rows()[-1] == "  p pause  s save  v preview  e edit  x stop  Ctrl+Q leave (the run goes on)"

    walk(body, size)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_run_whose_only_validation_is_that_before_the_first_step_is_drawn(root: Path, steps: int) -> None:
    story = Story(root, 40).validate(1.0).train(steps).until_now()

    async def body(walker: Walker) -> None:
        with RunLock(story.folder):
            await walker.sees("▸ gollum")
            await walker.press("enter")
            await walker.sees(f"gollum  running  step {steps} / 40", "├100%", "└")

    walk(body)


def test_before_the_first_step_the_plot_says_what_the_run_does_until_then(root: Path) -> None:
    story = Story(root, 40).until_now()

    async def body(walker: Walker) -> None:
        with RunLock(story.folder):
            await walker.sees("▸ gollum")
            await walker.press("enter")
            await walker.sees("The loss is drawn here from the first step on.")
            story.train(2).until_now()
            await walker.misses("The loss is drawn here")

    walk(body)


def test_new_events_appear_and_space_freezes_the_display_only(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        live.train(5).until_now()
        await walker.sees("step 1,245 / 2,000")
        await walker.press("space")
        await walker.sees("display frozen")
        live.train(5).until_now()
        live.tell("warning", message="later")
        await walker.press("l")
        await walker.sees("warning: later")
        await walker.press("escape")
        await walker.sees("display frozen", "step 1,245 / 2,000")
        await walker.press("space")
        await walker.sees("step 1,250 / 2,000")
        await walker.misses("display frozen")

    walk(body)


def test_a_log_that_cannot_be_read_is_told_once_and_read_again_when_that_is_closed(live: Story) -> None:
    aside = live.folder.events_file.with_suffix(".aside")

    async def body(walker: Walker) -> None:
        await open_run(walker)
        live.folder.events_file.rename(aside)
        live.folder.events_file.mkdir()
        await walker.sees("Cannot read the run's log", "It is read again when this is closed.")
        live.folder.events_file.rmdir()
        aside.rename(live.folder.events_file)
        live.train(5).until_now()
        await walker.press("escape")
        await walker.sees("step 1,245 / 2,000")
        await walker.misses("Cannot read")

    walk(body)


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
        await walker.press("backspace", "9", "enter")
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


def test_earlier_previews_are_found_with_the_arrows(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.press("right")
        await walker.sees("This is the newest preview.")
        await walker.press("left", "left")
        await walker.sees("step 1,000 · seed 42", "10 of 12")
        live.train(60).preview().until_now()
        await walker.sees("10 of 13", "step 1,000")
        await walker.press("right", "right", "right")
        await walker.sees("step 1,300 · seed 42", "13 of 13")

    walk(body)


def test_a_preview_that_cannot_be_read_is_said_to_be_so(live: Story) -> None:
    (live.folder.images / "gollum-1100.png").write_bytes(b"\x89PNG no")

    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.press("left")
        await walker.sees("step 1,100: can't be read", "11 of 12")

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


def test_slowness_is_told_with_its_factor(live: Story) -> None:
    live.train(6, 1.26).until_now()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ gollum")
        await walker.press("enter")
        await walker.sees("3.0 times slower than its own median")

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


def test_log_help_and_palette_open_and_close_by_keys(live: Story) -> None:
    live.folder.worker_log.write_text("Traceback \x1b[31m[bold]\n")

    async def body(walker: Walker) -> None:
        await open_run(walker)
        await walker.press("l")
        await walker.sees("the run's story", "saved hypernetworks/gollum-1200.pt at step 1,200")
        await walker.press("w")
        await walker.sees(r"Traceback \x1b[31m[bold]", "w the story")
        await walker.press("escape", "f1")
        await walker.sees("Help", "How a run goes", "Pause after the present step")
        await walker.press("escape", "ctrl+p")
        await walker.sees("Search for commands")
        await walker.type("freeze")
        await walker.sees("the run is not touched")
        await walker.press("enter")
        await walker.sees("display frozen")

    walk(body)


def test_without_colour_everything_is_said_in_words_and_shades(live: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def body(walker: Walker) -> None:
        await open_run(walker)
        frame = await walker.sees("gollum  running", "x held out")
        assert "▀" not in frame
        assert frame.count("-") > 20
        await walker.press("x")
        await walker.sees("Stop the run?")
        assert walker.app.focused is not None
        assert walker.app.focused.rich_style.reverse
        await walker.press("n", "escape")
        await walker.sees("▸ gollum")

    walk(body)


def test_ascii_sends_nothing_else(live: Story) -> None:
    live.tell("warning", message=HOSTILE)

    async def body(walker: Walker) -> None:
        await walker.sees("> gollum")
        await walker.press("enter")
        await walker.sees("1,240 / 2,000", "12 of 12", "warning: [bold]x[/]")
        assert walker.frame.isascii()
        await walker.press("ctrl+p")
        await walker.sees("Search for commands")
        assert walker.frame.isascii()

    walk(body, ascii_only=True)


def test_hostile_texts_are_shown_and_do_nothing(root: Path, projects: Path) -> None:
    story = Story(root, 500)
    story.tell("phase", name=HOSTILE, done=1, total=9)
    story.tell("preview", step=1, path="../../../../../../etc/passwd", seconds=HOSTILE)
    story.train(3)
    story.tell("preview", step=3, path=f"../../{HOSTILE}", seconds=None)
    story.tell("question", id="a", text=HOSTILE, choices=[HOSTILE, "b"], default="b")
    story.until_now()
    wild = projects / "[red]\u202ex"
    wild.mkdir()
    (wild / "project.toml").write_text('name = "[red]\\u001b[31m"\npictures = ""\n')

    async def body(walker: Walker) -> None:
        await walker.sees("▸ gollum", "needs you", r"[red]\x1b[31m", r"[bold]x[/] [/] \x1b[31m\x07 \u202e\n")
        await walker.press("enter")
        await walker.sees("needs you", r"1  [bold]x[/] [/] \x1b", "2  b", "best", "waits for your answer")
        await walker.press("escape")
        await walker.sees("gollum  needs you", r"[bold]x[/] [/] \x1b[31m\x07 \u202e\n")
        frame = await walker.sees("step 3: can't be read")
        assert "\x1b" not in frame
        assert "\u202e" not in frame
        assert "a answer" in walker.rows()[-1]
        await walker.press("l")
        await walker.sees("question: [bold]x[/]")

    with RunLock(story.folder):
        walk(body)


def test_any_size_works_and_can_change_at_any_time(live: Story) -> None:
    async def body(walker: Walker) -> None:
        await open_run(walker)
        for size in [(40, 8), (200, 60), (20, 5), (100, 30), (80, 24)]:
            await walker.resize(*size)
            await walker.until(
                lambda: walker.rows()[0].startswith("  gollum") and "pause" in " ".join(walker.rows()[-2:])
            )
        await walker.sees("12 of 12", "Ctrl+Q leave (the run goes on)")
        await walker.press("escape")
        for size in [(40, 8), (20, 5), (80, 24)]:
            await walker.resize(*size)
        await walker.sees("▸ gollum  running  step 1,240 / 2,000")

    walk(body)


def test_before_the_first_step_it_says_what_takes_its_time(root: Path) -> None:
    story = Story(root, 500).until_now()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ gollum")
        await walker.press("enter")
        await walker.sees("No step yet: the loss is measured, then a preview drawn, to compare with.")
        story.until_now()
        story.tell("validated", step=0, held_out=1.0, training=1.0, best=False, best_step=None)
        await walker.sees("No step yet: a preview is drawn, to compare with.")

    with RunLock(story.folder):
        walk(body)
