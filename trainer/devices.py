"""Readings of GPUs, processor, memory and disk. What cannot be read is None and shown as "n/a", never as 0."""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trainer.text import printable, size_text

T = TypeVar("T")

SLOWDOWNS: Mapping[int, str] = {
    0x2: "clocks set by the user",
    0x4: "power limit",
    0x8: "hardware slowdown",
    0x10: "held to the slowest card of a group",
    0x20: "heat",
    0x40: "heat (hardware)",
    0x80: "power supply",
    0x100: "display clocks",
}
"""Reasons for a lower clock (NVML's nvmlClocksEventReason* constants, nvml.h); 0x1, an idle card, is none."""


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA card; every reading may be missing."""

    index: int
    name: str | None = None
    utilisation_percent: int | None = None
    vram_total_bytes: int | None = None
    vram_free_bytes: int | None = None
    vram_used_bytes: int | None = None
    used_by_run_bytes: int | None = None
    used_by_others_bytes: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    clock_mhz: int | None = None
    slowed_by: tuple[str, ...] | None = None
    """Why the clock is held down; empty when it isn't."""


@dataclass(frozen=True)
class Gauges:
    """All readings of one moment."""

    gpus: tuple[Gpu, ...] = ()
    cpu_percent: float | None = None
    """Share of all cores that was busy since the reading before."""
    ram_used_bytes: int | None = None
    ram_total_bytes: int | None = None
    """The machine's memory, or the container's limit where that is less."""
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    cpu_run_percent: float | None = None
    """The part of `cpu_percent` that the run's own processes used."""
    cpu_wait_percent: float | None = None
    """Share of the time since the reading before in which cores had nothing to do but wait for the disk."""
    swap_bytes_s: float | None = None
    """Memory moved between RAM and disk since the reading before, a second."""


class Devices:
    """Takes readings; keeps what must be kept between two of them.

    Args:
        nvml: NVML's binding, the module `pynvml`; found by itself when left out.
        cgroups: Where control groups are mounted.
        own_cgroup: The kernel's file that names this process's group.
    """

    def __init__(
        self,
        nvml: Any = None,
        cgroups: Path = Path("/sys/fs/cgroup"),
        own_cgroup: Path = Path("/proc/self/cgroup"),
    ) -> None:
        self._nvml = _ready(nvml)
        self._limits = _memory_limits(cgroups, own_cgroup)
        self._cpu: _CpuTimes | None = None
        self._swap: tuple[float, float] | None = None

    def read(self, pids: Collection[int] = (), disk: Path | None = None) -> Gauges:
        """Take all readings; never fails.

        Args:
            pids: The run's processes, whose share of VRAM is told apart.
            disk: A path on the disk to look at.
        """
        ram_used, ram_total = self._ram()
        free, total = _disk(disk)
        busy, by_run, waiting = self._cpu_shares(pids)
        return Gauges(
            gpus=self._gpus(frozenset(pids)),
            cpu_percent=busy,
            cpu_run_percent=by_run,
            cpu_wait_percent=waiting,
            swap_bytes_s=self._swap_pace(),
            ram_used_bytes=ram_used,
            ram_total_bytes=ram_total,
            disk_free_bytes=free,
            disk_total_bytes=total,
        )

    def _gpus(self, pids: frozenset[int]) -> tuple[Gpu, ...]:
        count = self._ask(lambda nvml: int(nvml.nvmlDeviceGetCount())) or 0
        return tuple(self._gpu(index, pids) for index in range(count))

    def _gpu(self, index: int, pids: frozenset[int]) -> Gpu:
        handle = self._ask(lambda nvml: nvml.nvmlDeviceGetHandleByIndex(index))
        if handle is None:
            return Gpu(index)
        memory = self._memory(handle)
        used = memory and int(memory.used)
        by_run = self._used_by(handle, pids)
        power = self._ask(lambda nvml: nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        limit = self._ask(lambda nvml: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000)
        return Gpu(
            index=index,
            name=self._ask(lambda nvml: _text(nvml.nvmlDeviceGetName(handle))),
            utilisation_percent=self._ask(lambda nvml: int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
            vram_total_bytes=memory and int(memory.total),
            vram_free_bytes=memory and int(memory.free),
            vram_used_bytes=used,
            used_by_run_bytes=by_run,
            used_by_others_bytes=None if used is None or by_run is None else max(0, used - by_run),
            temperature_c=self._ask(lambda nvml: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
            power_w=power,
            power_limit_w=limit,
            clock_mhz=self._ask(lambda nvml: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
            slowed_by=self._slowdowns(handle),
        )

    def _memory(self, handle: Any) -> Any:
        # The second layout doesn't count what the driver keeps for itself as used; old drivers lack it.
        newer = self._ask(lambda nvml: nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2))
        return newer or self._ask(lambda nvml: nvml.nvmlDeviceGetMemoryInfo(handle))

    def _used_by(self, handle: Any, pids: frozenset[int]) -> int | None:
        # In a container NVML tells the host's pids: a run that isn't found there is unknown, not 0.
        processes = self._ask(lambda nvml: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()
        amounts = [process.usedGpuMemory for process in processes if process.pid in pids]
        return sum(amounts) if amounts and None not in amounts else None

    def holders(self, index: int, own: Collection[int]) -> list[dict[str, Any]]:
        """Return who else holds memory of a card, the greediest first: pid, name, bytes (None where unknown)."""
        handle = self._ask(lambda nvml: nvml.nvmlDeviceGetHandleByIndex(index))
        found = []
        for asking in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
            for process in self._ask(lambda nvml, name=asking: getattr(nvml, name)(handle)) or ():  # type: ignore[misc]
                if process.pid not in own:
                    found.append({"pid": process.pid, "name": _name_of(process.pid), "bytes": process.usedGpuMemory})
        unique = {each["pid"]: each for each in found}
        return sorted(unique.values(), key=lambda each: each["bytes"] or 0, reverse=True)

    def _slowdowns(self, handle: Any) -> tuple[str, ...] | None:
        reasons = self._ask(lambda nvml: int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)))
        return None if reasons is None else tuple(text for bit, text in SLOWDOWNS.items() if reasons & bit)

    def _ask(self, question: Callable[[Any], T]) -> T | None:
        """Ask NVML; None when this card, driver or binding can't tell."""
        if self._nvml is None:
            return None
        try:
            return question(self._nvml)
        except (self._nvml.NVMLError, AttributeError, TypeError, ValueError):
            return None

    def _cpu_shares(self, pids: Collection[int]) -> tuple[float | None, float | None, float | None]:
        """Return what share of all cores was busy, what the run used of it, and what waited for the disk."""
        before, self._cpu = self._cpu, _cpu_times(pids)
        if before is None or self._cpu.total <= before.total:
            return None, None, None
        passed = self._cpu.total - before.total
        known = self._cpu.by_pid.keys() & before.by_pid.keys()
        used = sum(self._cpu.by_pid[pid] - before.by_pid[pid] for pid in known)
        busy = _percent(1 - (self._cpu.idle - before.idle + self._cpu.waiting - before.waiting) / passed)
        return busy, _percent(used / passed) if known else None, _percent((self._cpu.waiting - before.waiting) / passed)

    def _swap_pace(self) -> float | None:
        import psutil  # type: ignore[import-untyped]

        swap, now = psutil.swap_memory(), time.monotonic()
        moved = float(swap.sin + swap.sout)
        before, self._swap = self._swap, (moved, now)
        if before is None or now <= before[1]:
            return None
        return max(0.0, moved - before[0]) / (now - before[1])

    def _ram(self) -> tuple[int, int]:
        import psutil

        memory = psutil.virtual_memory()
        group = min(filter(None, map(_GroupMemory.read, self._limits)), key=lambda pair: pair[1], default=None)
        if group is not None and group[1] < memory.total:
            return group
        return memory.total - memory.available, memory.total


@dataclass(frozen=True)
class _CpuTimes:
    """Seconds of all cores since the machine was started, and of processes since theirs."""

    total: float
    idle: float
    waiting: float
    by_pid: Mapping[int, float]


def _cpu_times(pids: Collection[int]) -> _CpuTimes:
    import psutil

    times = psutil.cpu_times()
    # Guest time is part of user time already (proc(5)).
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    by_pid = {}
    for pid in pids:
        with contextlib.suppress(psutil.Error):  # one that has ended used nothing since
            own = psutil.Process(pid).cpu_times()
            by_pid[pid] = own.user + own.system
    return _CpuTimes(total, times.idle, getattr(times, "iowait", 0.0), by_pid)


def _percent(share: float) -> float:
    return round(min(100.0, max(0.0, 100 * share)), 1)


def _ready(nvml: Any) -> Any:
    """Return NVML's binding, started, or None where there is no driver."""
    try:
        if nvml is None:
            import pynvml

            nvml = pynvml
        nvml.nvmlInit()
    except ImportError:
        return None
    except nvml.NVMLError:
        return None
    return nvml


def _name_of(pid: int) -> str:
    import psutil

    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return "a program"


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", errors="replace") if isinstance(name, bytes) else name


def _disk(path: Path | None) -> tuple[int | None, int | None]:
    if path is None:
        return None, None
    try:
        figures = os.statvfs(path)
    except OSError:
        return None, None
    return figures.f_bavail * figures.f_frsize, figures.f_blocks * figures.f_frsize


@dataclass(frozen=True)
class _GroupMemory:
    """Files of a control group that has a limit (the kernel's Documentation/admin-guide/cgroup-v2.rst and v1)."""

    used: Path
    limit: Path
    statistics: Path

    def read(self) -> tuple[int, int] | None:
        """Return bytes used and allowed; what the page cache could give back isn't counted as used."""
        limit, used = _number_in(self.limit), _number_in(self.used)
        return None if limit is None or used is None else (max(0, used - _inactive(self.statistics)), limit)


def _memory_limits(mounted: Path, own: Path) -> tuple[_GroupMemory, ...]:
    """Return the groups around this process that limit its memory; few do, and the others need not be read again."""
    import psutil

    found, installed = [], psutil.virtual_memory().total
    for root, group, used, limit in _groups(mounted, own):
        for folder in (group, *group.parents):
            # In the first version a group without a limit has one of 2^63 bytes.
            if (_number_in(folder / limit) or installed) < installed:
                found.append(_GroupMemory(folder / used, folder / limit, folder / "memory.stat"))
            if folder == root:
                break
    return tuple(found)


def _groups(mounted: Path, own: Path) -> list[tuple[Path, Path, str, str]]:
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    groups = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        inner = path.strip("/")
        if controllers == "":
            groups.append((mounted, mounted / inner, "memory.current", "memory.max"))
        elif "memory" in controllers.split(","):
            root = mounted / "memory"
            groups.append((root, root / inner, "memory.usage_in_bytes", "memory.limit_in_bytes"))
    return groups


def _number_in(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _inactive(statistics: Path) -> int:
    try:
        lines = statistics.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0
    figures = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(figures.get("total_inactive_file", figures.get("inactive_file", "0")))


_devices: Devices | None = None


def read_gauges(pids: Collection[int] = (), disk: Path | None = None) -> Gauges:
    """Take all readings of this machine; never fails.

    Args:
        pids: The run's processes, whose share of VRAM is told apart.
        disk: A path on the disk to look at.
    """
    global _devices
    if _devices is None:
        _devices = Devices()
    return _devices.read(pids, disk)


def driver_version(nvml: Any = None) -> str | None:
    """Return the NVIDIA driver's version; None when none answers.

    Args:
        nvml: NVML's binding; found by itself when left out.
    """
    ready = _ready(nvml)
    if ready is None:
        return None
    try:
        return _text(ready.nvmlSystemGetDriverVersion())
    except (ready.NVMLError, AttributeError):
        return "of unknown version"


def vram_holders(index: int, own: Collection[int] = ()) -> list[dict[str, Any]]:
    """Return who else holds memory of a card: `pid`, `name` and `bytes` of each process but `own`; never fails.

    In a container others' processes are often unseen.
    """
    global _devices
    if _devices is None:
        _devices = Devices()
    return _devices.holders(index, own)


def gauges_text(gauges: Gauges) -> list[str]:
    """Return the readings as lines for people."""
    cpu = _shown(gauges.cpu_percent, "%")
    ram = f"{_size(gauges.ram_used_bytes)} of {_size(gauges.ram_total_bytes)}"
    disk = f"{_size(gauges.disk_free_bytes)} free of {_size(gauges.disk_total_bytes)}"
    gpus = [line for gpu in gauges.gpus for line in _gpu_lines(gpu)] or ["GPU   n/a"]
    return [*gpus, f"CPU   {cpu}", f"RAM   {ram}", f"Disk  {disk}"]


def _gpu_lines(gpu: Gpu) -> list[str]:
    slowed = "n/a" if gpu.slowed_by is None else ", ".join(gpu.slowed_by) or "no"
    return [
        f"GPU {gpu.index} {printable(gpu.name or 'n/a', 60)}  {_shown(gpu.utilisation_percent, '%')} busy  "
        f"{_shown(gpu.clock_mhz, ' MHz')}  slowed: {slowed}",
        f"  VRAM  {_size(gpu.vram_used_bytes)} of {_size(gpu.vram_total_bytes)}, {_size(gpu.vram_free_bytes)} free "
        f"(this run {_size(gpu.used_by_run_bytes)}, others {_size(gpu.used_by_others_bytes)})",
        f"  {_shown(gpu.temperature_c, ' °C')}  {_shown(gpu.power_w, ' W')} of {_shown(gpu.power_limit_w, ' W')}",
    ]


def _shown(value: float | None, unit: str) -> str:
    return "n/a" if value is None else f"{value:.0f}{unit}"


def _size(num_bytes: int | None) -> str:
    return "n/a" if num_bytes is None else size_text(num_bytes)
