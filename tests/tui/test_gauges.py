"""Readings as text."""

from trainer.devices import Gauges, Gpu
from tui.gauges import GIB, gauge_lines, gpu_of, machine_line


def gpu(**readings: object) -> Gpu:
    usual: dict[str, object] = {
        "index": 0, "name": "RTX 3060", "utilisation_percent": 96, "vram_total_bytes": 12 * GIB,
        "vram_used_bytes": 4 * GIB, "vram_free_bytes": 8 * GIB, "used_by_run_bytes": 4 * GIB,
        "used_by_others_bytes": 0, "temperature_c": 71, "power_w": 142.0, "slowed_by": (),
    }  # fmt: skip
    return Gpu(**{**usual, **readings})  # type: ignore[arg-type]


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
