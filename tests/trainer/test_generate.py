"""Pictures on the demo model: tags and what they change, memory that runs out, what is written into the PNG."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import trainer.generate
from tests.support.commands import hypernet
from trainer.demo.assets import demo_model_dir
from trainer.draw_request import DrawRequest, read_request, size_fields
from trainer.drawing_setup import setup_for_model
from trainer.errors import AppError
from trainer.generate import Artist, wanted_networks
from trainer.hypernetwork import Hypernetwork, Structure, save
from trainer.hypernetwork.find import find_hypernetworks

DIMS = (96, 32, 64, 128)
FAST: dict[str, Any] = {"steps": 3, "sampler": "DDIM", "seed": 5, "cfg_scale": 3.0}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two networks that change pictures, as random ones do."""
    folder = tmp_path_factory.mktemp("hypernetworks")
    for seed, name in enumerate(("one", "two")):
        structure = Structure(weight_initialization="XavierNormal")
        save(Hypernetwork.create(DIMS, structure, seed=seed, name=name), folder / f"{name}.pt")
    return folder


@pytest.fixture(scope="module")
def notes() -> list[str]:
    return []


@pytest.fixture(scope="module")
def artist(shelf: Path, notes: list[str]) -> Artist:
    setup = setup_for_model(str(demo_model_dir()), [shelf], {"memory": {"device": "cpu", "threads": 1}})
    return Artist.load(setup, notes.append)


def pixels(artist: Artist, prompt: str, **fields: Any) -> list[np.ndarray]:
    request = DrawRequest(**{**FAST, "prompt": prompt, **fields})
    return [np.asarray(one.picture, dtype=np.int16) for one in artist.draw(request)]


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).mean())


def test_a_tag_changes_the_picture_by_its_weight_and_order(artist: Artist) -> None:
    plain = pixels(artist, "a red circle")[0]
    full = pixels(artist, "a red circle<hypernet:one>")[0]
    half = pixels(artist, "a red circle<hypernet:one:0.5>")[0]
    assert difference(plain, full) > difference(plain, half) > 1
    assert difference(plain, pixels(artist, "a red circle<hypernet:one:0>")[0]) == 0
    both = pixels(artist, "a red circle<hypernet:one:0.5><hypernet:two:0.5>")[0]
    turned = pixels(artist, "a red circle<hypernet:two:0.5><hypernet:one:0.5>")[0]
    assert difference(both, turned) > 0.1


def test_unknown_names_and_bad_weights_are_told_and_leave_the_picture_alone(artist: Artist, notes: list[str]) -> None:
    plain = pixels(artist, "a red circle")[0]
    notes.clear()
    assert difference(plain, pixels(artist, "a red circle<hypernet:onw:1>")[0]) == 0
    assert "there is no onw.pt. Did you mean one?" in notes[0]
    assert difference(plain, pixels(artist, "a red circle<hypernet:one:1><hypernet:two:much>")[0]) == 0
    assert "not a number" in notes[-1]


def test_networks_named_beside_the_prompt(artist: Artist, shelf: Path) -> None:
    tagged = pixels(artist, "a red circle<hypernet:one:0.5>")[0]
    path = str(shelf / "one.pt")
    for fields in ({"hypernetworks": (path,), "strength": 0.5}, {"hypernetworks": f"{path}:0.5"}):
        assert difference(tagged, pixels(artist, "a red circle", **fields)[0]) == 0
    drawn = artist.draw(DrawRequest(**FAST, prompt="a red circle", hypernetworks=("one:0.5",)))
    assert "a red circle <hypernet:one:0.5>\n" in drawn[0].parameters
    with pytest.raises(AppError, match="There is no three"):
        pixels(artist, "a red circle", hypernetworks=("three",))


def test_pictures_of_a_batch_do_not_depend_on_the_memory(
    artist: Artist, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = pixels(artist, "a red circle", batch=3)
    alone = pixels(artist, "a red circle", seed=FAST["seed"] + 2)
    assert difference(straight[2], alone[0]) < 0.01

    real = trainer.generate.sample_latents

    def small(denoiser: Any, scheduler: Any, context_BLD: Any, *rest: Any) -> Any:
        if len(context_BLD) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return real(denoiser, scheduler, context_BLD, *rest)

    monkeypatch.setattr(trainer.generate, "sample_latents", small)
    notes.clear()
    split = pixels(artist, "a red circle", batch=3)
    assert all(difference(a, b) < 0.01 for a, b in zip(straight, split, strict=True))
    assert notes == ["Memory is too small for 3 pictures at once; drawing 1."]


def test_decoding_falls_back_to_tiles_and_then_the_cpu(
    artist: Artist, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = pixels(artist, "a red circle")[0]
    real, tries = trainer.generate.decode, []

    def failing(vae: Any, latents_BCHW: Any) -> Any:
        tries.append(vae.use_tiling)
        if len(tries) < 3:
            raise torch.OutOfMemoryError("out of memory")
        return real(vae, latents_BCHW)

    monkeypatch.setattr(trainer.generate, "decode", failing)
    notes.clear()
    assert difference(straight, pixels(artist, "a red circle")[0]) < 3
    assert tries == [False, True, True]
    assert "in tiles" in notes[0]
    assert "on the CPU" in notes[1]
    assert not artist.base.vae.use_tiling


def test_what_cannot_be_drawn_is_refused(artist: Artist) -> None:
    with pytest.raises(AppError, match="WIDTHxHEIGHT"):
        size_fields("big")
    with pytest.raises(AppError, match="multiple of 8"):
        read_request({"prompt": "x", **size_fields("65x64")})
    with pytest.raises(AppError, match="sampler"):
        read_request({"prompt": "x", "sampler": "Euler b"})
    with pytest.raises(AppError, match="multiples of 4"):
        pixels(artist, "x", width=8, height=8)


def test_a_file_named_none_is_never_found_and_the_first_folder_counts(tmp_path: Path, shelf: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("None.pt", "one.pt", "below/deep (1).pt"):
        (tmp_path / name).touch()
    found = find_hypernetworks([tmp_path, shelf])
    assert found.keys() == {"one", "two", "deep (1)"}
    assert found["one"] == tmp_path / "one.pt"


def test_a_repeated_name_is_applied_twice(shelf: Path) -> None:
    wanted = wanted_networks(DrawRequest(prompt="a <hypernet:one:0.5> b <hypernet:one> c"), [shelf])
    assert wanted.chain == [(shelf / "one.pt", 0.5), (shelf / "one.pt", 1.0)]
    assert wanted.text == "a  b  c"


def test_the_command_writes_pngs_that_inspect_reads(
    tmp_path: Path, shelf: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = "a red circle, \u202eevil <hypernet:one:0.7>"
    said = hypernet(
        capsys,
        *("generate", prompt, "--model", str(demo_model_dir()), "--hypernetwork-dir", str(shelf)),
        *("--steps", "2", "--sampler", "Euler a", "--cfg", "3", "--seed", "-1", "--size", "64x32", "--batch", "2"),
        *("--negative", "noise", "--device", "cpu", "--out", str(tmp_path / "out")),
    )
    assert said.code == 0, said.err
    pictures = sorted((tmp_path / "out").glob("*.png"))
    seeds = [int(path.stem.partition("-")[2]) for path in pictures]
    assert seeds[1] == seeds[0] + 1
    with Image.open(pictures[0]) as picture:
        assert picture.size == (64, 32)
        text = picture.info["parameters"]
    assert text.startswith(
        f"{prompt}\nNegative prompt: noise\nSteps: 2, Sampler: Euler a, CFG scale: 3, Seed: {seeds[0]},"
    )
    assert 'Hypernet hashes: "one: ' in text
    seen = hypernet(capsys, "inspect", str(pictures[0]))
    assert "<hypernet:one:0.7>" in seen.out
    assert "\u202e" not in seen.out
    nothing = hypernet(capsys, "generate")
    assert nothing.code == 2
    assert "say what to draw" in nothing.err
