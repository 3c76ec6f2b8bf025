"""Whether a run learns, and which step is best: one verdict in words, with its evidence.

Pure and light: made from what the events say, the same way by the worker and by whoever watches.
The curve judged is the loss on held-out pictures; where there are none, on mirrored training pictures; in the last
resort on training pictures. All are relative to the start of the run, and measured in the same noise each time, so
what jitters in them is the training itself: its size is estimated from how far each value lies from the mean of its
neighbours (median absolute deviation). docs/verdict.md says how each bound was chosen.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trainer.run.facts import Health, Situation, Validation
from trainer.run.state import RunState
from trainer.text import printable

LEARNED = 0.02
"""A smaller fall of the loss counts as nothing learned."""
LEAST_NOISE = 0.002
"""The noise is never taken to be smaller."""
NOISES = 3.0
"""A difference counts from so many times the noise on."""
RISEN = 0.03
"""Losses that differ by a smaller share count as equally good."""
AS_GOOD = 0.02
"""A step within this share of the lowest loss is as good as the best, with less training."""
PATIENCE = 3
"""Validations in a row that must tell of overtraining."""
COLLAPSED_SHARE = 1.15
"""Both losses so many times their best: the network is being destroyed, not overtrained."""
COLLAPSED_PATIENCE = 2
HARMFUL_STRENGTH = 30.0
"""A change so many times larger than what it changes leaves little of it."""
OVERWHELMING_STRENGTH = 100.0
"""And so many times, nothing: no loss need tell it."""
GAIN = 0.01
"""A fall by this share of the loss, or by the noise, is a gain."""
FLAT_SHARE = 1 / 3
FLAT_LEAST = 6
"""Without a gain in this last part of the run, and in so many validations at least, it is on a plateau."""
COPY = 0.9
"""Likeness of a preview to a training picture from which on it is called a copy."""


class Standing(StrEnum):
    """How a training stands."""

    NOTHING_YET = "nothing-yet"
    LEARNING = "learning"
    PLATEAU = "plateau"
    OVERTRAINING = "overtraining"
    COLLAPSED = "collapsed"
    UNKNOWN = "unknown"


STOPS: Mapping[str, frozenset[Standing]] = {
    "never": frozenset(),
    "collapsed": frozenset({Standing.COLLAPSED}),
    "overtrained": frozenset({Standing.COLLAPSED, Standing.OVERTRAINING}),
}
"""The standings for which `validation.stop_when` ends a run."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a training."""

    standing: Standing
    since_step: int | None
    """The step from which on it is so; None where that means nothing."""
    best_step: int | None
    """The validated step to be used; None where none is better than the base model."""
    text: str
    """The verdict as one sentence."""
    evidence: tuple[str, ...] = ()
    """What it rests on, a sentence each."""
    advice: str = ""
    """What to do, in a sentence; empty where there is nothing to be done."""


@dataclass(frozen=True)
class Point:
    """One validation, as it is judged."""

    step: int
    judged: float
    training: float
    strength: float | None


@dataclass(frozen=True)
class Curve:
    """All validations, and the noise that is in them."""

    points: tuple[Point, ...]
    noise: float

    @property
    def last(self) -> Point:
        """The newest one."""
        return self.points[-1]


def judge_training(state: RunState) -> Verdict:
    """Return the verdict on a run as far as it went."""
    curve = curve_of(state.validations, state.healths)
    if curve is None:
        return Verdict(
            Standing.UNKNOWN, None, None, "Not judged: this run has no validation.", (), "Set validation.every."
        )
    collapsed = collapsed_since(curve)
    best = best_of(curve, collapsed)
    standing, since = _standing(curve, best, collapsed)
    evidence = (*_evidence(standing, curve, best, state), *_health_evidence(state, best))
    best_step = best.step if best else None
    if standing is Standing.LEARNING and state.situation is Situation.FINISHED:
        text, advice = _at_the_end(curve, best_step)
    else:
        text, advice = _text(standing, since), _advice(standing, best_step, state)
    return Verdict(standing, since, best_step, text, evidence, advice)


def curve_of(validations: Sequence[Validation], healths: Sequence[Health]) -> Curve | None:
    """Return the curve to be judged, or None where nothing was measured."""
    strengths = {health.step: health.strongest for health in healths}
    points = tuple(
        Point(v.step, _number(v.judged), _number(v.training), strengths.get(v.step))
        for v in validations
        if v.judged is not None
    )
    return Curve(points, noise_of([point.judged for point in points])) if points else None


def noise_of(values: Sequence[float]) -> float:
    """Estimate the noise of a curve from how far each value lies from the mean of its neighbours.

    The curve's first third is left out where it is long enough: it bends too much there.
    """
    finite = [value for value in values if math.isfinite(value)]
    late = finite[len(finite) // 3 :] if len(finite) >= 8 else finite[1:]
    off = [abs(b - (a + c) / 2) for a, b, c in zip(late, late[1:], late[2:], strict=False)]
    # 1.4826 turns a median deviation into a standard one; such a difference has 1.5 times the variance of one value.
    return max(LEAST_NOISE, 1.4826 * statistics.median(off) / math.sqrt(1.5) if off else 0.0)


def best_of(curve: Curve, collapsed: int | None) -> Point | None:
    """Return the first validation that is as good as the best one; None where none has learned anything.

    As good is within `AS_GOOD` of the lowest loss before any collapse: what does the same with less training copies
    less of the pictures. As the lowest loss only falls, the answer only moves on while a run goes on.
    """
    usable = _usable(curve, collapsed)
    lowest = min((point.judged for point in usable), default=math.inf)
    best = next((point for point in usable if point.judged <= (1 + AS_GOOD) * lowest), None)
    return best if best is not None and _has_learned(best) else None


def _usable(curve: Curve, collapsed: int | None) -> list[Point]:
    end = math.inf if collapsed is None else collapsed
    return [p for p in curve.points[1:] if p.step < end and math.isfinite(p.judged) and not _is_wild(p)]


def collapsed_since(curve: Curve) -> int | None:
    """Return the first step from which on, to the end, the network is destroyed; None where it isn't."""
    points = curve.points
    wrecked = [_is_wrecked(curve, place) for place in range(len(points))]
    first = len(points)
    while first > 0 and wrecked[first - 1]:
        first -= 1
    if len(points) - first < (1 if not math.isfinite(curve.last.judged) else COLLAPSED_PATIENCE):
        return None
    # A network whose change has grown out of all proportion was lost before the loss told it.
    while first > 1 and _is_wild(points[first - 1]):
        first -= 1
    return points[first].step


def _is_wrecked(curve: Curve, place: int) -> bool:
    point, before = curve.points[place], curve.points[:place]
    if not math.isfinite(point.judged) or (point.strength or 0.0) > OVERWHELMING_STRENGTH:
        return True
    if not before:
        return False
    best, trained = min(p.judged for p in before), min(p.training for p in before)
    high = max(COLLAPSED_SHARE, 1 + NOISES * curve.noise / max(best, 1e-9))
    return point.judged > high * best and point.training > COLLAPSED_SHARE * trained


def _is_wild(point: Point) -> bool:
    return point.strength is not None and not point.strength <= HARMFUL_STRENGTH


def _has_learned(point: Point) -> bool:
    return point.judged < 1 - LEARNED


def _standing(curve: Curve, best: Point | None, collapsed: int | None) -> tuple[Standing, int | None]:
    if collapsed is not None:
        return Standing.COLLAPSED, collapsed
    if best is None:
        return Standing.NOTHING_YET, None
    worse = overtrained_since(curve)
    if worse is not None:
        return Standing.OVERTRAINING, worse
    flat = flat_since(curve)
    return (Standing.LEARNING, None) if flat is None else (Standing.PLATEAU, flat)


def overtrained_since(curve: Curve) -> int | None:
    """Return the step from which on more training does harm; None where it doesn't.

    A network that has grown out of proportion ruins pictures whatever the loss says.
    """
    return min((step for step in (risen_since(curve), wild_since(curve)) if step is not None), default=None)


def risen_since(curve: Curve) -> int | None:
    """Return the step from which on the judged loss lies above its lowest while the training loss doesn't rise.

    Each value is the median of three neighbours, so that a single low one neither makes the best nor breaks the rise;
    the rise counts when the mean since then is out of reach of the noise.
    """
    values = _smooth([point.judged for point in curve.points])
    lowest = min(range(len(values)), key=values.__getitem__)
    late = [place for place in range(lowest + 1, len(values)) if values[place] > (1 + RISEN) * values[lowest]]
    if not late:
        return None
    since, low = curve.points[late[0] :], curve.points[lowest]
    mean = statistics.mean(point.judged for point in since)
    rise = max(RISEN * values[lowest], NOISES * curve.noise / math.sqrt(len(since)))
    if len(since) < PATIENCE or mean <= values[lowest] + rise or values[-1] <= (1 + RISEN / 2) * values[lowest]:
        return None
    trained = statistics.median(point.training for point in since[-PATIENCE:])
    return since[0].step if trained <= (1 + RISEN) * low.training else None


def wild_since(curve: Curve) -> int | None:
    """Return the step from which on the network has been too strong, at the last validations in a row."""
    measured = [point for point in curve.points if point.strength is not None]
    first = len(measured)
    while first > 0 and _is_wild(measured[first - 1]):
        first -= 1
    return measured[first].step if len(measured) - first >= PATIENCE else None


def _smooth(values: Sequence[float]) -> list[float]:
    last = len(values) - 3
    starts = [max(0, min(place - 1, last)) for place in range(len(values))]
    return [statistics.median(values[start : start + 3]) for start in starts]


def flat_since(curve: Curve) -> int | None:
    """Return the step of the last gain worth the name, where it lies far enough back to speak of a plateau."""
    since = _last_gain(curve)
    is_flat = len(curve.points) - 1 - since >= max(FLAT_LEAST, math.ceil(len(curve.points) * FLAT_SHARE))
    return curve.points[since].step if is_flat else None


def _last_gain(curve: Curve) -> int:
    """Return the place of the last gain worth the name."""
    since = 0
    for place, point in enumerate(curve.points):
        lowest = curve.points[since].judged
        if point.judged < lowest - max(curve.noise, GAIN * lowest):
            since = place
    return since


def _text(standing: Standing, since: int | None) -> str:
    at = "" if since is None else f" {since:,}"
    return {
        Standing.NOTHING_YET: "Nothing learned yet.",
        Standing.LEARNING: "Learning.",
        Standing.PLATEAU: f"Plateau: no better since step{at}.",
        Standing.OVERTRAINING: f"Overtraining since step{at}.",
        Standing.COLLAPSED: f"Collapsed at step{at}.",
        Standing.UNKNOWN: "Not judged.",
    }[standing]


def _at_the_end(curve: Curve, best_step: int | None) -> tuple[str, str]:
    """Return text and advice for a run that has made all its steps and still did well."""
    gained = curve.points[_last_gain(curve)].step
    if gained < curve.last.step:
        return f"Learned; the last gain was at step {gained:,}.", f"Use step {best_step:,}."
    more = f"go on from step {gained:,} with more steps in total, as it may get better yet."
    return f"Learned, and still getting better at step {gained:,}, the end.", f"Use step {best_step:,}, or {more}"


def _evidence(standing: Standing, curve: Curve, best: Point | None, state: RunState) -> list[str]:
    last, side = curve.last, _side(state.validations[-1])
    if len(curve.points) == 1:
        return ["Nothing was validated since the start."]
    now = f"Loss on {side}: {_share(last.judged)} of what it was before training"
    trained = f", on training pictures {_share(last.training)}" if side != _TRAINING else ""
    told = [f"{now}{trained}."]
    low = min(curve.points, key=lambda point: point.judged)
    if low.step != last.step and best is not None:
        told.append(f"It was lowest at step {low.step:,}: {_share(low.judged)}.")
    if standing is Standing.OVERTRAINING and last.judged > low.judged:
        told.append(
            f"Since then it rose by {_share(last.judged / low.judged - 1)}, while the training loss went from "
            f"{_share(low.training)} to {_share(last.training)}: what is learned now doesn't carry over."
        )
    if best is not None and best.step < low.step and best.judged <= (1 + AS_GOOD) * low.judged:
        told.append(f"Step {best.step:,} was as good with less training: {_share(best.judged)}.")
    if standing is Standing.COLLAPSED:
        told += _collapse_evidence(curve)
    if side != _HELD_OUT:
        told.append("No picture is held out (that takes 12, and validation.held_out_share above 0).")
    return told


def _collapse_evidence(curve: Curve) -> list[str]:
    last = curve.last
    if not math.isfinite(last.judged):
        return ["The loss is not a number any more."]
    lowest = min(curve.points, key=lambda point: point.judged)
    if last.judged <= COLLAPSED_SHARE * lowest.judged:
        return []  # The strength alone tells it, and is told with the rest of the health.
    rise = _share(last.judged / lowest.judged - 1)
    return [f"Both losses rose together, by {rise} since step {lowest.step:,}: the network breaks what it had."]


def _health_evidence(state: RunState, best: Point | None) -> list[str]:
    """Return what else is out of the ordinary at the end."""
    told = []
    strong = next((h.strongest for h in reversed(state.healths) if h.strongest is not None), None)
    if strong is not None and strong > HARMFUL_STRENGTH:
        told.append(f"Some contexts are changed by {strong:.0f} times their own size, which ruins pictures.")
    for name, word in (("contrast", "contrast"), ("saturation", "saturation"), ("detail", "detail")):
        told += _look_evidence(state.healths, name, word, best)
    alike = next((h for h in reversed(state.healths) if h.similarity is not None), None)
    if alike is not None and alike.similarity is not None and alike.similarity >= COPY:
        told.append(f"The preview is nearly a copy of {printable(alike.nearest, 60)}.")
    varieties = [health.variety for health in state.healths if health.variety is not None]
    if len(varieties) > 1 and varieties[0] > 0.1 and varieties[-1] < varieties[0] / 2:
        told.append(f"Different seeds give ever more alike pictures: {_share(varieties[-1] / varieties[0])} of before.")
    return told


def _look_evidence(healths: Sequence[Health], name: str, word: str, best: Point | None) -> list[str]:
    """Return a sentence where the last preview differs much from that of the best step, or of the start."""
    looks = [health for health in healths if getattr(health, name) is not None]
    if len(looks) < 2:
        return []
    last = looks[-1]
    same = [health for health in looks if health.prompt == last.prompt and health.step < last.step]
    near = [health for health in same if best is not None and health.step <= best.step] or same[:1]
    if not near or getattr(near[-1], name) <= 0:
        return []
    times = getattr(last, name) / getattr(near[-1], name)
    if 0.5 < times < 2:
        return []
    return [f"The {word} of the preview is {times:.1f} times that of step {near[-1].step:,}."]


def _advice(standing: Standing, best_step: int | None, state: RunState) -> str:
    rate = max((p.learning_rate for p in state.points if p.learning_rate is not None), default=None)
    if standing is Standing.NOTHING_YET and len(state.validations) > 2:
        return f"Raise the learning rate{_to(rate, 10)}, or train longer."
    if standing is Standing.PLATEAU:
        return f"Use step {best_step:,}, or go on from it with a lower learning rate."
    if standing is Standing.OVERTRAINING:
        return f"Use step {best_step:,}; more pictures, fewer steps or a lower rate go further."
    if standing is Standing.COLLAPSED and best_step is None:
        return f"No step is of use: begin anew with a tenth of the learning rate{_to(rate, 0.1)}."
    if standing is Standing.COLLAPSED:
        return f"Use step {best_step:,}, or go back to it and on with a third of the learning rate{_to(rate, 1 / 3)}."
    return ""


def _to(rate: float | None, times: float) -> str:
    return "" if rate is None else f", to about {rate * times:.1g}"


_HELD_OUT, _MIRRORED, _TRAINING = "held-out pictures", "mirrored training pictures", "training pictures"


def _side(validation: Validation) -> str:
    if validation.held_out is not None:
        return _HELD_OUT
    return _TRAINING if validation.mirrored is None else _MIRRORED


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _share(value: float) -> str:
    return f"{value:.0%}"
