"""Settings reach the run: what is asked for is seen in what the run leaves behind."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.support.projects import events, losses, make_run, photo_project, run_to_end
from trainer.hypernetwork import load
from trainer.project import Project
from trainer.rewind import prepare_rewind
from trainer.run.control import send
from trainer.run.folder import RunFolder
from tui.feed import RunFeed

EVERYTHING = {
    "seed": 9,
    "data": {
        "keep_aspect": True,
        "template": "style_filewords",
        "shuffle_tags": True,
        "tag_dropout": 0.2,
        "caption_dropout": 0.2,
        "latent_sampling": "random",
        "alpha_as_weight": True,
    },
    "network": {
        "layer_structure": [1, 1.5, 1],
        "activation": "swish",
        "dropout_structure": [0, 0.1, 0],
        "zero_last_layer": True,
    },
    "optimizer": {
        "learning_rate": "1e-3",
        "schedule": "cosine",
        "warmup_steps": 2,
        "clip": "norm",
        "clip_value": "1:4, 0.5",
    },
    "training": {"steps": 8, "batch_size": 3, "min_snr_gamma": 5.0, "noise_offset": 0.05},
    "save": {"every": 4, "csv_every": 2, "tensorboard": True},
    "preview": {"every": 8, "prompt": "a red (circle:1.2)", "negative_prompt": "blue", "seed": 7, "width": 128},
    "validation": {"every": 4, "held_out_share": 0.15},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return photo_project(tmp_path_factory.mktemp("options"))


@pytest.fixture(scope="module")
def run(project: Project) -> RunFolder:
    folder = make_run(project, EVERYTHING)
    assert run_to_end(folder) == 0, folder.worker_log.read_text()
    assert "data:image/png;base64," in (folder.path / "report.html").read_text("utf-8")
    return folder


def test_previews_carry_their_generation_parameters(run: RunFolder) -> None:
    with Image.open(run.images / "photos-8.png") as picture:
        assert picture.size == (128, 64)
        text = picture.info["parameters"]
    first, second, third = text.splitlines()
    assert first == "a red (circle:1.2)"
    assert second == "Negative prompt: blue"
    for part in ("Steps: 2", "Sampler: DDIM", "CFG scale: 7", "Seed: 7", "Size: 128x64", "Hypernet: photos-8"):
        assert part in third


def test_a_network_that_starts_as_the_identity_shows_the_base_model_first(run: RunFolder, project: Project) -> None:
    validated = {event["step"]: event for event in events(run, "validated")}
    assert set(validated) == {0, 4, 8}
    assert validated[0]["held_out"] == validated[0]["training"] == 1.0
    assert validated[8]["held_out"] != 1.0
    net = load(run.hypernetworks / "photos-8.pt")
    assert (net.step, net.dims) == (8, [96, 32, 64, 128])
    assert net.structure.activation_func == "swish"
    assert list(net.structure.dropout_structure) == [0, 0.1, 0]


def test_the_files_that_a1111s_users_know(run: RunFolder) -> None:
    rows = run.loss_csv.read_text().splitlines()
    assert rows[0] == "step,epoch,epoch_step,loss,learn_rate"
    assert [row.split(",")[0] for row in rows[1:]] == ["2", "4", "6", "8"]
    settings = json.loads(next(run.path.glob("settings-*.json")).read_text())
    assert (settings["hypernetwork_name"], settings["batch_size"], settings["steps"]) == ("photos", 3, 8)
    assert settings["learn_rate"] == "1e-3"
    assert settings["preview_seed"] == 7
    assert list((run.path / "tensorboard").glob("events.out.tfevents.*"))


def test_the_rate_warms_up_and_falls(run: RunFolder) -> None:
    rates = [event["learning_rate"] for event in events(run, "step")]
    assert rates[0] == pytest.approx(5e-4)
    assert max(rates) == pytest.approx(1e-3)
    assert rates[-1] < 3e-4


def test_another_seed_gives_another_run(run: RunFolder, project: Project) -> None:
    other = make_run(project, EVERYTHING, {"seed": 10, "training": {"steps": 2}, "preview": {"every": 0}})
    assert run_to_end(other) == 0
    assert losses(other)[1] != losses(run)[1]


def test_commands_wait_for_the_worker_and_change_what_follows(project: Project) -> None:
    lowered = {"optimizer": {"rate_scale": 0.3}}
    folder = make_run(project, {"training": {"steps": 4}, "preview": {"every": 4}}, lowered)
    folder.control.mkdir(exist_ok=True)
    for name, value in (("set_learning_rate", "1e-6"), ("set_preview_prompt", "a [/] \x1b[31m circle")):
        send(folder, name, value=value)
    send(folder, "save")
    assert run_to_end(folder) == 0
    assert [event["learning_rate"] for event in events(folder, "step")] == pytest.approx([1e-6] * 4)
    assert next(event["given"] for event in events(folder, "changed")) == "1e-6"
    feed = RunFeed(folder)
    feed.advance()
    assert feed.view.learning_rate == "1e-6"
    assert events(folder, "saved")[0]["step"] == 0
    with Image.open(folder.images / "photos-4.png") as picture:
        assert picture.info["parameters"].startswith("a [/] \x1b[31m circle\n")


def test_a_learning_rate_that_ruins_a_run_is_undone_and_stays_so(project: Project) -> None:
    folder = make_run(project, {"training": {"steps": 3}, "preview": {"every": 0}, "save": {"every": 3}})
    folder.control.mkdir(exist_ok=True)
    send(folder, "set_learning_rate", value="1e30")
    assert run_to_end(folder) == 0, events(folder, "failed")
    assert "1e+30 ruins any network at once" in "".join(event["message"] for event in events(folder, "warning"))
    (told,) = events(folder, "recovering")
    assert (told["why"], told["step"], told["changes"]) == ("nan", 0, {})
    for part in ("computed again from step 0", "undone: learning rate 1e30", "the learning rate as it was: 1e-5"):
        assert part in told["message"]
    assert [event["learning_rate"] for event in events(folder, "step")] == [1e30, 1e-5, 1e-5, 1e-5]
    feed = RunFeed(folder)
    feed.advance()
    assert feed.view.learning_rate == "0.00001"
    longer = prepare_rewind(folder, 3, {"training": {"steps": 4}})
    assert events(longer, "changed") == []


def test_a_finished_network_goes_on_from_its_step_and_refuses_fewer(
    run: RunFolder, project: Project, tmp_path: Path
) -> None:
    start = {"network": {"start_from": str(run.hypernetworks / "photos-8.pt")}, "preview": {"every": 0}}
    longer = make_run(project, start, {"training": {"steps": 10}})
    assert run_to_end(longer) == 0
    assert sorted(losses(longer)) == [9, 10]
    assert (longer.hypernetworks / "photos-10.pt").is_file()
    done = make_run(project, start, {"training": {"steps": 8}})
    assert run_to_end(done) == 1
    assert "above 8" in events(done, "failed")[-1]["hint"]
