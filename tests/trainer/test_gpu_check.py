"""The script that checks memory on a GPU works: here on the demo model's sizes, with an account in its place."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "gpu"))
import check


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    torch.set_num_threads(1)
    return check.main(["--device", "cpu", "--tiny"])


def test_every_rung_runs_as_predicted_with_the_same_losses(found: dict[str, Any]) -> None:
    rungs = [case for case in found["cases"] if case["group"].startswith("rung")]
    assert [case["outcome"] for case in rungs] == ["ran"] * len(check.RUNGS)
    for case in rungs:
        assert case["losses"] == pytest.approx(rungs[0]["losses"], rel=0.02), case["group"]
        assert 0.75 < case["predicted_to_measured"] < 1.25, case["group"]


def test_a_cap_is_met_by_a_rung_further_down(found: dict[str, Any]) -> None:
    caps = [each for each in found["capped"] if "cap_bytes" in each]
    assert [each["runs"] for each in caps] == [True] * 2
    roomy, tight = (each["tried"][-1]["memory"] for each in caps)
    assert not roomy["gradient_checkpointing"]
    assert tight["offload"] != "none" or tight["weights"] == "8bit"
    preview = next(each["preview"] for each in found["capped"] if "preview" in each)
    assert preview["way"] in ("tiles", "cpu")
    assert preview["told"]
