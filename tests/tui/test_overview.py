"""What Home knows of projects and runs."""

import os
import time
from pathlib import Path

import pytest

from tests.tui.stories import Story, make_project
from trainer.project import PROJECT_FILE, Project
from trainer.run.lock import RunLock
from trainer.run.status import Status
from tui import overview
from tui.home_rows import rows_of
from tui.overview import Overview, ProjectLook, Surveyor, count_files

pytestmark = pytest.mark.usefixtures("projects")


def looks() -> dict[str, ProjectLook]:
    return {look.name: look for look in Surveyor().survey().projects}


def test_a_project_is_judged_by_its_files(projects: Path) -> None:
    make_project(projects, "empty")
    make_project(projects, "new", sources=3)
    make_project(projects, "cropped", crops=4, captions=1)
    make_project(projects, "captioned", crops=4, captions=4)
    found = looks()
    assert {name: look.state for name, look in found.items()} == {
        "empty": "new", "new": "new", "cropped": "cropped", "captioned": "captioned",
    }  # fmt: skip
    assert found["new"].command == "hypernet crop new"
    assert found["cropped"].command == "hypernet caption cropped"
    assert found["cropped"].facts == "4 pictures, 1 caption"
    assert [name for name, look in found.items() if look.can_train] == ["captioned"]


def test_a_project_is_judged_by_its_newest_run(projects: Path) -> None:
    for name in ("trained", "stopped", "lost", "running", "paused"):
        make_project(projects, name, crops=2, captions=2)
    Story(projects / "trained", 10).train(10).tell("finished", step=10)
    Story(projects / "stopped", 10).train(5).tell("stopped", step=5)
    Story(projects / "lost").train(5)
    live = Story(projects / "running").train(5).until_now()
    paused = Story(projects / "paused").train(5)
    paused.tell("paused", step=5)
    paused.until_now()
    with RunLock(live.folder), RunLock(paused.folder):
        found = Surveyor().survey()
    states = {look.name: look.state for look in found.projects}
    assert states == {
        "trained": "trained", "stopped": "stopped", "lost": "needs you", "running": "running", "paused": "paused",
    }  # fmt: skip
    assert {look.folder.name: look.status for look in found.live} == {
        "running": Status.RUNNING, "paused": Status.PAUSED,
    }  # fmt: skip
    assert {look.folder.name for look in found.earlier} == {"trained", "stopped", "lost"}


def test_a_run_that_ended_is_looked_at_again_when_it_changes(projects: Path) -> None:
    make_project(projects, "gollum", crops=2, captions=2)
    story = Story(projects / "gollum").train(5)
    surveyor = Surveyor()
    assert surveyor.survey().earlier[0].status is Status.LOST
    with RunLock(story.folder):
        story.until_now()
        assert surveyor.survey().live[0].status is Status.RUNNING
    story.tell("stopped", step=5)
    assert surveyor.survey().earlier[0].status is Status.STOPPED


def test_files_are_counted_again_when_a_folder_has_changed(projects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(projects, "gollum", crops=2, captions=1)
    for folder in (project.pictures, project.processed):
        os.utime(folder, (1.7e9, 1.7e9))
    counted: list[Project] = []
    monkeypatch.setattr(overview, "count_files", lambda project: counted.append(project) or count_files(project))
    surveyor = Surveyor()
    assert [surveyor.survey().projects[0].state for _ in range(3)] == ["cropped"] * 3
    assert len(counted) == 1
    (project.processed / "00001-0-x.txt").write_text("a picture")
    assert [surveyor.survey().projects[0].state for _ in range(3)] == ["captioned"] * 3
    assert len(counted) == 4, "a folder that has just changed may change again unseen"


def test_a_project_with_unusable_settings_says_so_and_hides_no_other(projects: Path) -> None:
    make_project(projects, "good", sources=1)
    make_project(projects, "bad")
    with open(projects / "bad" / PROJECT_FILE, "a") as file:
        file.write("\n[settings.data]\nsize = 7\n")
    found = looks()
    assert found["good"].state == "new"
    assert found["bad"].state == "needs you"
    assert "size" in found["bad"].facts


def test_rows_are_filtered_by_name_in_any_case(projects: Path) -> None:
    for name in ("Gollum", "harbour"):
        make_project(projects, name, sources=1)
    found = Surveyor().survey()
    assert [row.text.split()[0] for row in rows_of(found, 70, "GOLL")] == ["Projects", "Gollum"]
    assert [row.text for row in rows_of(found, 70, "zzz")] == ["Nothing here has that in its name."]


def test_many_earlier_runs_are_cut_short_and_the_rest_counted(projects: Path) -> None:
    make_project(projects, "gollum", sources=1)
    for _ in range(23):
        Story(projects / "gollum", started_s=time.time() - 9000)
    found = Surveyor().survey()
    assert (len(found.earlier), found.num_older) == (20, 3)
    assert rows_of(found, 70)[-1].text == "  and 3 older ones: hypernet runs --all"
    assert rows_of(Overview(projects), 70) == []
