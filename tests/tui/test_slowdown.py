"""A run that became slow, and what in the readings is the cause: what is so now and wasn't then."""

from pathlib import Path

import pytest

from tests.tui.stories import Story
from trainer.devices import Gauges, Gpu
from trainer.run.facts import StepPoint
from trainer.run.lock import RunLock
from tui import feed as feed_module
from tui.feed import RunFeed
from tui.gauges import GIB
from tui.slowdown import cause_of, slowdown, slowdown_text


def gpu(**readings: object) -> Gpu:
    usual: dict[str, object] = {
        "index": 0, "name": "RTX 3060", "utilisation_percent": 96, "vram_total_bytes": 12 * GIB,
        "vram_used_bytes": 4 * GIB, "vram_free_bytes": 8 * GIB, "used_by_run_bytes": 4 * GIB,
        "used_by_others_bytes": 0, "temperature_c": 71, "power_w": 142.0, "slowed_by": (),
    }  # fmt: skip
    return Gpu(**{**usual, **readings})  # type: ignore[arg-type]


def steps(*seconds: float) -> list[StepPoint]:
    return [StepPoint(n, 0.1, 0.1, None, None, s, None, 0.0) for n, s in enumerate(seconds)]


def test_slowness_is_measured_against_the_runs_own_median() -> None:
    assert slowdown(steps(*[0.4] * 100)) is None
    assert slowdown(steps(*[0.4] * 100, 2.0)) is None
    assert slowdown(steps(0.1, 1.0, 1.0)) is None
    assert slowdown(steps(*[0.4] * 100, *[0.8] * 5)) == 2.0
    assert slowdown(steps(*[0.4] * 5000, *[0.8] * 5)) == 2.0
    assert slowdown(steps(*[0.4] * 5000, *[0.8] * 1500)) is None


def test_causes_are_named_where_a_gauge_shows_one() -> None:
    assert slowdown_text(None, Gauges(), None) == ""
    assert slowdown_text(2.0, Gauges(), None) == "2.0 times slower than its own median; no gauge shows why."
    hot = gpu(slowed_by=("heat",))
    assert slowdown_text(2.0, Gauges((hot,)), hot).endswith("median: the card is held down by heat at 71 °C.")
    assert "other processes use 2.0 GiB" in cause_of(Gauges(), gpu(used_by_others_bytes=2 * GIB))
    assert "spilled" in cause_of(Gauges(), gpu(vram_used_bytes=12 * GIB))
    assert "memory is full" in cause_of(Gauges(ram_used_bytes=31 * GIB, ram_total_bytes=32 * GIB), gpu())
    assert "cores" in cause_of(Gauges(cpu_percent=99.0), None)


def test_a_cause_that_was_there_while_the_run_was_fast_is_none() -> None:
    limited = gpu(slowed_by=("power limit",), used_by_others_bytes=2 * GIB)
    assert cause_of(None, limited, None, limited) == ""
    hot = gpu(slowed_by=("power limit", "heat"), temperature_c=91, clock_mhz=900)
    fast = gpu(slowed_by=("power limit",), clock_mhz=1800)
    assert cause_of(None, hot, None, fast) == (
        "the card is held down by heat at 91 °C; its clock fell from 1,800 to 900 MHz"
    )
    assert cause_of(None, gpu(clock_mhz=900), None, gpu(clock_mhz=1800)) == (
        "the card slowed down, its clock fell from 1,800 to 900 MHz"
    )
    full = Gauges(ram_used_bytes=31 * GIB, ram_total_bytes=32 * GIB)
    assert cause_of(full, None, full) == ""


def test_swapping_other_programs_and_a_slow_disk_are_told_apart() -> None:
    quiet = Gauges(cpu_percent=60.0, cpu_run_percent=55.0, cpu_wait_percent=1.0, swap_bytes_s=0.0)
    swapping = Gauges(cpu_percent=60.0, cpu_run_percent=55.0, cpu_wait_percent=40.0, swap_bytes_s=12.0 * 2**20)
    assert cause_of(swapping, None, quiet) == "memory is spilled to the disk, 12.0 MiB a second"
    assert cause_of(Gauges(cpu_percent=99.0, cpu_run_percent=30.0), None, quiet) == (
        "other processes use 69 % of the processor"
    )
    assert cause_of(Gauges(cpu_percent=99.0, cpu_run_percent=98.0), None, quiet) == ""
    assert cause_of(Gauges(cpu_percent=60.0, cpu_run_percent=55.0, cpu_wait_percent=34.0), None, quiet) == (
        "the processor waits for the disk 34 % of the time"
    )


def test_the_feed_remembers_readings_from_before_the_first_slow_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "GAUGES_S", 0.0)
    reading = Gauges(cpu_percent=50.0, cpu_run_percent=45.0)
    feed = RunFeed((story := Story(tmp_path / "gollum").train(40).until_now()).folder, lambda *_: reading)
    with RunLock(story.folder):
        feed.advance()
        story.train(20).until_now()
        feed.advance()
        reading = Gauges(cpu_percent=100.0, cpu_run_percent=30.0)
        for _ in range(8):
            story.train(1, 1.5).until_now()
            feed.advance()
    assert feed.view.usual == Gauges(cpu_percent=50.0, cpu_run_percent=45.0)
    assert slowdown_text(feed.view.slower, feed.view.gauges, None, feed.view.usual) == (
        "3.6 times slower than its own median: other processes use 70 % of the processor."
    )
