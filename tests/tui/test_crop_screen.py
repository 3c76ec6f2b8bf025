"""The Crop step, walked by keys alone on real photographs."""

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.support.photos import photograph
from tests.tui.walk import LARGE, SMALL, Walker, walk
from trainer.pictures import faces
from trainer.pictures.choices import read_choices
from trainer.pictures.geometry import Frame
from trainer.project import Project, create_project, open_project
from tui.messages import JourneyWanted

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])
HOSTILE = "[bold]x[] \x1b[31m\n\u202e😀.png"


@pytest.fixture
def project(projects: Path) -> Project:
    return photo_project(projects, "astronaut", "coffee", "chelsea")


def photo_project(projects: Path, *stems: str) -> Project:
    pictures = projects.parent / "pictures"
    pictures.mkdir()
    for stem in stems:
        shutil.copy(photograph(stem), pictures)
    made = create_project("gollum", pictures, "model.safetensors", root=projects)
    return made.update(settings={"data": {"size": 64}})


async def open_crop(walker: Walker, project: Project) -> None:
    await walker.sees("Hypernet Wizard")
    walker.app.post_message(JourneyWanted(project, "crop"))
    await walker.sees("Move the frame to where the subject is")


def crops(project: Project) -> dict[str, Path]:
    return {path.stem.split("-")[-1]: path for path in project.processed.glob("*.png")}


def difference(crop: Path, source: str, box: tuple[float, float, float, float]) -> float:
    """Mean difference of a training picture from a part of its source, in grey levels."""
    with Image.open(crop) as made, Image.open(photograph(source)) as photo:
        wanted = photo.convert("RGB").resize(made.size, Image.Resampling.LANCZOS, box=box)
        return sum(ImageStat.Stat(ImageChops.difference(made.convert("RGB"), wanted)).mean) / 3


@SIZES
def test_every_picture_has_its_verdict_its_frame_and_is_cropped_on_the_way_on(
    projects: Path, size: tuple[int, int]
) -> None:
    project = photo_project(projects, "astronaut", "coffee", "chelsea")
    (project.pictures / HOSTILE).write_text("no picture")

    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        frame = await walker.sees("4 pictures: 3 fine, 1 left out · centre, 64 px", "▸ ✗", "Not usable")
        assert "\x1b" not in frame
        assert "\u202e" not in frame
        await walker.press("j")
        frame = await walker.sees("astronaut.png  512×512", "centre: 512×512 at 0,0", "→ 64×64, reduced 8.0×")
        assert "┏" in frame
        assert frame.count("▀") > 100
        await walker.press("j", "j")
        await walker.sees("coffee.png  600×400", "centre: 400×400 at 100,0", "→ 64×64")
        await walker.press("ctrl+n")
        await walker.until(lambda: len(crops(project)) == 3)

    walk(body, size)
    assert difference(crops(project)["coffee"], "coffee", (100, 0, 500, 400)) < 4


def test_the_frame_chosen_on_the_screen_is_what_is_cut_out(project: Project) -> None:
    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("3 fine", "astronaut.png  512×512")
        await walker.press("j", "j")
        await walker.sees("coffee.png  600×400")
        await walker.press("tab", "left", "left", "shift+left", "plus", "plus", "up")
        await walker.sees("by hand: 331×331 at 82,14", "+ closer")
        await walker.press("ctrl+n")
        await walker.until(lambda: len(crops(project)) == 3)

    walk(body)
    frame = read_choices(project.root).frames["coffee.png"]
    assert frame.box == pytest.approx((81.73, 13.73, 412.31, 344.31), abs=0.5)
    assert difference(crops(project)["coffee"], "coffee", frame.box) < 1
    assert difference(crops(project)["coffee"], "coffee", (100, 0, 500, 400)) > 5


def test_modes_of_one_picture_and_of_all_are_kept_and_undone(project: Project) -> None:
    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("3 fine", "astronaut.png  512×512")
        await walker.press("j", "f")
        await walker.sees("▸ ✓ chelsea.png", "focal point: 300×300 at")
        await walker.press("s")
        await walker.sees("All pictures: focal point", "· focal point, 64 px")
        await walker.press("u")
        frame = await walker.sees("Undone: framing of all pictures", "· centre, 64 px")
        assert "All pictures:" not in frame
        await walker.press("i")
        frame = await walker.sees("What was found on the pictures")
        assert "Undone:" not in frame
        await walker.press("escape")
        await walker.press("m")
        await walker.sees("centre, 64 px, mirrored copies")
        await walker.press("x")
        await walker.sees("left out by you", "1 left out", "x take back")
        await walker.press("x", "u", "u", "u")
        await walker.sees("3 pictures: 3 fine · centre, 64 px")
        await walker.press("u")
        await walker.sees("Nothing was changed yet.")
        await walker.press("f")
        await walker.until(lambda: read_choices(project.root).modes == {"chelsea.png": "focal"})
        await walker.press("r")
        await walker.until(lambda: read_choices(project.root).modes == {})

    walk(body)


def test_options_of_all_pictures_are_checked_and_judge_the_pictures_anew(project: Project) -> None:
    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("3 fine")
        await walker.press("o")
        await walker.sees("How all pictures are cropped", "The largest square in the middle")
        await walker.press("right", "enter", "backspace", "enter")
        await walker.sees("Type a multiple of 64")
        await walker.press("backspace", *"512", "enter", "enter", "right", "enter")
        await walker.sees("1 fine, 2 with a remark · focal point, 512 px, mirrored copies", "small")
        await walker.press("escape")
        await walker.until(lambda: open_project(project.root).config.crop.mode == "focal")
        opened = open_project(project.root)
        assert (opened.settings().data.size, opened.config.crop.flip) == (512, True)

    walk(body)


def test_size_by_shape_judges_pictures_by_the_size_it_makes(projects: Path) -> None:
    project = photo_project(projects, "coffee")
    with Image.open(photograph("coffee")) as photo:
        photo.resize((112, 92)).save(project.pictures / "coffee.png")
    with Image.open(photograph("chelsea")) as photo:
        photo.resize((400, 100)).save(project.pictures / "long.png")

    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("✓ coffee.png")
        await walker.press("o", "right", "right", "right")
        frame = await walker.sees("Sides within A1111's bounds", "Size", "Mirrored")
        assert "Shape" not in frame
        await walker.press("ctrl+n")
        await walker.sees("size by shape, 384-768 px, trained at 64 px", "small, size by shape", "enlarged 6.3×")
        await walker.press("j")
        await walker.sees("! long.png", "narrow, size by shape", "Not usable: no size from 384 to 768")
        await walker.press("escape")
        await walker.until(lambda: open_project(project.root).settings().data.keep_aspect)

    walk(body, LARGE)


def test_faces_are_not_offered_where_they_cannot_be_found(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "faces_available", lambda: False)
    monkeypatch.setattr("tui.crop_answers.faces_available", lambda: False)

    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("3 fine", "astronaut.png  512×512")
        await walker.press("a")
        await walker.sees("face: not now", "hypernet-wizard[faces]")

    walk(body)
    assert read_choices(project.root).modes == {}


def test_a_picture_without_a_face_says_how_it_is_framed_instead(project: Project) -> None:
    pytest.importorskip("cv2")

    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("3 fine", "astronaut.png  512×512")
        await walker.press("a", "s")
        await walker.sees("those without one by their focal point", "▸ ✓ astronaut.png    no face, focal")
        await walker.sees("no face, focal: 512×512", "No face was found in it;", "coffee.png       face")
        await walker.press("ctrl+n")
        await walker.sees("Caption ●")
        await walker.press("2")
        await walker.sees("coffee.png       no face, focal")

    walk(body)


def test_what_was_found_can_be_read_in_full(projects: Path) -> None:
    project = photo_project(projects, "astronaut", "rocket")
    shutil.copy(project.pictures / "rocket.jpg", project.pictures / "twin.jpg")

    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("2 fine, 1 with a remark", "a copy")
        await walker.press("i")
        await walker.sees("What was found on the pictures", "Only 3 usable pictures", "leave one out: ")
        await walker.press("end")
        await walker.sees("! twin.jpg: ", "it is the same", "file as rocket.jpg")
        await walker.press("escape")
        await walker.misses("What was found")
        await walker.press("slash", *"copy", "enter")
        await walker.sees("▸ ! twin.jpg")
        await walker.misses("astronaut.png   ")

    walk(body)


def test_without_colour_the_frame_is_drawn_with_characters(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("3 fine", "astronaut.png  512×512")
        await walker.press("tab", "plus", "plus", "plus")
        frame = await walker.sees("by hand", "┏━", "░░")
        assert "▀" not in frame

    walk(body)


def test_ascii_and_any_size(project: Project) -> None:
    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("3 fine", "astronaut.png  512x512")
        for size in [(40, 8), (200, 60), (20, 5), (100, 30), (80, 24)]:
            await walker.resize(*size)
            assert walker.frame.isascii()
        await walker.sees("+---", "3 pictures: 3 fine")

    walk(body, ascii_only=True)


def test_an_empty_folder_says_what_to_do(projects: Path) -> None:
    project = photo_project(projects)

    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("No pictures yet in")
        await walker.press("ctrl+n")
        await walker.sees("There are no pictures yet. Put some into")

    walk(body)


def test_a_list_of_ten_thousand_is_drawn_only_where_it_is_seen(projects: Path) -> None:
    from textual.app import App, ComposeResult

    from tui.widgets.long_list import LongList

    drawn: list[int] = []

    def draw(place: int, width: int) -> tuple[str, str]:
        drawn.append(place)
        return f"line {place} [/]", ""

    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            yield LongList()

        def on_mount(self) -> None:
            self.query_one(LongList).show_lines(10_000, draw)
            self.query_one(LongList).focus()

    async def body(walker: Walker) -> None:
        await walker.sees("▸ line 0 [/]", "line 22 [/]")
        await walker.press("end", "k")
        await walker.sees("▸ line 9998 [/]", "line 9999 [/]")
        await walker.press("home", "pagedown")
        await walker.sees("▸ line 23 [/]")

    walk_app(Shown(), body)
    assert len(set(drawn)) < 200


def walk_app(app: object, body: object) -> None:
    import asyncio

    async def go() -> None:
        async with app.run_test(size=SMALL) as pilot:  # type: ignore[attr-defined]
            await body(Walker(app, pilot))  # type: ignore[operator, arg-type]

    asyncio.run(go())


def test_a_frame_on_record_is_shown_again(project: Project) -> None:
    from trainer.pictures.choices import Choices, write_choices

    write_choices(project.root, Choices({"astronaut.png": Frame(10, 20, 300, 300)}))

    async def body(walker: Walker) -> None:
        await open_crop(walker, project)
        await walker.sees("by hand: 300×300 at 10,20", "→ 64×64, reduced 4.7×")

    walk(body)
