"""Readings as lines of text."""

from trainer.devices import Gauges, Gpu
from trainer.text import size_text
from tui.words import bar

GIB = 1 << 30
LEAST_BAR = 4
"""Shorter bars say nothing."""


def gpu_of(gauges: Gauges, device: str) -> Gpu | None:
    """Return the card of a device such as "cuda:1"; the first one where that can't be told."""
    index = device.rpartition(":")[2]
    wanted = int(index) if index.isdigit() else 0
    return next((gpu for gpu in gauges.gpus if gpu.index == wanted), gauges.gpus[0] if gauges.gpus else None)


def gauge_lines(gauges: Gauges, gpu: Gpu | None, width: int) -> list[str]:
    """Return all readings as two lines; what can't be read is "n/a"."""
    busy = gpu.utilisation_percent if gpu else None
    used, total = (gpu.vram_used_bytes, gpu.vram_total_bytes) if gpu else (None, None)
    cells = [f"GPU {_shown(busy, '%'):>5}", f"VRAM {vram_text(gpu)}"]
    shares = [None if busy is None else busy / 100, used / total if used is not None and total else None]
    room = min(24, (width - len("   ".join(cells)) - 2) // 2)
    drawn = ["" if share is None or room < LEAST_BAR else f" {bar(share, room)}" for share in shares]
    first = "   ".join(cell + gauge for cell, gauge in zip(cells, drawn, strict=True))
    return [first, "   ".join([_heat(gpu), *_machine(gauges)])]


def vram_text(gpu: Gpu | None) -> str:
    """Return how a card's memory is shared: "run 3.1, others 0.8, free 8.1 of 12.0 GiB"; "n/a" without a card."""
    if gpu is None:
        return "n/a"
    parts = (gpu.used_by_run_bytes, gpu.used_by_others_bytes, gpu.vram_free_bytes, gpu.vram_total_bytes)
    run, others, free, total = ("n/a" if part is None else f"{part / GIB:.1f}" for part in parts)
    return f"run {run}, others {others}, free {free} of {total} GiB"


def _heat(gpu: Gpu | None) -> str:
    heat = _shown(gpu.temperature_c if gpu else None, "°C")
    power = _shown(gpu.power_w if gpu else None, "W")
    return f"{heat}  {power}" if gpu else "heat n/a  power n/a"


def _machine(gauges: Gauges) -> list[str]:
    used, total, free = gauges.ram_used_bytes, gauges.ram_total_bytes, gauges.disk_free_bytes
    ram = "n/a" if used is None or total is None else f"{used / GIB:.1f} / {total / GIB:.1f} GiB"
    disk = "n/a" if free is None else f"{size_text(free)} free"
    return [f"CPU {_shown(gauges.cpu_percent, '%')}", f"RAM {ram}", f"disk {disk}"]


def machine_line(host: str, gauges: Gauges | None) -> str:
    """Return the machine in a line: host, card and free memory: "box7 · RTX 3060 · 11.2 GiB free"."""
    if gauges is None:
        return host
    cards = [
        f"{gpu.name or 'GPU'} · {'n/a' if gpu.vram_free_bytes is None else size_text(gpu.vram_free_bytes)} free"
        for gpu in gauges.gpus
    ]
    return " · ".join([host, *(cards or ["GPU n/a · VRAM n/a"])])


def _shown(value: float | None, unit: str) -> str:
    return "n/a" if value is None else f"{value:.0f} {unit}"
