"""The benchmarks run and write what they found. How fast anything is, is no matter of tests."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main, table
from tests.benchmarks.figures import Figure, Took, alternate
from tests.benchmarks.wizard_cost import cost_of


def test_quick_run_writes_figures_with_machine_and_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "docs" / "benchmarks.json"

    assert main(["--quick", "--only", "startup", "--out", str(out)]) == 0

    report = json.loads(out.read_text())
    assert report["quick"] is True
    assert report["machine"]["cores"] >= 1
    assert report["machine"]["memory_gib"] > 0
    assert {"python", "torch", "diffusers", "transformers"} <= report["versions"].keys()
    assert list(report["subjects"]) == ["startup"]
    figures = report["subjects"]["startup"]["figures"]
    help_s = figures["hypernet --help"]
    assert help_s["unit"] == "s"
    assert help_s["goal_at_most"] == 0.3
    assert 0 < help_s["min"] <= help_s["median"] <= help_s["max"]
    assert len(help_s["samples"]) == 1
    assert all(figure["samples"] for figure in figures.values())
    assert "hypernet --help" in capsys.readouterr().out


def test_quick_run_of_the_wizard_finds_a_frame_blocks_and_redraws(tmp_path: Path) -> None:
    out = tmp_path / "wizard.json"
    assert main(["--quick", "--only", "wizard", "--out", str(out)]) == 0
    figures = json.loads(out.read_text())["subjects"]["wizard"]["figures"]
    assert len(figures) == 6
    assert all(figure["median"] > 0 for figure in figures.values())
    [redraw] = [figure for name, figure in figures.items() if name.startswith("from one redraw")]
    assert redraw["min"] > 0.2


def test_what_redraws_cost_a_training_is_told_from_what_its_steps_take_by_themselves() -> None:
    redraws = [10.0 + second for second in range(60)]
    ends = [9.0]
    while ends[-1] < 71:
        # Steps of 70 ms, each tenth one of 90; one that meets a redraw takes 8 ms longer.
        end = ends[-1] + (0.09 if len(ends) % 10 == 0 else 0.07)
        ends.append(end + (0.008 if any(ends[-1] < moment <= end for moment in redraws) else 0.0))
    assert cost_of(redraws, ends) == pytest.approx(0.008, abs=0.002)
    steady = [9.0 + 0.07 * number for number in range(900)]
    assert cost_of(redraws, steady) == pytest.approx(0.0, abs=1e-9)


def test_quick_or_partial_run_leaves_the_kept_figures_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.RESULTS", tmp_path / "benchmarks.json")
    monkeypatch.setattr("tests.benchmarks.__main__.SUBJECTS", {"nothing": _Nothing()})

    main(["--only", "nothing"])
    main(["--quick"])
    assert not (tmp_path / "benchmarks.json").exists()

    main([])
    assert json.loads((tmp_path / "benchmarks.json").read_text())["subjects"]["nothing"]["title"] == "Nothing"


class _Nothing:
    title = "Nothing"

    def measure(self, quick: bool) -> list[Figure]:
        return [Figure("none", "s", (0.0,))]


def test_median_is_judged_against_the_goal() -> None:
    assert Figure("a", "ratio", (1.0, 1.05, 9.0), at_most=1.10).reached is True
    assert Figure("a", "ratio", (1.0, 1.2, 1.3), at_most=1.10).reached is False
    assert Figure("a", "ratio", (1.0,)).reached is None
    (line,) = table([Figure("spread", "share", (0.01, 0.015, 0.03), at_most=0.02)])
    assert "1.50 %" in line
    assert "(1.00 % to 3.00 %)" in line
    assert "reached" in line


def test_contenders_take_turns_and_warm_up_is_not_counted() -> None:
    order: list[str] = []

    def contender(name: str) -> Took:
        order.append(name)
        return Took(float(len(order)), 0.0)

    found = alternate({name: lambda name=name: contender(name) for name in "ab"}, rounds=2)

    assert order == ["a", "b"] * 3
    assert [took.wall_s for took in found["a"]] == [3.0, 5.0]
