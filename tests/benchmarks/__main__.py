"""Runs the benchmarks: `python -m tests.benchmarks [--only NAME ...] [--quick] [--out FILE]`.

Each figure is a ratio or a duration within one run on one machine, alternated with what it is compared to, the
median of at least five. The whole set is written into docs/benchmarks.json; a part of it, or a quick one, only
where `--out` says so.
"""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure
from tests.benchmarks.machine import commit, machine_facts, version_facts
from trainer.files import write_atomic

RESULTS = Path(__file__).parents[2] / "docs" / "benchmarks.json"


@dataclass(frozen=True)
class Subject:
    """One benchmark; its module is imported when it is run, as some of them need half a minute for that."""

    title: str
    module: str
    function: str

    def measure(self, quick: bool) -> list[Figure]:
        found: Callable[[bool], list[Figure]] = getattr(
            importlib.import_module(f"tests.benchmarks.{self.module}"), self.function
        )
        return found(quick)


SUBJECTS = {
    "startup": Subject("Start-up and attaching", "startup", "measure_startup"),
    "wizard": Subject("The wizard: painting, blocking, redrawing", "wizard", "measure_wizard"),
    "wizard-cost": Subject("A training with the wizard attached and without", "wizard_cost", "measure_cost"),
    "cropping": Subject("Cropping 12-megapixel JPEGs", "pictures", "measure_pictures"),
    "step-demo": Subject("A training step of the demo model (4 pictures, 64 px)", "step", "measure_demo"),
    "memory-demo": Subject("Peak memory of that step", "memory", "measure_demo"),
    "step-sd15": Subject("A training step of SD 1.5, random weights (1 picture, 256 px)", "step", "measure_sd15"),
    "memory-sd15": Subject("Peak memory of that step", "memory", "measure_sd15"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all benchmarks or those named, print a table, write JSON."""
    options = _options(arguments)
    names = options.only or list(SUBJECTS)
    out = options.out or (RESULTS if not options.only and not options.quick else None)
    report: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "quick": options.quick,
        "machine": machine_facts(),
        "versions": version_facts(),
        "subjects": {},
    }
    print(_heading(report))
    for name in names:
        subject, begun_s = SUBJECTS[name], time.perf_counter()
        figures = subject.measure(options.quick)
        seconds = time.perf_counter() - begun_s
        print(f"\n{subject.title}  [{name}, took {seconds:.0f} s]")
        print("\n".join(table(figures)), flush=True)
        report["subjects"][name] = {
            "title": subject.title,
            "figures": {figure.name: figure.facts() for figure in figures},
        }
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        print(f"\nWritten to {out}")
    return 0


def table(figures: Sequence[Figure]) -> list[str]:
    """Return one line for each figure: name, median, range, goal."""
    width = max(len(figure.name) for figure in figures)
    lines = []
    for figure in figures:
        low, high = min(figure.samples), max(figure.samples)
        spread = f"({_shown(low, figure.unit)} to {_shown(high, figure.unit)})" if high > low else ""
        goal = "" if figure.at_most is None else f"goal ≤ {_shown(figure.at_most, figure.unit)}: "
        verdict = {None: "", True: "reached", False: "not reached"}[figure.reached]
        note = f"  {figure.note}" if figure.note else ""
        line = f"  {figure.name:{width}}  {_shown(figure.median, figure.unit):>10}  {spread:24}  {goal}{verdict}{note}"
        lines.append(line.rstrip())
    return lines


def _shown(value: float, unit: str) -> str:
    match unit:
        case "share":
            return f"{100 * value:.2f} %"
        case "FLOP":
            return f"{value / 1e9:,.1f} GFLOP"
        case "ratio":
            return f"{value:.3f}"
        case _:
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _heading(report: dict[str, Any]) -> str:
    machine = report["machine"]
    gpu = ", ".join(machine["gpu"]) or "no GPU"
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {gpu}; "
        f"load {machine['load_before'][0]}\n{versions}"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, metavar="NAME", help=f"of {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="tiny repetitions, to see that everything works")
    parser.add_argument("--out", type=Path, help="file for the figures; a whole run has docs/benchmarks.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
