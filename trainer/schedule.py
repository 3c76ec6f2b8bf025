"""The learning rate and the clipping limit as pure functions of the step.

The text grammar is AUTOMATIC1111's (modules/textual_inversion/learn_schedule.py at v1.10.1):
`rate` or `rate:step` items, separated by commas; the rate holds until `step`, without interpolation.
"""

import math
from dataclasses import dataclass
from typing import Literal

from trainer.text import rate_text

ANY_STEPS = 10**9
"""More than any run has, where a rate text is read for its own sake."""
HIGHEST_RATE = 0.1
"""Above it even the smallest model's network is lost within a step or two."""


@dataclass(frozen=True)
class Segment:
    """A rate that holds from one count of finished steps up to, not including, another."""

    rate: float
    start: int
    end: int


def parse_rate_text(text: str, max_steps: int, first_step: int = 0) -> list[Segment]:
    """Read a learning-rate text.

    Args:
        text: e.g. "5e-5:100, 5e-6:1500, 5e-7" or "1e-3:100, 1e-5:-1".
        max_steps: Steps in total; later ends are cut there.
        first_step: Steps already done; segments that end by then are left out.

    Returns:
        The segments in order. Training ends with the last one, which may be before `max_steps`.

    Raises:
        ValueError: a number cannot be read, is not finite or negative, or no segment is left.
    """
    ends: list[tuple[float, int]] = []
    for item in (piece.strip() for piece in text.split(",")):
        if not item:
            continue
        parts = item.split(":")
        rate = _number(parts[0], item)
        if len(parts) != 2:
            ends.append((rate, max_steps))
            break
        end = _step(parts[1], item)
        if end == -1:
            ends.append((rate, max_steps))
            break
        if end > first_step:
            ends.append((rate, min(end, max_steps)))
            if end > max_steps:
                break
    if not ends:
        raise ValueError("holds no rate for the steps to come; write e.g. 1e-5 or 5e-5:100, 5e-6")
    segments: list[Segment] = []
    start = first_step
    for rate, end in ends:
        # A segment whose end is already past still gets one step, as in A1111.
        segments.append(Segment(rate, start, max(end, start + 1)))
        start = segments[-1].end
    return segments


def scaled_rate_text(text: str, factor: float, digits: int = 6) -> str:
    """Return a learning-rate text with every rate multiplied.

    Raises:
        ValueError: a rate cannot be read.
    """
    if factor == 1:
        return text
    items = []
    for item in filter(None, (piece.strip() for piece in text.split(","))):
        rate, colon, end = item.partition(":")
        items.append(f"{float(rate) * factor:.{digits}g}".replace("e-0", "e-") + colon + end)
        if not colon:
            break
    return ", ".join(items)


def parse_learning_rate(text: str, max_steps: int = ANY_STEPS, first_step: int = 0) -> list[Segment]:
    """Read a rate text of which every rate teaches something; see `parse_rate_text`.

    Raises:
        ValueError: it cannot be read, or a rate is 0.
    """
    segments = parse_rate_text(text, max_steps, first_step)
    if not all(segment.rate for segment in segments):
        raise ValueError("needs rates above 0, as nothing is learned at 0")
    return segments


def rate_warnings(text: str, steps: int, size: int, first_step: int = 0) -> list[str]:
    """Return one sentence, which begins with a rate, for each doubt about a learning rate.

    Args:
        text: A rate, or rates with the steps where they end; one that can be read.
        steps: Of the run in total.
        size: Of its pictures, in pixels.
        first_step: Steps already done when the rate is set.
    """
    segments = parse_rate_text(text, steps, first_step)
    past = [segment for segment in parse_rate_text(text, steps) if segment.end <= first_step]
    rate = max(segment.rate for segment in segments)
    found = []
    if past:
        found.append(
            f"{rate_text(past[-1].rate)} ends at step {past[-1].end:,}, which is past; "
            f"{rate_text(segments[0].rate)} holds at once."
        )
    if segments[-1].end < steps:
        found.append(
            f"{text} ends at step {segments[-1].end:,}, and training with it, although training.steps is {steps:,}."
        )
    if rate > HIGHEST_RATE:
        found.append(f"{rate_text(rate)} ruins any network at once; 1e-5 is usual.")
    elif rate > 1e-4 and size > 64:
        found.append(
            f"{rate_text(rate)} usually ruins the picture within some hundred steps on a full-size model; 1e-5 is "
            "slower and safe."
        )
    return found


def _number(text: str, item: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(f"cannot read the number in {item!r}; write e.g. 1e-5 or 5e-5:100, 5e-6") from None
    if not math.isfinite(rate) or rate < 0:
        raise ValueError(f"needs a finite number, not below 0, in {item!r}")
    return rate


def _step(text: str, item: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"cannot read the step in {item!r}; write a whole number after the colon") from None


@dataclass(frozen=True)
class Schedule:
    """A value for each step: segments, with warm-up and cosine on request."""

    segments: tuple[Segment, ...]
    kind: Literal["steps", "cosine"] = "steps"
    warmup_steps: int = 0
    final_share: float = 0.0

    @classmethod
    def parse(
        cls,
        text: str,
        max_steps: int,
        first_step: int = 0,
        kind: Literal["steps", "cosine"] = "steps",
        warmup_steps: int = 0,
        final_share: float = 0.0,
    ) -> "Schedule":
        """Make a schedule from a rate text; see `parse_rate_text`."""
        return cls(tuple(parse_rate_text(text, max_steps, first_step)), kind, warmup_steps, final_share)

    @property
    def first_step(self) -> int:
        """Steps done when the schedule begins."""
        return self.segments[0].start

    @property
    def last_step(self) -> int:
        """Steps done when the schedule ends, and training with it."""
        return self.segments[-1].end

    def at(self, steps_done: int) -> float:
        """Return the value for the step that follows `steps_done` finished steps."""
        rate = next((s.rate for s in self.segments if steps_done < s.end), self.segments[-1].rate)
        since = steps_done - self.first_step
        if since < self.warmup_steps:
            return rate * (since + 1) / self.warmup_steps
        if self.kind == "cosine":
            share = (since - self.warmup_steps) / max(1, self.last_step - self.first_step - self.warmup_steps)
            fall = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
            return rate * (self.final_share + (1 - self.final_share) * fall)
        return rate
