"""Run folders: private, never shared by two runs, found by what a person types."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from trainer.errors import AppError
from trainer.run.folder import RunFolder, find_runs, resolve_run

DAY = date(2026, 11, 23)


def make_run(projects: Path, project: str, name: str, day: date = DAY) -> RunFolder:
    run = RunFolder.create(projects / project / "output", name, day)
    run.config_file.write_text("")
    return run


def test_a_run_has_a_private_folder_of_its_own(tmp_path: Path) -> None:
    run = make_run(tmp_path / "new", "gollum", "gollum")
    assert run.path == tmp_path / "new/gollum/output/2026-11-23/gollum"
    assert run.project_root == tmp_path / "new/gollum"
    assert run.title == "gollum/2026-11-23/gollum"
    assert resolve_run(run.argument, Path("/nowhere")) == run
    for folder in (run.path, run.path.parent, run.path.parents[1], run.control, run.state, run.images):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert make_run(tmp_path / "new", "gollum", "gollum").name == "gollum-2"


def test_runs_made_at_once_get_different_folders(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: RunFolder.create(tmp_path / "output", "x", DAY), range(24)))
    assert len({run.path for run in runs}) == 24
    assert {run.name for run in runs} == {"x", *(f"x-{n}" for n in range(2, 25))}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "/abs", ".hidden", "a\nb", "\x1b[31m", "x" * 101, "\0"]
)
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AppError) as caught:
        RunFolder.create(tmp_path / "output", name, DAY)
    assert caught.value.message.isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Gollum im Fluß", "猫 2", "a [bold] b", "--help", "😀"])
def test_odd_but_harmless_names_work(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path, "p", name)
    assert resolve_run(name, tmp_path).path == run.path


def test_a_place_where_nothing_can_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("a file")
    with pytest.raises(AppError, match="output"):
        RunFolder.create(tmp_path / "output", "x", DAY)


def test_runs_are_found_newest_first(tmp_path: Path) -> None:
    old = make_run(tmp_path, "p", "x", date(2025, 1, 1))
    first, second = make_run(tmp_path, "p", "x"), make_run(tmp_path, "p", "x")
    os.utime(first.config_file, (2e9, 2e9))
    (tmp_path / "p/output/notes").mkdir()
    (tmp_path / "p/output/2026-11-23/no run").mkdir()
    assert find_runs(tmp_path / "p") == [first, second, old]
    assert find_runs(tmp_path / "absent") == []


def test_a_run_is_found_by_name_day_project_or_path(tmp_path: Path) -> None:
    old = make_run(tmp_path, "gollum", "gollum", date(2025, 1, 1))
    new = make_run(tmp_path, "gollum", "gollum")
    other = make_run(tmp_path, "gollum", "gollum")
    cat = make_run(tmp_path, "pets", "cat")
    wanted = {
        "gollum": new,
        "gollum-2": other,
        "2025-01-01/gollum": old,
        "gollum/2025-01-01/gollum": old,
        "cat": cat,
        "pets": cat,
        "pets/cat": cat,
        str(old.path): old,
    }
    assert {text: resolve_run(text, tmp_path).path for text in wanted} == {t: run.path for t, run in wanted.items()}


def test_unknown_and_ambiguous_names_are_told_with_the_nearest(tmp_path: Path) -> None:
    make_run(tmp_path, "gollum", "gollum")
    with pytest.raises(AppError) as unknown:
        resolve_run("golum", tmp_path)
    assert "Did you mean gollum?" in unknown.value.hint
    make_run(tmp_path, "other", "gollum")
    with pytest.raises(AppError) as both:
        resolve_run("gollum", tmp_path)
    assert "other/2026-11-23/gollum" in both.value.message
    for hostile in ("../../etc", "x" * 5000, "\0", "\x1b[2J", ""):
        with pytest.raises(AppError) as caught:
            resolve_run(hostile, tmp_path)
        assert str(caught.value).isprintable()
