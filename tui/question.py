"""A run's question as the Recover screen tells it; a pure function of the event and the clock.

Everything in the event is text from outside: what is missing or of another kind is left out, never an error.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.run.facts import Question
from trainer.text import printable, size_text
from tui.words import fit, table

ABOUT = {
    "memory": "out of memory",
    "cuda": "the GPU failed",
    "nan": "training diverged",
    "killed": "the worker was killed",
    "disk": "the disk is full",
    "hang": "no step for too long",
}
"""What happened, in a few words, by the question's subject."""

MEANINGS = {
    "again": "The same again, from the last state.",
    "full": "Everything on the GPU, as before.",
    "micro-batch": "Fewer pictures at once and more rounds a step; the effective batch and the result stay.",
    "checkpointing": "What a step computes on its way is computed again instead of kept; a third slower.",
    "medvram": "The base model's weights take half the room or wait in the host's memory; slower, same result.",
    "lowvram": "Each block of the base model comes to the card only when its turn is; much slower, same result.",
    "384 px": "Smaller pictures: much less memory, coarser detail.",
    "256 px": "Small pictures: a quarter of the memory of 512 px, coarse detail.",
    "fp32": "Full precision: numbers with more digits, about twice the memory, no overflow.",
    "rate-before": "Your change of the learning rate is undone; the run goes on as it did before.",
    "lower-rate": "A smaller learning rate: slower steps towards your pictures, less chance of another accident.",
    "wait": "Nothing changes; the run goes on by itself when there is room.",
    "stop": "The run ends at its last state; r on its screen goes on later.",
}
"""What the choices mean."""


@dataclass(frozen=True)
class Option:
    """One way to go on."""

    id: str
    title: str
    peak: str = ""
    fits: str = ""
    pace: str = ""
    price: str = ""


@dataclass(frozen=True)
class Asked:
    """A question, ready to be shown: every text is harmless."""

    id: str
    heading: str
    lost: str
    text: str
    details: str
    options: tuple[Option, ...]
    default: str
    deadline_t: float | None
    """UTC seconds at which the default is taken; None when the run waits for the user."""

    @property
    def default_place(self) -> int:
        """Place of the preselected option."""
        return next((place for place, option in enumerate(self.options) if option.id == self.default), 0)


def asked_of(question: Question) -> Asked:
    """Return what to show of a question."""
    event = question.event
    subject = str(event.get("about", ""))
    step, text = _number(event.get("step")), printable(question.text, 600)
    heading = ABOUT.get(subject, "needs you") + (f" at step {int(step):,}" if step is not None else "")
    return Asked(
        question.id,
        heading,
        printable(event.get("lost") or "", 400),
        text,
        _details(_mapping(event.get("details")), text),
        _options(question),
        question.default,
        _number(event.get("deadline_t")),
    )


def _options(question: Question) -> tuple[Option, ...]:
    told = question.event.get("options")
    known = {str(_mapping(tree).get("id")): _mapping(tree) for tree in told} if isinstance(told, list) else {}
    return tuple(_option(choice, known.get(choice, {})) for choice in question.choices)


def _option(choice: str, tree: Mapping[str, Any]) -> Option:
    peak, fits, step_s = _number(tree.get("peak_bytes")), tree.get("fits"), _number(tree.get("step_s"))
    return Option(
        choice,
        printable(tree.get("title") or choice, 80),
        size_text(peak) if peak is not None and peak >= 0 else "",
        {True: "fits", False: "too large"}.get(fits, "") if isinstance(fits, bool) else "",
        f"{step_s:.2f} s/step" if step_s is not None else "",
        printable(tree.get("price") or "", 40),
    )


def _details(tree: Mapping[str, Any], told: str) -> str:
    """Return what the event says in numbers and was not told in words, as one paragraph."""
    total = _number(tree.get("total_bytes"))
    of = "" if total is None else f" of {size_text(total)}"
    figures = ("asked for", "asked_bytes", ""), ("needed", "needed_bytes", ""), ("free", "free_bytes", of)
    sizes = [(label, _number(tree.get(name)), more) for label, name, more in figures]
    parts = [
        f"{label} {size_text(size)}{more}"
        for label, size, more in sizes
        if size is not None and size_text(size) not in told
    ]
    parts += [text for text in map(_holder, _list(tree.get("holders"))[:3]) if text]
    pictures = [
        name for name in (printable(picture, 40) for picture in _list(tree.get("pictures"))) if name not in told
    ]
    if pictures:
        parts.append("pictures " + ", ".join(pictures[:4]))
    if tree.get("path"):
        parts.append(f"at {printable(tree['path'], 120)}")
    return "; ".join(parts)


def _holder(tree: object) -> str:
    holder = _mapping(tree)
    size, pid = _number(holder.get("bytes")), _number(holder.get("pid"))
    who = " ".join(
        part for part in (printable(holder.get("name") or "", 30), f"({int(pid)})" if pid is not None else "") if part
    )
    return f"{who or 'another process'} holds {size_text(size)}" if size is not None else ""


def option_lines(asked: Asked, width: int) -> list[str]:
    """Return one line for each option, aligned: number, name, memory, fit, pace, price, and the best."""
    names = [f"{place + 1}  {option.title}" for place, option in enumerate(asked.options)]
    figures = [(option.peak.rjust(8) if option.peak else "", option.fits, option.pace) for option in asked.options]
    # What has no figures ("wait until memory is free") may run on where the others have theirs.
    best = ["best" if option.id == asked.default else "" for option in asked.options]
    prices = [fit(option.price, max(16, width - 60)).rstrip() for option in asked.options]
    # A long name gives way before any figure does, but for what is said of the price.
    room = max(24, width - sum(longest + 2 for longest in (max(map(len, prices), default=0), len("best")) if longest))
    told = table([(name, *cells) for name, cells in zip(names, figures, strict=True) if any(cells)], room)
    lefts = [told.pop(0) if any(cells) else name for name, cells in zip(names, figures, strict=True)]
    return table(list(zip(lefts, prices, best, strict=True)), width, 24)


def clock_text(asked: Asked, now: float) -> str:
    """Return what happens when nobody answers, and when."""
    number = asked.default_place + 1
    if asked.deadline_t is None and asked.default == "wait":
        return "The run goes on by itself as soon as there is room; no answer is needed."
    if asked.deadline_t is None or not asked.options:
        return "The run waits for your answer, however long that takes."
    left_s = math.ceil(asked.deadline_t - now)
    if left_s <= 0:
        return f"The time is up: {number} is taken."
    left = f"{left_s} s" if left_s < 120 else f"{left_s // 60} min {left_s % 60:02d} s"
    return f"{number} is taken in {left} if nobody answers."


def meaning(option: Option) -> str:
    """Return a choice by its whole name, and what it means where that is known."""
    return f"{option.title}: {MEANINGS[option.id]}" if option.id in MEANINGS else f"{option.title}."


def meanings(asked: Asked) -> str:
    """Return what the choices mean, a paragraph each."""
    told = [(place, option) for place, option in enumerate(asked.options, 1) if option.id in MEANINGS]
    return "\n".join(f"{place}  {meaning(option)}" for place, option in told)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number and isinstance(value, int | float) else None
