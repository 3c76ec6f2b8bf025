"""Judgements on readings of a machine; pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trainer.devices import Gauges, Gpu
from trainer.text import printable, size_text

GIB = 1 << 30
SMALL_CARD_BYTES = 4 * GIB
LITTLE_RAM_BYTES = 8 * GIB
LITTLE_DISK_BYTES, SCARCE_DISK_BYTES = 5 * GIB, GIB
WIDTH, HEIGHT = 80, 24


class Standing(StrEnum):
    """How good something is."""

    FINE = "ok"
    NOTE = "note"
    """Works, with something to know."""
    BAD = "bad"
    """Stops a training, or ends it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    standing: Standing
    text: str
    advice: str = ""
    """What to do; empty where nothing needs doing."""


def card_findings(gauges: Gauges, driver: str | None) -> list[Finding]:
    """Judge GPUs and their driver.

    Args:
        gauges: Readings.
        driver: Its version; None when no driver answers.
    """
    if driver is None:
        return [
            Finding(
                "GPU",
                Standing.NOTE,
                "no NVIDIA driver answers, so training runs on the processor",
                "The demo works all the same. With a card in the machine, see whether `nvidia-smi` lists it.",
            )
        ]
    if not gauges.gpus:
        advice = "Ask for a card on this machine; a container needs it passed on (docker run --gpus all)."
        return [Finding("GPU", Standing.BAD, f"driver {printable(driver, 40)}, and no card", advice)]
    return [_card(gpu) for gpu in gauges.gpus] + [Finding("Driver", Standing.FINE, printable(driver, 40))]


def _card(gpu: Gpu) -> Finding:
    name, total, free = printable(gpu.name or f"card {gpu.index}", 60), gpu.vram_total_bytes, gpu.vram_free_bytes
    if total is None or free is None:
        return Finding("GPU", Standing.NOTE, f"{name}; its memory can't be read", "See what `nvidia-smi` says of it.")
    text = f"{name}, {size_text(free)} of {size_text(total)} free"
    if gpu.slowed_by and any("heat" in reason for reason in gpu.slowed_by):
        return Finding("GPU", Standing.NOTE, f"{text}; slowed by heat", "Look at its fans and the room.")
    if free < total / 2:
        return Finding("GPU", Standing.NOTE, f"{text}: others use it", "`nvidia-smi` lists who. `hypernet plan` fits.")
    if total < SMALL_CARD_BYTES:
        return Finding("GPU", Standing.NOTE, text, "Train at 256 or 384 px; `hypernet plan PROJECT` says what fits.")
    return Finding("GPU", Standing.FINE, text)


def torch_finding(facts: Mapping[str, object] | None, has_cards: bool) -> Finding:
    """Judge torch by what `trainer.doctor.torch_facts` printed; None when it printed nothing."""
    if facts is None or facts.get("error"):
        why = printable((facts or {}).get("error") or "it ended without a word", 200)
        return Finding("torch", Standing.BAD, f"can't be imported: {why}", "Run `make setup` again.")
    version, devices = printable(facts.get("version"), 40), facts.get("devices")
    if isinstance(devices, list) and devices:
        half = "" if facts.get("bf16") else "; no bf16"
        return Finding("torch", Standing.FINE, f"{version} sees {', '.join(printable(d, 60) for d in devices)}{half}")
    if facts.get("mps"):
        return Finding("torch", Standing.FINE, f"{version} sees Apple's GPU")
    if not has_cards:
        return Finding("torch", Standing.FINE, f"{version}, on the processor")
    if facts.get("cuda"):
        text = f"{version} is built for CUDA {printable(facts['cuda'], 20)} and sees no card"
        return Finding(
            "torch", Standing.BAD, text, "The driver is likely too old for it: update it, or see nvidia-smi."
        )
    advice = "Install a CUDA build of torch into .venv; pytorch.org names the command."
    return Finding("torch", Standing.BAD, f"{version} is built without CUDA", advice)


def machine_findings(gauges: Gauges, projects: str) -> list[Finding]:
    """Judge memory and disk.

    Args:
        gauges: Readings; those of the disk belong to the projects' folder.
        projects: That folder.
    """
    total, used, free = gauges.ram_total_bytes, gauges.ram_used_bytes, gauges.disk_free_bytes
    ram = "can't be read" if total is None or used is None else f"{size_text(total - used)} of {size_text(total)} free"
    little = total is not None and total < LITTLE_RAM_BYTES
    advice = "Loading a full-size model takes about 6 GiB; close what you can." if little else ""
    return [
        Finding("Memory", Standing.NOTE if little or total is None else Standing.FINE, ram, advice),
        _disk(free, printable(projects)),
    ]


def _disk(free: int | None, projects: str) -> Finding:
    if free is None:
        advice = "See that the folder can be made, or set HYPERNET_PROJECTS to another one."
        return Finding("Disk", Standing.BAD, f"the room at {projects} can't be read", advice)
    text = f"{size_text(free)} free at {projects}"
    if free < LITTLE_DISK_BYTES:
        standing = Standing.BAD if free < SCARCE_DISK_BYTES else Standing.NOTE
        return Finding(
            "Disk", standing, text, "A run of a full-size model takes some GiB: make room, or set save.keep."
        )
    return Finding("Disk", Standing.FINE, text)


def logout_finding(warning: str | None) -> Finding:
    """Judge whether runs outlive a logout."""
    if warning is None:
        return Finding("Logout", Standing.FINE, "runs go on after you log out")
    what, _, advice = warning.partition(". ")
    return Finding("Logout", Standing.BAD, what.rstrip("."), advice)


def models_finding(paths: Sequence[str], a1111: Sequence[str], problem: str = "") -> Finding:
    """Judge which base models were found.

    Args:
        paths: Models, the newest first.
        a1111: Folders of AUTOMATIC1111.
        problem: Why the newest can't be trained on; empty where it can.
    """
    where = f"; AUTOMATIC1111 in {printable(a1111[0])}" if a1111 else ""
    if not paths:
        advice = "Give a project a .safetensors or .ckpt file, or OWNER/NAME on the Hub."
        return Finding("Models", Standing.NOTE, f"none found{where}", advice)
    text = f"{len(paths):,} found, the newest {printable(paths[0])}{where}"
    if problem:
        return Finding("Models", Standing.NOTE, text, f"The newest can't be trained on. {printable(problem, 400)}")
    return Finding("Models", Standing.FINE, text)


def captioners_finding(standings: Mapping[str, str]) -> Finding:
    """Tell which captioners could start at once.

    Args:
        standings: "ready", or what is missing, by the captioner's name.
    """
    ready = [name for name, standing in standings.items() if standing == "ready"]
    text = f"{', '.join(ready)} ready" if ready else "no model of a captioner is here"
    advice = "" if ready else "They are downloaded when asked for; `hypernet caption --list` says what each needs."
    return Finding("Captions", Standing.FINE, text, advice)


def extras_findings(wanted: Mapping[str, Sequence[str]], missing: Sequence[str]) -> list[Finding]:
    """Tell which optional parts are installed.

    Args:
        wanted: Packages of each extra.
        missing: Packages that are not installed.
    """
    there = [name for name, packages in wanted.items() if not set(packages) & set(missing)]
    absent = [name for name in wanted if name not in there]
    advice = f'pip install "hypernet-wizard[{",".join(absent)}]" adds what you want of them.' if absent else ""
    text = ", ".join([*(f"{name} installed" for name in there), *(f"{name} not" for name in absent)])
    return [Finding("Extras", Standing.FINE, text, advice)] if wanted else []


def terminal_findings(environment: Mapping[str, str], size: tuple[int, int], encoding: str) -> list[Finding]:
    """Judge the terminal.

    Args:
        environment: Variables.
        size: Columns and rows.
        encoding: Of what is printed.
    """
    term, (columns, rows) = environment.get("TERM", ""), size
    facts = [f"{printable(term or 'none', 40)}, {columns}×{rows}", colour_text(environment), _inside(environment)]
    text = ", ".join(fact for fact in facts if fact)
    if term in ("", "dumb"):
        return [
            Finding("Terminal", Standing.NOTE, text, "The wizard needs more; `hypernet attach` prints plain lines.")
        ]
    if columns < WIDTH or rows < HEIGHT:
        return [Finding("Terminal", Standing.NOTE, text, f"Make it {WIDTH}×{HEIGHT} or larger to see everything.")]
    if "utf" not in encoding.lower():
        return [
            Finding("Terminal", Standing.NOTE, f"{text}, no Unicode", "Set LANG=C.UTF-8, or use `hypernet --ascii`.")
        ]
    return [Finding("Terminal", Standing.FINE, text)]


def colour_text(environment: Mapping[str, str]) -> str:
    """Return how many colours the wizard draws with: Textual's rules, by the same variables."""
    if environment.get("NO_COLOR"):
        return "no colour (NO_COLOR is set)"
    term = environment.get("TERM", "")
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "16 million colours"
    return "256 colours" if "256color" in term else "16 colours"


def _inside(environment: Mapping[str, str]) -> str:
    if environment.get("TMUX"):
        return "in tmux"
    return "in screen" if environment.get("STY") else ""
