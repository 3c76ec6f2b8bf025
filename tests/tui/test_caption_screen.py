"""The Caption step, walked by keys alone."""

import json
import threading
from pathlib import Path

import pytest

from tests.tui.stories import make_project
from tests.tui.walk import LARGE, PATIENCE_S, SMALL, Walker, walk
from trainer.captions.edit import replaced
from trainer.demo.assets import demo_model_dir
from trainer.pictures.manifest import Entry, Manifest, write_manifest
from trainer.project import Project, open_project
from trainer.run.events import EventWriter
from trainer.run.jobs import make_job
from trainer.run.lock import RunLock, process_identity
from tui.messages import JourneyWanted

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])
HOSTILE = "[bold]x[/] \x1b[31m\x07 \u202e😀 " + "long " * 60


@pytest.fixture
def project(projects: Path) -> Project:
    made = make_project(projects, "gollum", crops=4)
    for number, text in enumerate(("a grey cat, sea", "a dog, sea", "a red hat, sea, cat", "a cat, cat")):
        caption_file(made, number).write_text(text)
    return made


def caption_file(project: Project, number: int) -> Path:
    return project.processed / f"{number:05}-0-x.txt"


def texts(project: Project) -> list[str]:
    return [caption_file(project, number).read_text() for number in range(4)]


async def open_captions(walker: Walker, project: Project) -> None:
    await walker.sees("Hypernet Wizard")
    walker.app.post_message(JourneyWanted(project, "caption"))
    await walker.sees("Say what each picture shows", "pictures: ")


@SIZES
def test_pictures_stand_beside_their_captions_and_are_edited_in_place(project: Project, size: tuple[int, int]) -> None:
    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        frame = await walker.sees("4 pictures: 4 captioned · file names, old kept", "▸ ✓ x", "5 of 75 tokens", "▀")
        assert "a grey cat, sea" in frame
        await walker.press("e")
        await walker.type(" at 9")
        await walker.sees("a grey cat, sea at 9", "7 of 75 tokens")
        await walker.press("pagedown")
        await walker.until(lambda: texts(project)[0] == "a grey cat, sea at 9")
        await walker.press("backspace", *"side", "enter", *"q", "escape")
        await walker.until(lambda: texts(project)[1] == "a dog, seside\nq")
        await walker.sees(r"a dog, seside\nq")
        await walker.press("u")
        await walker.sees("Undone: editing 00001-0-x.png. 1 caption as before.")
        await walker.until(lambda: texts(project)[1] == "a dog, sea")

    walk(body, size)


def test_what_is_cut_in_a_list_that_scrolls_is_marked(projects: Path) -> None:
    project = make_project(projects, "many", crops=30)
    for number in range(30):
        caption_file(project, number).write_text("a grey cat at sea under a red sky on Sunday")
    project = project.update(settings={"model": {"path": str(demo_model_dir())}})

    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("▸ ! x", "(same everywhere) a gr…", "of 30 tokens")

    walk(body, SMALL)


def test_missing_captions_are_written_on_the_way_on_and_those_there_kept(project: Project) -> None:
    caption_file(project, 1).unlink()
    caption_file(project, 2).write_text("")

    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("2 captioned, 1 empty, 1 without", "Ctrl+N first writes the 1 missing caption.")
        await walker.press("ctrl+n")
        await walker.until(lambda: caption_file(project, 1).exists())

    walk(body)
    assert texts(project) == ["a grey cat, sea", "x", "x", "a cat, cat"]


def test_captions_that_lie_beside_the_sources_are_named_before_and_after_they_are_taken(project: Project) -> None:
    crops = [caption_file(project, number).with_suffix(".png") for number in range(4)]
    entries = {}
    for number, crop in enumerate(crops[:3]):
        caption_file(project, number).unlink()
        (project.pictures / f"{number}.txt").write_text("an old hat")
        entries[f"{number}.png"] = Entry(f"{number}.png", number, 0, 0, "", "", (crop.name,))
    write_manifest(project.processed, Manifest(entries))

    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("1 captioned, 3 without · found beside the pictures: 3, else fil")
        await walker.press("w")
        await walker.sees("Captions found beside the pictures: 3. They count as old ones.")
        await walker.press("ctrl+n")
        await walker.sees("4 captioned · found beside the pictures: 3, else file names")

    walk(body)
    assert texts(project) == ["an old hat"] * 3 + ["a cat, cat"]


def test_a_captioner_is_chosen_with_what_it_needs_and_writes_all(project: Project) -> None:
    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("4 captioned")
        await walker.press("w")
        frame = await walker.sees("Write captions", "file names")
        assert not any(label in frame for label in ("Text  ", "Model  ", "After a stop"))
        await walker.press("right", "right", "right")
        await walker.sees("BLIP", "photographs", "about 1 GB", "Model  ")
        await walker.press("left", "left", "enter", "right")
        frame = await walker.sees("one text", "replaced", "Every caption is written anew", "Text  ", "◉ goes on")
        assert "missing" not in frame[frame.index("Write captions") :]
        await walker.press("ctrl+n")
        await walker.sees("! Text", "Type the caption of every picture.")
        await walker.press("up")
        await walker.press("enter", *"the sea", "ctrl+n")
        await walker.until(lambda: texts(project) == ["the sea"] * 4)
        await walker.sees("all the same", "same everywhere", "w write captions")
        await walker.until(lambda: walker.app.screen.check_action("undo", ()) is True)
        await walker.press("u")
        await walker.until(lambda: texts(project)[3] == "a cat, cat")

    walk(body)
    settings = open_project(project.root).config.caption
    assert (settings.source, settings.text, settings.existing) == ("text", "the sea", "ignore")


def test_a_captioner_that_cannot_be_had_says_which_key_chooses_another(project: Project) -> None:
    caption_file(project, 1).unlink()
    project = project.update(caption={"source": "deepbooru", "deepbooru": {"model": "/nowhere/model.pt"}})

    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.press("ctrl+n")
        await walker.sees("No model for deepbooru", "w chooses another source")
        await walker.press("enter")
        await walker.sees("Ctrl+N tries the 1 missing again; w chooses another source.", "b before, after")

    walk(body)


def test_search_and_replace_shows_what_changes_first_and_can_be_undone(project: Project) -> None:
    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("4 captioned")
        await walker.press("r", *"cat", "enter", *"lion", "enter", "enter")
        await walker.sees("3 captions would change", "- a grey cat, sea", "+ a grey lion, sea")
        await walker.press("enter")
        await walker.misses("would change")
        assert texts(project)[0] == "a grey cat, sea"
        await walker.press("r", *"(cat", "enter", *"x", "enter", "right", "enter")
        await walker.sees("! Find", "(cat", "Not a regular expression, at character 5: missing ).")
        await walker.press("ctrl+u", *r"(\w+) cat", "enter", "ctrl+u", *r"cat of \2", "enter")
        await walker.sees("! Replace by", "Not a replacement: invalid group reference.")
        await walker.press("backspace", "1", "enter", "enter")
        await walker.sees("2 captions would change", "+ a cat of grey, sea")
        await walker.press("y")
        await walker.until(lambda: texts(project)[0] == "a cat of grey, sea")
        await walker.sees("a cat of grey")
        await walker.press("u")
        await walker.until(lambda: texts(project)[0] == "a grey cat, sea")

    walk(body)


def test_a_regular_expression_that_takes_for_ever_lets_the_wizard_go_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = threading.Event()

    def slow(texts: dict[str, str], find: str, by: str, *, regex: bool) -> dict[str, str]:
        assert seen.wait(PATIENCE_S), "nothing was drawn meanwhile"
        return replaced(texts, find, by, regex=regex)

    monkeypatch.setattr("tui.screens.caption_bulk.replaced", slow)
    monkeypatch.setattr("trainer.captions.patterns.PATIENCE_S", 0.3)
    caption_file(project, 3).write_text("a" * 200 + "!")

    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("4 captioned")
        await walker.press("r", *"(a|aa)+$", "enter", "x", "enter", "right", "enter")
        await walker.sees("Looking what would change…")
        await walker.press("down")
        await walker.sees("a dog, sea", "4 of 75 tokens")
        seen.set()
        await walker.sees("The regular expression takes too long", "(a|aa)+$", "a+ instead of")

    walk(body)
    assert texts(project)[3] == "a" * 200 + "!"


def test_texts_around_tags_and_their_order(project: Project) -> None:
    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("4 captioned")
        await walker.press("g")
        await walker.sees("6 tags in 4 captions", "3  sea", "2  cat")
        await walker.press("x")
        await walker.sees("3 captions would change")
        await walker.press("y")
        await walker.until(lambda: texts(project) == ["a grey cat", "a dog", "a red hat, cat", "a cat, cat"])
        await walker.press("b", *"g:", "enter", *", oil", "enter")
        await walker.sees("4 captions would change", "+ g: a dog, oil")
        await walker.press("y")
        await walker.until(lambda: texts(project)[1] == "g: a dog, oil")
        await walker.sees("g: a dog, oil")
        await walker.press("s")
        await walker.sees("captions would change", "+ oil, g: a dog")

    walk(body)


def test_a_caption_changed_elsewhere_is_not_overwritten_without_asking(project: Project) -> None:
    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("5 of 75 tokens", "▀")
        await walker.press("e")
        await walker.type("!")
        await walker.sees("a grey cat, sea!")
        caption_file(project, 0).write_text("theirs")
        await walker.press("escape")
        await walker.sees("Changed elsewhere", "There: theirs", "Yours: a grey cat, sea!")
        await walker.press("enter")
        await walker.misses("Changed elsewhere")
        assert texts(project)[0] == "theirs"
        await walker.sees("1 of 75 tokens")
        await walker.press("e", "!")
        await walker.sees("theirs!")
        caption_file(project, 0).write_text("theirs again")
        await walker.press("escape")
        await walker.sees("There: theirs again")
        await walker.press("y")
        await walker.until(lambda: texts(project)[0] == "theirs!")

    walk(body)


def test_warnings_say_how_many_tokens_are_too_many_and_hostile_texts_do_nothing(project: Project) -> None:
    caption_file(project, 0).write_text("word " * 80)
    caption_file(project, 1).write_text(HOSTILE)

    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("1 too long", "80 of 75 tokens, 5 too many", "(80 tokens)")
        await walker.press("i")
        await walker.sees("What was found on the captions", "00000-0-x.png: 80 of 75 tokens, 5 too many")
        await walker.press("escape", "j")
        frame = await walker.sees("[bold]x[/] [31m", "tokens · hidden char")
        assert "\x1b" not in frame
        assert "\u202e" not in frame
        await walker.press("r", *"long", "enter", "enter", "enter")
        frame = await walker.sees("1 caption would change")
        assert "\x1b" not in frame

    walk(body)


def test_a_job_at_work_is_followed_and_stopped_by_a_key(project: Project) -> None:
    folder = make_job(project.root, "caption", {})
    events = EventWriter(folder.events_file)
    events.emit("started", **process_identity(), job="caption")
    events.emit("phase", name="captioning", done=0, total=4)
    events.emit("item", name="00000-0-x.png", status="written", detail="a boat")
    events.emit("phase", name="captioning", done=1, total=4)

    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("captioning", "1 of 4", "left", "t stop the work")
        await walker.press("r")
        await walker.sees("Captions are being written; t stops it.")
        await walker.press("t")
        await walker.until(lambda: any(folder.control.glob("*.json")))
        events.emit("stopped")

    with RunLock(folder):
        walk(body)
    assert json.loads(next(folder.control.glob("*.json")).read_text()) == {"command": "stop"}


def test_without_colour_and_in_ascii_at_any_size(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def body(walker: Walker) -> None:
        await open_captions(walker, project)
        await walker.sees("> + x", "5 of 75 tokens")
        for size in [(40, 8), (200, 60), (20, 5), (100, 30), (80, 24)]:
            await walker.resize(*size)
            assert walker.frame.isascii()
        await walker.sees("4 pictures: 4 captioned", "a grey cat, sea")

    walk(body, ascii_only=True)


def test_a_project_without_training_pictures_says_what_to_do(projects: Path) -> None:
    project = make_project(projects, "new", sources=2)

    async def body(walker: Walker) -> None:
        await walker.sees("Hypernet Wizard")
        walker.app.post_message(JourneyWanted(project, "caption"))
        await walker.sees("No training pictures yet")
        await walker.press("ctrl+n")
        await walker.sees("There are no training pictures yet. Go back to Crop.")

    walk(body)
