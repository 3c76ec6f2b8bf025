"""Folders, walked by keys alone: pictures, name and model become a project."""

import shutil
from pathlib import Path

import pytest

from tests.tui.stories import make_project
from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.base_model.find import FoundModel
from trainer.demo.assets import demo_model_dir, demo_pictures_dir
from trainer.errors import AppError
from trainer.project import open_project
from tui import folders, models
from tui.app import WizardApp
from tui.draft import Draft
from tui.screens import folders_work
from tui.widgets import model_choice
from tui.widgets.path_field import PathField

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])


@pytest.fixture
def home(tmp_path: Path, projects: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with pictures in it, reached by SSH, on a machine with one base model."""
    folder = tmp_path / "me"
    shutil.copytree(demo_pictures_dir("style"), folder / "pictures" / "gollum")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.7 50122 203.0.113.9 2222")
    found = [FoundModel(demo_model_dir(), "diffusers-folder", 7_900_000, 1.0)]
    monkeypatch.setattr(model_choice, "found_models", lambda others: found)
    return folder


async def begin(walker: Walker) -> None:
    await walker.sees("n   a project of your own")
    await walker.press("n")
    await walker.sees("1 Folders ●", "the demo model")


@pytest.mark.usefixtures("home")
@SIZES
def test_a_project_is_made_of_a_typed_folder_and_the_found_model(projects: Path, size: tuple[int, int]) -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.type("~/pictures/gol")
        await walker.press("tab")
        await walker.sees("~/pictures/gollum/", "20 pictures, 5", "Makes")
        await walker.press("enter", "enter", "enter", "enter")
        await walker.sees("gollum  1 Folders ✓")

    walk(body, size)
    made = open_project("gollum")
    assert made.pictures.name == "gollum"
    settings = made.settings()
    assert (settings.model.path, settings.data.size) == (str(demo_model_dir()), 64)
    assert settings.recovery.on_oom == "ask"


def test_tab_completes_what_was_begun_and_leaves_a_whole_path(home: Path) -> None:
    for name in ("faces", "face-on", "faces/Anna"):
        (home / "pictures" / name).mkdir()

    async def body(walker: Walker) -> None:
        await begin(walker)
        field = walker.app.focused
        assert isinstance(field, PathField)
        for typed, expected in (("~/pict", "~/pictures/"), ("f", "~/pictures/face"), ("s", "~/pictures/faces/")):
            await walker.type(typed)
            await walker.press("tab")
            await walker.until(lambda expected=expected: field.value == expected)  # type: ignore[misc]
        await walker.press("tab")
        await walker.until(lambda: walker.app.focused is not None and walker.app.focused.id == "name")
        assert field.value == "~/pictures/faces/"

    walk(body)


@pytest.mark.usefixtures("projects")
def test_without_colour_fields_and_errors_are_told_apart_by_signs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.press("ctrl+n")
        await walker.sees("! Pictures", "! Type the folder that holds the pictures")
        assert walker.app.focused is not None
        assert walker.app.focused.id == "pictures"
        assert walker.app.focused.rich_style.reverse
        await walker.type("~/p")
        await walker.misses("! Pictures")
        await walker.sees("There is no such folder yet")
        assert "~/pictures" not in walker.frame, "a suggestion reads as typed"
        await walker.press("tab")
        await walker.sees("~/pictures/")

    walk(body)


def test_a_file_in_the_place_of_the_folder_is_marked_and_not_accepted(home: Path) -> None:
    (home / "zip").write_text("")

    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.type("~/zip")
        await walker.press("enter")
        await walker.sees("! Pictures", "! This is a file. Type the folder that it lies in.")
        assert walker.app.focused is not None
        assert walker.app.focused.id == "pictures"

    walk(body)


def test_an_empty_folder_is_made_and_pictures_are_counted_as_they_arrive(home: Path) -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.type("~/cave")
        await walker.sees("There is no such folder yet; Enter makes it.")
        frame = " ".join((await walker.sees("rsync -av -e 'ssh -p 2222' PICTURES/", "scp -P 2222")).split())
        assert f"@203.0.113.9:{home}/cave/" in frame.replace(" ", "")
        await walker.press("enter")
        await walker.sees("Make the folder?")
        await walker.press("y")
        await walker.sees("No pictures yet.")
        await walker.press("ctrl+n")
        await walker.sees("! ~/cave holds no pictures yet.")
        for count, name in enumerate(sorted((home / "pictures/gollum").glob("*.png"))[:2], 1):
            shutil.copy(name, home / "cave")
            await walker.sees(f"{count} picture")
        await walker.misses("rsync")

    walk(body)


@pytest.mark.usefixtures("home")
def test_folders_are_browsed_by_keys() -> None:
    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.press("ctrl+o")
        await walker.sees("The folder of your pictures", "pictures/")
        await walker.press("down", "enter")
        await walker.sees("~/pictures   0 pictures", "gollum/")
        await walker.press("down", "right")
        await walker.sees("20 pictures in it")
        await walker.press("left")
        await walker.sees("▸ gollum/")
        await walker.press("right")
        await walker.sees("20 pictures in it")
        await walker.press("space")
        await walker.sees("Pictures       ~/pictures/gollum", "20 pictures, 5")

    walk(body)


def test_names_are_found_while_browsing(home: Path) -> None:
    for name in ("oil", "ink", "oil on wood"):
        (home / "pictures" / name).mkdir()

    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.press("ctrl+o", "down", "enter")
        await walker.sees("~/pictures   0 pictures", "ink/")
        await walker.burst("slash", *"wood")
        await walker.misses("ink/")
        await walker.press("enter", "right")
        await walker.sees("~/pictures/oil on wood")
        await walker.press("left", "slash", *"nothing")
        await walker.sees("Nothing here has that in its name.")
        await walker.press("escape")
        await walker.sees("ink/", "▸ oil on wood/")

    walk(body)


@pytest.mark.usefixtures("home")
def test_what_was_typed_is_there_again_after_leaving() -> None:
    async def type_it(walker: Walker) -> None:
        await begin(walker)
        await walker.type("~/pictures/gollum")
        await walker.press("escape")
        await walker.sees("n   a project of your own")
        await walker.press("n")
        await walker.sees("~/pictures/gollum")
        await walker.press("escape")
        await walker.sees("n   a project of your own")

    walk(type_it)

    async def find_it(walker: Walker) -> None:
        await begin(walker)
        await walker.sees("~/pictures/gollum", "20 pictures", "Going on with what you began")
        await walker.press("ctrl+r")
        await walker.sees("e.g. ~/pictures/gollum")
        await walker.misses("Going on")
        await walker.press("escape")
        await begin(walker)
        await walker.sees("e.g. ~/pictures/gollum")

    walk(find_it)


@pytest.mark.parametrize(
    ("draft", "wrong", "says"),
    [
        (Draft("~/nowhere", "x", ""), "pictures", "! There is no such folder. Type one that exists"),
        (Draft("~/pictures/gollum", "taken", ""), "name", "! There is a project taken already."),
        (Draft("~/pictures/gollum", "x", "no/such/file"), "model", "! There is no such file or folder here."),
    ],
)
@pytest.mark.usefixtures("home")
def test_of_what_was_typed_before_the_first_wrong_field_has_the_focus(
    projects: Path, draft: Draft, wrong: str, says: str
) -> None:
    make_project(projects, "taken", sources=1)
    draft.save()

    async def body(walker: Walker) -> None:
        await walker.sees("n new project")
        await walker.press("n")
        await walker.sees(says, "Going on with what you began")
        assert walker.app.focused is not None
        assert walker.app.focused.id == wrong

    walk(body)


def test_the_focus_is_where_one_can_type_when_no_model_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_choice, "found_models", lambda others: [])
    Draft("~/pictures/gollum", "gollum", "").save()

    async def body(walker: Walker) -> None:
        await walker.sees("n   a project of your own")
        await walker.press("n")
        await walker.sees("None found on this machine", "20 pictures")
        await walker.until(lambda: walker.app.focused is not None and walker.app.focused.id == "model")
        await walker.type("owner/model")
        await walker.sees("or type        owner/model")

    walk(body)


def test_what_can_be_trained_on_is_chosen_before_a_newer_file_that_cannot(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.safetensors").write_text("<html>not found</html>")
    new, old = (
        FoundModel(tmp_path / "page.safetensors", "file", 1, 2.0),
        FoundModel(demo_model_dir(), "diffusers-folder", 1, 1.0),
    )
    monkeypatch.setattr(model_choice, "found_models", lambda others: [new, old])

    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.sees("unusable", "▸ model")
        await walker.press("tab", "tab", "down")
        await walker.sees("▸ page", "The file ")

    walk(body)


def test_the_field_with_the_focus_differs_from_the_others() -> None:
    colours = WizardApp().get_css_variables()
    assert colours["focused"] not in {colours["panel"], colours["background"], "#00000000"}


def test_a_name_that_is_taken_or_unusable_is_refused_with_what_to_type(home: Path, projects: Path) -> None:
    make_project(projects, "gollum", sources=1)
    assert "already" in folders.name_problem("gollum")
    assert "letters" in folders.name_problem("a/b")
    assert "a/b" not in folders.folders_text("a/b")
    assert "Type a name" in folders.name_problem(" ")
    assert folders.name_problem("smeagol") == ""
    assert folders.name_from("/x/[b]my pics!/") == "b-my pics"


def test_a_typed_model_is_downloaded_with_a_bar_and_the_download_can_be_stopped(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(name, progress, cancelled):  # type: ignore[no-untyped-def]
        progress(1 << 30, 4 << 30)
        while not cancelled():
            pass
        raise folders_work.Cancelled

    monkeypatch.setattr(folders_work, "fetch_model", fetch)

    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.type("~/pictures/gollum")
        await walker.press("enter", "enter", "enter")
        await walker.type("owner/model")
        await walker.sees("What is typed below is taken instead.")
        await walker.press("enter")
        await walker.sees("owner/model  █████░", "1.0 GiB of 4.0 GiB.  Esc stops it.")
        await walker.press("escape")
        await walker.sees("Stopped. Files that are complete are kept.")

    walk(body)


def test_a_hub_that_cannot_be_reached_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name, progress, cancelled):  # type: ignore[no-untyped-def]
        raise AppError("The Hub cannot be reached", "owner/model could not be downloaded.", "Give it (--model F).")

    monkeypatch.setattr(folders_work, "fetch_model", fetch)

    async def body(walker: Walker) -> None:
        await begin(walker)
        await walker.type("~/pictures/gollum")
        await walker.press("enter", "enter", "enter")
        await walker.type("owner/model")
        await walker.press("up", "ctrl+n")
        await walker.sees("The Hub cannot be reached", "Give it.")
        await walker.press("enter")
        await walker.sees("! or type", "owner/model", "! The Hub cannot be reached. Try again (Ctrl+N)")
        assert walker.app.focused is not None
        assert walker.app.focused.id == "model"

    walk(body)


def test_hostile_names_are_shown_and_do_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = home / "pictures" / "[red]\x1b[31m\u202e\n😀"
    wild.mkdir()
    (wild / "model_index.json").write_text("{}")
    found = [FoundModel(wild, "diffusers-folder", 1, 1.0), FoundModel(demo_model_dir(), "diffusers-folder", 1, 0.0)]
    monkeypatch.setattr(model_choice, "found_models", lambda others: found)

    async def body(walker: Walker) -> None:
        await begin(walker)
        frame = await walker.sees(r"[red]\x1b[31m", "unusable")
        await walker.type("~/pictures")
        await walker.press("ctrl+o")
        frame += await walker.sees(r"[red]\x1b[31m\u202e\n", "gollum/")
        await walker.press("down", "enter", "space")
        frame += await walker.sees("No pictures yet.", "rsync", r"\u202e\n")
        await walker.press("ctrl+u")
        await walker.type("~/pictures/")
        await walker.press("left_square_bracket", "tab")
        frame += await walker.sees("No pictures yet.", r"Pictures       ~/pictures/[red]\x1b")
        assert not any(c in frame for c in "\x1b\u202e")

    walk(body)


def test_models_are_told_by_name_family_size_and_hash(tmp_path: Path) -> None:
    cached = tmp_path / "models--owner--fine-model" / "snapshots" / "0123"
    cached.parent.mkdir(parents=True)
    shutil.copytree(demo_model_dir(), cached)
    look = models.judged(cached)
    assert models.model_lines([look], 76) == ["owner/fine-model  the demo model  7.9 MiB  folder"]
    page = tmp_path / "page.safetensors"
    page.write_text("<html>not found</html>")
    judged = models.judged(page)
    assert judged.problem.startswith("The file")
    assert str(page) not in judged.problem
    assert "…" not in models.model_lines([judged], 76)[0]
    assert models.hash_of(page, lambda: True) == models.hash_of(page, lambda: False)
    assert models.judged(page).native_size_px == 0
