"""Results: the best step is chosen at first, compared, and carried away, by keys alone."""

import threading
from pathlib import Path

import pytest
from textual.widgets import Input

from tests.support.verdict_runs import recorded
from tests.tui.stories import Story, make_project
from tests.tui.walk import SMALL, Walker, walk
from trainer.config import RunConfig, config_toml
from trainer.config.model import NetworkSettings
from trainer.errors import AppError
from trainer.hypernetwork.structure import Structure
from trainer.run.folder import RunFolder, find_runs
from tui import carry

WIDE = (160, 48)


def finished_run(projects: Path, scenario: str = "too-many-steps") -> RunFolder:
    """A finished run with a recorded training's validations, and a preview and a checkpoint every 40 steps."""
    story = Story(make_project(projects, "gollum", sources=1, crops=1, captions=1).root, total=1000)
    story.folder.config_file.write_text(config_toml(RunConfig(name="gollum")))
    for event in recorded(scenario):
        if event["kind"] != "validated":
            continue
        story.train(event["step"] - story.step)
        story.tell("validated", **{k: v for k, v in event.items() if k not in ("v", "seq", "t", "kind")})
        if event["step"] % 40 == 0:
            story.preview()
        if event["step"] % 40 == 0 and event["step"]:
            path = story.folder.hypernetworks / f"gollum-{event['step']}.pt"
            path.write_bytes(b"weights")
            story.save()
    story.tell("finished", step=story.step, seconds=420.0, results=[])
    return story.folder


async def write(walker: Walker, text: str) -> None:
    names = {"/": "slash", "-": "minus", "_": "underscore", ".": "full_stop"}
    await walker.press(*(names.get(character, character) for character in text))


async def open_results(walker: Walker) -> str:
    await walker.sees("gollum")
    await walker.press("enter")
    return await walker.sees("Overtraining since step", "★", "<hypernet:gollum:1>")


@pytest.mark.parametrize("size", [SMALL, WIDE])
@pytest.mark.parametrize("colours", [True, False])
def test_enter_on_a_finished_run_shows_verdict_timeline_and_best_step(
    projects: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], colours: bool
) -> None:
    finished_run(projects)
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")

    async def body(walker: Walker) -> None:
        frame = await open_results(walker)
        assert "finished: 1,000 steps" in frame
        assert "▸ 200 ★" in frame
        assert "Use step 200" in frame
        assert "Fetch it: scp" in frame
        assert "gollum-200.pt" in frame.replace("\n  ", "")
        assert "c compare" in walker.rows()[-1]
        assert "Esc back" in walker.rows()[-1]

    walk(body, size)


def test_steps_are_walked_and_two_are_compared_side_by_side(projects: Path) -> None:
    finished_run(projects)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("c")
        await walker.press("right", "right")
        frame = await walker.sees("▸ 280", "gollum-280.pt", "checkpoint gollum-200.pt")
        both = next(row for row in frame.splitlines() if "step 280" in row)
        assert "step 200 ★" in both, "side by side"
        await walker.press("c")
        await walker.misses("checkpoint gollum-200.pt")
        await walker.press("b")
        await walker.sees("▸ 200 ★")
        await walker.press("minus", "minus")
        await walker.sees("<hypernet:gollum:0.8>")
        await walker.press("plus")
        await walker.sees("<hypernet:gollum:0.9>")

    walk(body)


def test_a_step_without_a_preview_says_whose_picture_is_shown_and_one_that_is_broken_says_so(projects: Path) -> None:
    run = finished_run(projects)
    kept = [line for line in run.events_file.read_text().splitlines() if "gollum-200.png" not in line]
    run.events_file.write_text("\n".join(kept) + "\n")
    (run.images / "gollum-240.png").write_bytes(b"\x89PNG no")

    async def body(walker: Walker) -> None:
        frame = await open_results(walker)
        assert "no preview of its own; the picture is of step 160" in frame
        await walker.sees(" no preview ", "unreadable")
        await walker.press("right")
        await walker.sees("can't be read")

    walk(body)


def test_keys_that_cannot_act_say_why(projects: Path) -> None:
    finished_run(projects)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press(*["left"] * 5)
        await walker.sees("▸ 0")
        await walker.press("left")
        await walker.sees("first step there is something of")
        await walker.press("i")
        await walker.sees("no checkpoint; move to one")

    walk(body)


def test_the_line_that_fetches_the_file_is_whole_at_80_columns(projects: Path) -> None:
    run = finished_run(projects)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        place = next(place for place, row in enumerate(walker.rows()) if "Fetch it: scp" in row)
        line = "".join(row.strip() for row in walker.rows()[place:-1])
        assert f":{run.hypernetworks}/gollum-200.ptgollum.pt" in line.replace(" ", "")

    walk(body)


def test_the_tag_and_the_scp_line_are_copied(projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished_run(projects)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 5000 10.0.0.7 2222")

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("y")
        await walker.until(lambda: walker.app.clipboard == "<hypernet:gollum:1>")
        await walker.press("f")
        await walker.until(lambda: walker.app.clipboard.startswith("scp -P 2222 "))
        assert walker.app.clipboard.endswith(f"@10.0.0.7:{run.hypernetworks}/gollum-200.pt gollum.pt")
        # Another step, taken beside it, doesn't replace it.
        await walker.press("left", "y")
        await walker.until(lambda: walker.app.clipboard == "<hypernet:gollum-160:1>")
        await walker.press("f")
        await walker.until(lambda: walker.app.clipboard.endswith("/gollum-160.pt gollum-160.pt"))

    walk(body)


def test_the_best_step_is_installed_and_its_tag_copied(
    projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(projects)
    asked: list[tuple[Path, str, str]] = []

    def install(checkpoint: Path, folder: str, name: str, cancelled: object, *, overwrite: bool) -> carry.Installed:
        if not overwrite:
            raise AppError("Name taken", "gollum.pt is another hypernetwork.", "Take another (--overwrite).")
        asked.append((checkpoint, folder, name))
        return carry.Installed(f"{folder}/gollum.pt", "<hypernet:gollum:1>", False, ("AUTOMATIC1111 applies it.",))

    monkeypatch.setattr(carry, "install", install)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("minus", "minus", "i")
        await walker.sees("Folder of A1111", "Install step 200")
        await walker.press("ctrl+u")
        await write(walker, str(tmp_path))
        await walker.press("enter", "enter")
        await walker.sees("Overwrite it?", "gollum.pt is another hypernetwork.")
        await walker.press("y")
        await walker.sees("Installed", "<hypernet:gollum:0.8>", "(copied", "AUTOMATIC1111 applies it.")
        assert walker.app.clipboard == "<hypernet:gollum:0.8>"
        await walker.press("enter")
        await walker.misses("(copied")

    walk(body)
    assert asked == [(run.hypernetworks / "gollum-200.pt", str(tmp_path), "gollum")]


def test_a_refused_installation_asks_again_with_what_was_typed(projects: Path, tmp_path: Path) -> None:
    finished_run(projects)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("i")
        await walker.sees("Install step 200")
        await walker.press("ctrl+u")
        await write(walker, str(tmp_path))
        await walker.press("tab", "ctrl+u", *"other", "enter")
        await walker.sees("Not an installation")
        await walker.press("enter")
        await walker.sees("Install step 200", "other")
        assert [field.value for field in walker.app.screen.query(Input)] == [str(tmp_path), "other"]

    walk(body)


def test_installing_writes_the_file_and_a_refusal_comes_back_in_words(tmp_path: Path) -> None:
    from trainer.hypernetwork import Hypernetwork, load, save

    checkpoint, program = tmp_path / "gollum-200.pt", tmp_path / "webui"
    save(Hypernetwork.create([8], Structure(), seed=0, name="gollum"), checkpoint)
    (program / "models" / "Stable-diffusion").mkdir(parents=True)
    done = carry.install(checkpoint, str(program), "gollum")
    assert done.tag == "<hypernet:gollum:1>"
    assert Path(done.path) == program / "models" / "hypernetworks" / "gollum.pt"
    assert load(Path(done.path)).name == "gollum"
    assert carry.likely_folder() == str(program)
    save(Hypernetwork.create([8], Structure(), seed=1, name="gollum"), checkpoint)
    with pytest.raises(AppError) as taken:
        carry.install(checkpoint, str(program), "gollum")
    assert carry.offers_overwrite(taken.value)
    assert not carry.install(checkpoint, str(program), "gollum", overwrite=True).was_there
    with pytest.raises(AppError) as refused:
        carry.install(checkpoint, str(tmp_path / "nowhere"), "gollum")
    assert refused.value.title == "Not an installation"
    assert "nowhere" in refused.value.message
    assert refused.value.hint


def test_a_rewind_begins_a_new_run_with_the_rate_asked_for(projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished_run(projects)
    started: list[RunFolder] = []
    monkeypatch.setattr("trainer.rewind.start_worker", started.append)
    monkeypatch.setattr("tui.jobs.watch_start", lambda folder, cancelled: None)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("r")
        await walker.sees("Go on from step 200", "Steps in total")
        await walker.press("ctrl+u")
        await write(walker, "2e-6")
        await walker.press("enter", "enter")
        await walker.sees("step 200 / 2,000")
        await walker.press("escape")

    walk(body)
    assert len(started) == 1
    assert len(find_runs(projects / "gollum")) == 2
    assert 'learning_rate = "2e-6"' in started[0].config_file.read_text()
    assert {path.name for path in started[0].hypernetworks.glob("*.pt")} == {
        f"gollum-{step}.pt" for step in (40, 80, 120, 160, 200)
    }


def test_a_live_run_opens_where_it_is_trained_and_its_results_by_u(projects: Path) -> None:
    story = Story(make_project(projects, "gollum", sources=1, crops=1, captions=1).root)
    story.train(30).validate(0.9).preview()

    async def body(walker: Walker) -> None:
        await walker.sees("gollum")
        await walker.press("enter")
        await walker.sees("step 30")
        await walker.press("u")
        await walker.sees("▸ 30", "This step has no checkpoint.")
        await walker.press("escape")
        await walker.sees("s a step")

    walk(body)


def test_an_export_is_asked_for_in_words_and_its_check_is_told(projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished_run(projects)
    asked: list[carry.ExportOrder] = []

    def export(order: carry.ExportOrder, cancelled: object) -> list[str]:
        asked.append(order)
        return ["/tmp/gollum-lora.safetensors", "Self-check: attention differs by 1e-07 of the effect."]

    monkeypatch.setattr(carry, "export", export)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("e")
        await walker.sees(
            "Export step 200", "◉ LoRA  ○ full  ○ diffusers  ○ whole model", "Biases", "beside the checkpoint"
        )
        await walker.press("right", "right")
        await walker.sees("A folder with the whole UNet")
        assert "Biases" not in walker.frame
        await walker.press("ctrl+n")
        await walker.sees("Exported", "Self-check: attention differs")
        await walker.press("enter", "e")
        await walker.sees("Export step 200")
        await walker.press("enter", "right", "ctrl+n")
        await walker.sees("Exported")

    walk(body)
    source = run.hypernetworks / "gollum-200.pt"
    folder, file = (run.hypernetworks / f"gollum-200-{end}" for end in ("diffusers", "lora.safetensors"))
    assert asked == [
        carry.ExportOrder(source, "diffusers", "", folder, approximate=False, keep_bias=True),
        carry.ExportOrder(source, "lora", "", file, approximate=False, keep_bias=False),
    ]


def test_a_refused_export_asks_again_with_what_was_answered(
    projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_run(projects)
    asked: list[Path] = []

    def export(order: carry.ExportOrder, cancelled: object) -> list[str]:
        asked.append(order.out)
        if len(asked) == 1:
            raise AppError("File exists", "own.safetensors is there already.", "Name another file.")
        return ["done"]

    monkeypatch.setattr(carry, "export", export)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("e", "right", "enter")
        await write(walker, f"{tmp_path}/own")
        await walker.press("ctrl+n")
        await walker.sees("File exists", "Name another file.")
        await walker.press("enter")
        await walker.sees("◉ full")
        assert walker.app.screen.query_one("#out", Input).value == f"{tmp_path}/own"
        await walker.press("enter", *["backspace"] * 4, "ctrl+n")
        await walker.sees("Exported")

    walk(body)
    assert asked == [tmp_path / "own.safetensors", tmp_path / "gollum-200-full-diff.safetensors"]


def test_an_export_that_cannot_be_exact_says_why_and_takes_the_closest(
    projects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(projects)
    run.config_file.write_text(config_toml(RunConfig(name="gollum", network=NetworkSettings(activation="relu"))))
    asked: list[carry.ExportOrder] = []

    may_end = threading.Event()

    def export(order: carry.ExportOrder, cancelled: object) -> list[str]:
        asked.append(order)
        may_end.wait(60)
        return ["done"]

    monkeypatch.setattr(carry, "export", export)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("e")
        await walker.sees("No change of weights", "relu")
        await walker.press("ctrl+n")
        await walker.sees("Exporting… 00:00:0")
        may_end.set()
        await walker.sees("Exported")
        await walker.press("enter")
        await walker.misses("Exporting…")

    walk(body)
    assert [order.approximate for order in asked] == [True]


def test_the_report_is_written_and_its_place_told(projects: Path) -> None:
    run = finished_run(projects)

    async def body(walker: Walker) -> None:
        await open_results(walker)
        await walker.press("o")
        await walker.sees("Report", "report.html")

    walk(body)
    assert (run.path / "report.html").is_file()
