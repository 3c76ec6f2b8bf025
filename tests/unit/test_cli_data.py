"""`hypernet check`, `crop` and `caption` as a user meets them."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from support.photos import copy_photographs
from typer.testing import CliRunner

from trainer.cli import data
from trainer.errors import AppError
from trainer.pictures.choices import read_choices
from trainer.project import create_project, open_project


@pytest.fixture
def project(tmp_path: Path) -> str:
    copy_photographs(tmp_path / "pictures", 11)
    (tmp_path / "pictures" / "bad\x1b[31m\n[b].png").write_text("no picture")
    (tmp_path / "pictures" / "coffee.txt").write_text("a cup")
    made = create_project("gollum", tmp_path / "pictures", "", root=tmp_path / "projects")
    made.update(settings={"data": {"size": 128}})
    return str(made.root)


def hypernet(*words: str) -> str:
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    for function in (data.check, data.crop, data.caption):
        app.command()(function)
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def read_json(*words: str) -> Any:
    return json.loads(hypernet(*words, "--json"))


def test_check_names_what_cannot_be_used_with_escapes_shown(project: str) -> None:
    output = hypernet("check", project)
    assert r"bad\x1b[31m\n[b].png: it is a text file, not a picture" in output
    assert "\x1b" not in output
    assert "12 pictures: 11 fine" in output
    verdicts = {Path(each["path"]).name: each["status"] for each in read_json("check", project)["pictures"]}
    assert list(verdicts.values()).count("left-out") == 1


def test_crop_then_caption(project: str) -> None:
    opened = open_project(project)
    output = hypernet("crop", project, "--size", "64")
    assert "12 pictures: 11 cropped, 0 unchanged, 1 left aside" in output
    assert open_project(project).settings().data.size == 64
    assert len(list(opened.processed.glob("*.png"))) == 11
    assert "0 cropped, 11 unchanged" in hypernet("crop", project)

    report = read_json("caption", project)
    captions = {name.split("-", 2)[2]: text for name, text in report["written"].items()}
    assert captions["coffee.png"] == "a cup"
    assert captions["chelsea.png"] == "chelsea"
    assert "0 captions written, 11 unchanged" in hypernet("caption", project)

    hypernet("caption", project, "--with", "text", "--text", "photo of", "--existing", "append")
    assert next(opened.processed.glob("*-chelsea.txt")).read_text() == "photo of chelsea"


def test_misuse_is_one_message(project: str) -> None:
    with pytest.raises(AppError, match="holds none yet"):
        hypernet("caption", project)
    with pytest.raises(AppError, match=r"no text to write.*--text"):
        hypernet("caption", project, "--with", "text")
    with pytest.raises(AppError, match=r"caption\.extension"):
        hypernet("caption", project, "--extension", "../x")
    with pytest.raises(AppError, match=r"data\.size"):
        hypernet("crop", project, "--size", "100")
    assert open_project(project).config.caption.source == "filename"


def test_frames_and_left_out_pictures_are_kept_in_the_project(project: str) -> None:
    hypernet("crop", project, "--leave-out", "coffee.png", "--frame", "astronaut.png=150,10,200")
    opened = open_project(project)
    framed = next(opened.processed.glob("*-astronaut.png")).read_bytes()
    assert not list(opened.processed.glob("*-coffee.png"))
    assert "0 cropped, 10 unchanged" in hypernet("crop", project)
    assert "1 cropped, 10 unchanged" in hypernet("crop", project, "--take-back", "coffee.png")
    assert "1 cropped, 10 unchanged" in hypernet("crop", project, "--frame", "astronaut.png=")
    assert next(opened.processed.glob("*-astronaut.png")).read_bytes() != framed
    assert "1 cropped, 10 unchanged" in hypernet("crop", project, "--frame", "rocket.jpg=focal")
    assert read_choices(opened.root).modes == {"rocket.jpg": "focal"}
    with pytest.raises(AppError, match="Did you mean coffee"):
        hypernet("crop", project, "--leave-out", "cofee.png")


def test_other_caption_files_are_offered_and_used(project: str, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "rocket.caption").write_text("a rocket")
    assert "--extension .caption" in hypernet("check", project)
    hypernet("crop", project)
    hypernet("caption", project, "--with", "files", "--extension", ".caption")
    opened = open_project(project)
    assert next(opened.processed.glob("*-rocket.txt")).read_text() == "a rocket"
    assert len(list(opened.processed.glob("*.txt"))) == 1
