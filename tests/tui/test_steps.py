"""The frame of the steps: the rail, and fields that check themselves."""

from pathlib import Path

from textual.app import App, ComposeResult

from tests.tui.stories import Story, make_project
from tests.tui.walk import walk_in
from tui.steps import STEPS, present_steps, step_after, steps_behind
from tui.widgets.rail import Rail, Stop


def test_steps_without_a_screen_are_left_out_and_the_others_keep_their_order() -> None:
    ids = [step.id for step in present_steps()]
    assert ids == [step.id for step in STEPS if step.id in ids]
    assert ids[-1] == "train"
    assert step_after("train") is None


def test_the_files_tell_which_steps_are_done(projects: Path) -> None:
    assert steps_behind(None) == set()
    assert steps_behind(make_project(projects, "new", sources=2)) == {"folders"}
    assert steps_behind(make_project(projects, "cropped", crops=2, captions=1)) == {"folders", "crop"}
    project = make_project(projects, "captioned", crops=2, captions=2)
    assert steps_behind(project) == {"folders", "crop", "caption"}
    story = Story(project.root, 10).train(5)
    assert steps_behind(project) == {step.id for step in STEPS} - {"train"}
    story.train(5).tell("finished", step=10, seconds=4.2)
    assert steps_behind(project) == {step.id for step in STEPS}


def test_the_rail_says_less_where_there_is_less_room() -> None:
    titles = ("Folders", "Crop", "Caption", "Settings", "Review", "Train")
    stops = tuple(Stop(n, title, n < 3, n == 3) for n, title in enumerate(titles, 1))

    done = tuple(Stop(stop.number, stop.title, True, stop.number == 2) for stop in stops)

    class Shown(App[None]):
        def __init__(self, stops: tuple[Stop, ...]) -> None:
            super().__init__()
            self._stops = stops

        def compose(self) -> ComposeResult:
            yield Rail()

        def on_mount(self) -> None:
            self.query_one(Rail).show("[b]gollum[/] of the deep caves", self._stops)

    frames = {width: walk_in(Shown(stops), (width, 3))[0] for width in (100, 80, 66, 40)}
    assert frames[100].startswith("[b]gollum[/] of the dee…  1 Folders ✓  2 Crop ✓  3 Caption ●  4 Settings  5 Rev")
    assert frames[80].endswith("1 Folders ✓  2 Crop ✓  3 Caption ●  4 Settings  5 Review  6 Train")
    assert frames[80].startswith("[b]goll")
    names = "1 Folders✓  2 Crop●  3 Caption✓  4 Settings✓  5 Review✓  6 Train✓"
    assert walk_in(Shown(done), (78, 3))[0] == f"[b]gollum[…  {names}", "as wide as a terminal of 80 leaves it"
    assert frames[66].endswith("1 ✓  2 ✓  3 Caption ●  4 Settings  5 Review  6 Train")
    assert frames[40].endswith("1 ✓  2 ✓  3 Caption ●  4  5  6")
