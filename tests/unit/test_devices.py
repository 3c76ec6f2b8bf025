"""Gauges: what cannot be read is n/a, never 0 and never an error."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainer.devices import Devices, Gauges, Gpu, gauges_text, read_gauges

GIB = 1 << 30


class FakeNvml:
    """NVML with one card; questions in `unsupported` fail as on cards that can't answer them."""

    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    nvmlMemory_v2 = 2

    class NVMLError(Exception):
        pass

    def __init__(self, *unsupported: str, driver: bool = True) -> None:
        self.unsupported = unsupported
        self.driver = driver
        self.processes = [SimpleNamespace(pid=7, usedGpuMemory=3 * GIB), SimpleNamespace(pid=8, usedGpuMemory=GIB)]

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvmlDevice") and name in self.unsupported:
            return self._refuse
        return object.__getattribute__(self, name)

    def _refuse(self, *_: object, **__: object) -> None:
        raise self.NVMLError("Not Supported")

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"card {index}"

    def nvmlDeviceGetName(self, handle: str) -> bytes:
        return b"Fake RTX"

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        return SimpleNamespace(gpu=93, memory=40)

    def nvmlDeviceGetMemoryInfo(self, handle: str, version: int = 1) -> Any:
        return SimpleNamespace(total=8 * GIB, free=3 * GIB, used=5 * GIB)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> Any:
        return self.processes

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return 71

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        return 150_500

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: str) -> int:
        return 200_000

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        return 1800

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:
        return 0x1 | 0x4 | 0x20


def test_a_card_is_read() -> None:
    (gpu,) = Devices(FakeNvml()).read(pids=[7]).gpus
    assert gpu == Gpu(
        index=0,
        name="Fake RTX",
        utilisation_percent=93,
        vram_total_bytes=8 * GIB,
        vram_free_bytes=3 * GIB,
        vram_used_bytes=5 * GIB,
        used_by_run_bytes=3 * GIB,
        used_by_others_bytes=2 * GIB,
        temperature_c=71,
        power_w=150.5,
        power_limit_w=200.0,
        clock_mhz=1800,
        slowed_by=("power limit", "heat"),
    )


def test_no_driver_means_no_cards() -> None:
    gauges = Devices(FakeNvml(driver=False)).read()
    assert gauges.gpus == ()
    assert gauges_text(gauges)[0] == "GPU   n/a"


@pytest.mark.parametrize(
    ("question", "fields"),
    [
        ("nvmlDeviceGetName", ["name"]),
        ("nvmlDeviceGetUtilizationRates", ["utilisation_percent"]),
        (
            "nvmlDeviceGetMemoryInfo",
            ["vram_total_bytes", "vram_free_bytes", "vram_used_bytes", "used_by_others_bytes"],
        ),
        ("nvmlDeviceGetComputeRunningProcesses", ["used_by_run_bytes", "used_by_others_bytes"]),
        ("nvmlDeviceGetTemperature", ["temperature_c"]),
        ("nvmlDeviceGetPowerUsage", ["power_w"]),
        ("nvmlDeviceGetEnforcedPowerLimit", ["power_limit_w"]),
        ("nvmlDeviceGetClockInfo", ["clock_mhz"]),
        ("nvmlDeviceGetCurrentClocksThrottleReasons", ["slowed_by"]),
    ],
)
def test_one_unsupported_reading_costs_no_other(question: str, fields: list[str]) -> None:
    (gpu,) = Devices(FakeNvml(question)).read(pids=[7]).gpus
    missing = {name for name, value in vars(gpu).items() if value is None}
    assert missing == set(fields)
    assert "n/a" in "\n".join(gauges_text(Gauges(gpus=(gpu,))))


def test_a_lost_card_stays_listed() -> None:
    assert Devices(FakeNvml("nvmlDeviceGetHandleByIndex")).read().gpus == (Gpu(0),)


def test_memory_of_a_run_that_the_driver_does_not_know_is_unknown() -> None:
    (gpu,) = Devices(FakeNvml()).read(pids=[12345]).gpus
    assert gpu.used_by_run_bytes is None
    assert gpu.used_by_others_bytes is None
    hidden = FakeNvml()
    hidden.processes = [SimpleNamespace(pid=7, usedGpuMemory=None)]
    assert Devices(hidden).read(pids=[7]).gpus[0].used_by_run_bytes is None


def test_old_drivers_tell_memory_by_the_first_layout() -> None:
    class Old(FakeNvml):
        def nvmlDeviceGetMemoryInfo(self, handle: str, version: int = 1) -> Any:
            return super().nvmlDeviceGetMemoryInfo(handle) if version == 1 else self._refuse()

    assert Devices(Old()).read().gpus[0].vram_total_bytes == 8 * GIB


def test_this_machine_is_read(tmp_path: Path) -> None:
    gauges = read_gauges(disk=tmp_path)
    assert gauges.ram_total_bytes is not None
    assert 0 < (gauges.ram_used_bytes or 0) < gauges.ram_total_bytes
    assert 0 < (gauges.disk_free_bytes or 0) <= (gauges.disk_total_bytes or 0)
    assert read_gauges(disk=tmp_path / "absent").disk_free_bytes is None


def test_the_processor_needs_two_looks() -> None:
    devices = Devices(FakeNvml(driver=False))
    assert devices.read().cpu_percent is None
    sum(range(2_000_000))
    second = devices.read().cpu_percent
    assert second is None or 0 <= second <= 100


def test_what_the_run_itself_used_of_the_processor_is_told_apart() -> None:
    devices, own = Devices(FakeNvml(driver=False)), os.getpid()
    assert devices.read([own]).cpu_run_percent is None
    end = time.process_time() + 0.15
    while time.process_time() < end:
        pass
    second = devices.read([own, 2**22 + 7])
    assert second.cpu_run_percent is not None
    assert second.cpu_run_percent > 0
    assert second.cpu_wait_percent is not None
    assert second.swap_bytes_s is not None
    assert devices.read([]).cpu_run_percent is None


def group(root: Path, limit: str, used: str, inactive: int = 0) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "memory.max").write_text(limit + "\n")
    (root / "memory.current").write_text(used + "\n")
    (root / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


def test_a_containers_memory_limit_counts(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/pod/box\n")
    mounted = tmp_path / "fs"
    group(mounted / "pod/box", "max", str(90 << 20))
    group(mounted / "pod", str(256 << 20), str(100 << 20), inactive=30 << 20)
    gauges = Devices(FakeNvml(driver=False), mounted, own).read()
    assert (gauges.ram_used_bytes, gauges.ram_total_bytes) == (70 << 20, 256 << 20)


def test_the_first_version_of_control_groups_counts_too(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("5:cpu:/\n4:memory:/box\n0::/\n")
    folder = tmp_path / "fs/memory/box"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(str(512 << 20))
    (folder / "memory.usage_in_bytes").write_text(str(10 << 20))
    gauges = Devices(FakeNvml(driver=False), tmp_path / "fs", own).read()
    assert (gauges.ram_used_bytes, gauges.ram_total_bytes) == (10 << 20, 512 << 20)


def test_no_reading_is_shown_as_zero() -> None:
    text = "\n".join(gauges_text(Gauges(gpus=(Gpu(0),))))
    assert "0%" not in text
    assert text.count("n/a") >= 12
