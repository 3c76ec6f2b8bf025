"""The doctor's judgements, each with what to do; and the command that prints them."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.commands import hypernet
from tests.tui.stories import HOSTILE
from trainer.devices import Gauges, Gpu, driver_version
from trainer.doctor.findings import (
    GIB,
    Finding,
    Standing,
    captioners_finding,
    card_findings,
    colour_text,
    extras_findings,
    logout_finding,
    machine_findings,
    models_finding,
    terminal_findings,
    torch_finding,
)
from trainer.doctor.look import look_at_machine, look_at_torch, optional_packages
from trainer.run.logout import LogoutBehaviour

CARD = Gpu(0, "RTX 3060", vram_total_bytes=12 * GIB, vram_free_bytes=11 * GIB)


def test_cards_are_judged_by_their_memory_and_who_uses_it() -> None:
    fine, driver = card_findings(Gauges((CARD,)), "550.54")
    assert (fine.standing, fine.text) == (Standing.FINE, "RTX 3060, 11.0 GiB of 12.0 GiB free")
    assert driver == Finding("Driver", Standing.FINE, "550.54")
    [used, _] = card_findings(Gauges((Gpu(0, "A", vram_total_bytes=8 * GIB, vram_free_bytes=GIB),)), "550")
    assert "others use it" in used.text
    assert "nvidia-smi" in used.advice
    [small, _] = card_findings(Gauges((Gpu(0, "A", vram_total_bytes=2 * GIB, vram_free_bytes=2 * GIB),)), "550")
    assert "256 or 384 px" in small.advice
    [unknown, _] = card_findings(Gauges((Gpu(3),)), "550")
    assert unknown.text == "card 3; its memory can't be read"


def test_no_driver_and_no_card_are_different_troubles() -> None:
    [none] = card_findings(Gauges(), None)
    assert none.standing is Standing.NOTE
    assert "processor" in none.text
    [no_card] = card_findings(Gauges(), "550")
    assert no_card.standing is Standing.BAD
    assert "--gpus all" in no_card.advice


@pytest.mark.parametrize(
    ("facts", "has_cards", "standing", "said"),
    [
        ({"version": "2.13", "devices": ["RTX 3060"], "bf16": True}, True, Standing.FINE, "2.13 sees RTX 3060"),
        ({"version": "2.13", "devices": []}, False, Standing.FINE, "on the processor"),
        ({"version": "2.13", "cuda": "13.0", "devices": []}, True, Standing.BAD, "sees no card"),
        ({"version": "2.13+cpu", "cuda": None, "devices": []}, True, Standing.BAD, "without CUDA"),
        ({"error": "OSError: libcudart"}, True, Standing.BAD, "libcudart"),
        (None, False, Standing.BAD, "without a word"),
    ],
)
def test_torch_is_judged_beside_the_cards(
    facts: dict[str, object] | None, has_cards: bool, standing: Standing, said: str
) -> None:
    found = torch_finding(facts, has_cards)
    assert found.standing is standing
    assert said in found.text
    assert bool(found.advice) is (standing is Standing.BAD)


def test_memory_and_disk_are_judged_by_what_a_full_size_model_takes() -> None:
    ram, disk = machine_findings(Gauges((), 1.0, GIB, 4 * GIB, GIB // 2, 9 * GIB), "/p")
    assert (ram.standing, disk.standing) == (Standing.NOTE, Standing.BAD)
    assert disk.text == "512 MiB free at /p"
    assert all(f.advice for f in (ram, disk))
    ram, disk = machine_findings(Gauges((), 1.0, GIB, 32 * GIB, 90 * GIB, 100 * GIB), "/p")
    assert (ram.standing, disk.standing) == (Standing.FINE, Standing.FINE)
    assert [f.standing for f in machine_findings(Gauges(), "/p")] == [Standing.NOTE, Standing.BAD]


def test_a_logout_that_ends_runs_is_bad_and_says_how_to_mend_it() -> None:
    assert logout_finding(None).standing is Standing.FINE
    found = logout_finding(LogoutBehaviour("session", True, False, True).warning)
    assert (found.standing, found.text) == (Standing.BAD, "This machine ends your processes when you log out")
    assert found.advice.startswith("Run `loginctl enable-linger` once")


def test_terminals_are_told_by_type_size_colours_and_multiplexer() -> None:
    [fine] = terminal_findings({"TERM": "xterm-256color", "TMUX": "/x"}, (120, 40), "utf-8")
    assert (fine.standing, fine.text) == (Standing.FINE, "xterm-256color, 120×40, 256 colours, in tmux")
    assert "80×24 or larger" in terminal_findings({"TERM": "xterm", "STY": "1"}, (60, 20), "utf-8")[0].advice
    assert "--ascii" in terminal_findings({"TERM": "linux"}, (80, 24), "ANSI_X3.4-1968")[0].advice
    assert "attach" in terminal_findings({"TERM": "dumb"}, (80, 24), "utf-8")[0].advice
    assert colour_text({"NO_COLOR": "1", "COLORTERM": "truecolor"}).startswith("no colour")
    assert colour_text({"COLORTERM": "truecolor"}) == "16 million colours"
    assert colour_text({"TERM": "linux"}) == "16 colours"


def test_models_and_extras_are_listed_with_how_to_get_more() -> None:
    assert "OWNER/NAME" in models_finding([], ["/a1111"]).advice
    assert models_finding(["/m/a.ckpt", "/m/b.ckpt"], []).text == "2 found, the newest /m/a.ckpt"
    assert models_finding(["/m/a.ckpt"], [], "/m/a.ckpt is cut short.").advice == (
        "The newest can't be trained on. /m/a.ckpt is cut short."
    )
    [extras] = extras_findings({"faces": ["cv2"], "wd": ["onnxruntime", "x"]}, ["x"])
    assert extras.text == "faces installed, wd not"
    assert extras.advice.startswith('pip install "hypernet-wizard[wd]"')
    assert {"faces", "tensorboard"} <= optional_packages().keys()
    assert "test" not in optional_packages()
    assert optional_packages("no-such-distribution") == {}


def test_hostile_names_are_shown_harmlessly() -> None:
    found = [
        *card_findings(Gauges((Gpu(0, HOSTILE, vram_total_bytes=12 * GIB, vram_free_bytes=11 * GIB),)), HOSTILE),
        torch_finding({"version": HOSTILE, "devices": [HOSTILE]}, True), torch_finding({"error": HOSTILE}, True),
        *machine_findings(Gauges(), HOSTILE), models_finding([HOSTILE], [HOSTILE]),
        *terminal_findings({"TERM": HOSTILE}, (80, 24), "utf-8"),
    ]  # fmt: skip
    assert not any(c in f.text for f in found for c in "\x1b\x07\u202e\n")


def test_a_torch_that_dies_or_prints_nonsense_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    for script in ("kill -9 $$", "echo no json", "exit 3", "echo 7"):
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(python))
        assert look_at_torch().standing is Standing.BAD


def test_the_command_prints_every_finding_and_json(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERNET_PROJECTS", str(tmp_path / "not-yet"))
        outcome = hypernet(capfd, "doctor")
        assert outcome.code == 0
        for topic in ("GPU", "Memory", "Disk", "Logout", "Models", "Extras", "torch", "Terminal"):
            assert topic in outcome.out
        told = json.loads(hypernet(capfd, "doctor", "--json").out)
    assert {"topic", "standing", "text", "advice"} == told["findings"][0].keys()
    assert told["versions"]["torch"]
    assert told["gauges"]["ram_total_bytes"] > 0


def test_a_newest_model_that_is_damaged_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "stable-diffusion-webui/models/Stable-diffusion"
    models.mkdir(parents=True)
    (models / "broken.safetensors").write_bytes(b"\xff" * 64)
    monkeypatch.chdir(tmp_path)
    found = next(finding for finding in look_at_machine() if finding.topic == "Models")
    assert found.standing is Standing.NOTE
    assert "broken.safetensors" in found.text
    assert found.advice.startswith("The newest can't be trained on.")


def test_a_driver_that_cannot_tell_its_version_is_a_driver() -> None:
    class Nvml:
        class NVMLError(Exception):
            pass

        def nvmlInit(self) -> None:
            pass

    assert driver_version(Nvml()) == "of unknown version"


def test_captioners_that_could_start_are_named() -> None:
    told = captioners_finding({"blip": "ready", "wd": "to be downloaded (about 0.4 GB)"})
    assert told.text == "blip ready"
    none = captioners_finding({"blip": "to be downloaded (about 1 GB)"})
    assert "no model" in none.text
    assert "hypernet caption --list" in none.advice
