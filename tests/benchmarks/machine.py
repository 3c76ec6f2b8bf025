"""On what, and with what, the figures were made."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil


def machine_facts() -> dict[str, Any]:
    """Return processor, cores, memory and GPU, and how busy the machine was before we began."""
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": _gpu_names(),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def version_facts() -> dict[str, str]:
    """Return the versions of what the figures depend on."""
    packages = ("hypernet-wizard", "torch", "diffusers", "transformers")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def commit() -> str | None:
    """Return the commit that was measured, with "+" behind it where files were changed since; None outside git."""
    root = Path(__file__).parents[2]
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _gpu_names() -> list[str]:
    from trainer.devices import read_gauges

    return [gpu.name or "unknown" for gpu in read_gauges().gpus]
