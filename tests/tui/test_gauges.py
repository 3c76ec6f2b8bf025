"""Readings as text, and slowness with its cause."""

from trainer.devices import Gauges, Gpu
from trainer.run.facts import StepPoint
from tui.gauges import GIB, cause_of, gauge_lines, gpu_of, machine_line, slowdown, slowdown_text


def gpu(**readings: object) -> Gpu:
    usual: dict[str, object] = {
        "index": 0, "name": "RTX 3060", "utilisation_percent": 96, "vram_total_bytes": 12 * GIB,
        "vram_used_bytes": 4 * GIB, "vram_free_bytes": 8 * GIB, "used_by_run_bytes": 4 * GIB,
        "used_by_others_bytes": 0, "temperature_c": 71, "power_w": 142.0, "slowed_by": (),
    }  # fmt: skip
    return Gpu(**{**usual, **readings})  # type: ignore[arg-type]


def steps(*seconds: float) -> list[StepPoint]:
    return [StepPoint(n, 0.1, 0.1, None, None, s, None, 0.0) for n, s in enumerate(seconds)]


def test_what_cannot_be_read_is_not_available_and_never_zero() -> None:
    lines = gauge_lines(Gauges(), None, 76)
    assert lines == ["GPU   n/a   VRAM n/a", "heat n/a  power n/a   CPU n/a   RAM n/a   disk n/a"]
    text = "\n".join(gauge_lines(Gauges((Gpu(0),)), Gpu(0), 76))
    assert "0" not in text
    assert text.count("n/a") == 10


def test_readings_fit_into_eighty_columns_with_their_units() -> None:
    card = gpu(used_by_run_bytes=int(3.1 * GIB), used_by_others_bytes=int(0.8 * GIB))
    lines = gauge_lines(Gauges((card,), 12.0, 6 * GIB, 31 * GIB, 212 * GIB, 500 * GIB), card, 76)
    assert lines[0].startswith("GPU  96 % ")
    assert "VRAM run 3.1, others 0.8, free 8.0 of 12.0 GiB" in lines[0]
    assert lines[1] == "71 °C  142 W   CPU 12 %   RAM 6.0 / 31.0 GiB   disk 212 GiB free"
    assert all(len(line) <= 76 for line in lines)


def test_the_card_of_the_run_is_the_one_shown() -> None:
    gauges = Gauges((gpu(index=0), gpu(index=1, temperature_c=40)))
    assert gpu_of(gauges, "cuda:1") == gauges.gpus[1]
    assert gpu_of(gauges, "cpu") == gauges.gpus[0]
    assert gpu_of(Gauges(), "cuda:0") is None


def test_the_machine_is_named_with_its_cards() -> None:
    assert machine_line("box7", None) == "box7"
    assert machine_line("box7", Gauges()) == "box7 · GPU n/a · VRAM n/a"
    assert machine_line("box7", Gauges((gpu(),))) == "box7 · RTX 3060 · 8.0 GiB free"


def test_slowness_is_measured_against_the_runs_own_median() -> None:
    assert slowdown(steps(*[0.4] * 100)) is None
    assert slowdown(steps(*[0.4] * 100, 2.0)) is None
    assert slowdown(steps(0.1, 1.0, 1.0)) is None
    assert slowdown(steps(*[0.4] * 100, *[0.8] * 5)) == 2.0


def test_causes_are_named_where_a_gauge_shows_one() -> None:
    slow = steps(*[0.4] * 100, *[0.8] * 5)
    assert slowdown_text(steps(*[0.4] * 100), Gauges(), None) == ""
    assert slowdown_text(slow, Gauges(), None) == "2.0 times slower than its own median; no gauge shows why."
    hot = gpu(slowed_by=("heat",))
    assert slowdown_text(slow, Gauges((hot,)), hot).endswith("median: the card is held down by heat.")
    assert "other processes use 2.0 GiB" in cause_of(Gauges(), gpu(used_by_others_bytes=2 * GIB))
    assert "spilled" in cause_of(Gauges(), gpu(vram_used_bytes=12 * GIB))
    assert "memory is full" in cause_of(Gauges(ram_used_bytes=31 * GIB, ram_total_bytes=32 * GIB), gpu())
    assert "cores" in cause_of(Gauges(cpu_percent=99.0), None)
