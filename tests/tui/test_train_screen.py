"""Train, walked by keys alone, on runs written by hand: what it shows."""

from pathlib import Path

import pytest

from tests.tui.stories import HOSTILE, Story
from tests.tui.walk import LARGE, SMALL, Walker, open_run, walk
from trainer.run.lock import RunLock


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


def test_slowness_is_told_with_its_factor(live: Story) -> None:
    live.train(6, 1.26).until_now()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ gollum")
        await walker.press("enter")
        await walker.sees("3.0 times slower than its own median")

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
