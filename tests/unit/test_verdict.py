"""The verdict on real trainings that went right or wrong on purpose, and on curves where only one thing is odd.

The logs were recorded by tests/support/verdict_runs.py; the steps required were found by looking at the previews.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.support.verdict_runs import recorded, state_at
from trainer.run.events import Event
from trainer.run.facts import Situation
from trainer.run.state import RunState, replay
from trainer.verdict import STOPS, Standing, Verdict, judge_training, noise_of


def steps_of(name: str) -> list[int]:
    return [event["step"] for event in recorded(name) if event["kind"] == "validated"]


def story(name: str) -> list[Verdict]:
    """What was said after each validation, one after the other."""
    return [judge_training(state_at(name, step)) for step in steps_of(name)]


def first_time(name: str, standing: Standing) -> int:
    return next(s for s, v in zip(steps_of(name), story(name), strict=True) if v.standing is standing)


def test_the_right_rate_is_called_learning_from_the_first_validation_to_the_last() -> None:
    said = story("right")
    assert said[0].standing is Standing.NOTHING_YET
    assert {verdict.standing for verdict in said[1:]} == {Standing.LEARNING}
    assert said[-1].best_step in (300, 350, 400)
    assert said[-1].since_step is None


def test_too_low_a_rate_has_learned_nothing_and_is_told_to_raise_it() -> None:
    said = story("too-low")
    assert {verdict.standing for verdict in said} == {Standing.NOTHING_YET}
    assert said[-1].best_step is None
    assert "Raise the learning rate" in said[-1].advice


def test_too_high_a_rate_collapses_where_the_previews_turn_to_noise() -> None:
    end = judge_training(state_at("too-high"))
    assert end.standing is Standing.COLLAPSED
    assert end.since_step in (10, 20, 30), "the preview of step 20 has no object any more"
    assert end.best_step is None or end.best_step < 20
    assert first_time("too-high", Standing.COLLAPSED) <= 60


def test_a_rate_raised_in_mid_run_collapses_there_and_the_step_before_is_the_best() -> None:
    end = judge_training(state_at("raised-late"))
    assert (end.standing, end.since_step) == (Standing.COLLAPSED, 160), "the rate jumps after step 150"
    assert end.best_step is not None
    assert 120 <= end.best_step <= 150, "the preview of step 140 is good, that of step 160 is noise"
    assert first_time("raised-late", Standing.COLLAPSED) == 170
    assert "Both losses rose together" in " ".join(end.evidence)


def test_too_few_pictures_are_learned_by_heart_after_a_while() -> None:
    end = judge_training(state_at("too-few-pictures"))
    assert end.standing is Standing.OVERTRAINING
    assert end.since_step is not None
    assert 225 <= end.since_step <= 350, "the circle is distorted from step 300 on"
    assert end.best_step is not None
    assert 150 <= end.best_step <= 250
    assert first_time("too-few-pictures", Standing.OVERTRAINING) <= 400
    told = " ".join(end.evidence)
    assert "mirrored training pictures" in told
    assert "No picture is held out" in told


def test_too_many_steps_are_told_by_the_pictures_held_out() -> None:
    said = story("too-many-steps")
    end = said[-1]
    assert end.standing is Standing.OVERTRAINING
    assert end.since_step is not None
    assert 260 <= end.since_step <= 480
    assert end.best_step is not None
    assert 120 <= end.best_step <= 240
    since = next(place for place, verdict in enumerate(said) if verdict.standing is Standing.OVERTRAINING)
    assert all(verdict.standing is Standing.OVERTRAINING for verdict in said[since:]), "a verdict does not waver"


def test_a_network_grown_too_strong_is_named_though_the_loss_still_falls() -> None:
    end = judge_training(state_at("grown-too-strong"))
    assert end.standing is Standing.OVERTRAINING
    assert end.since_step is not None
    assert 440 <= end.since_step <= 560, "the previews lose the circle from step 450 on"
    assert end.best_step is not None
    assert 300 <= end.best_step <= 440
    assert "their own size" in " ".join(end.evidence)


@pytest.mark.parametrize("name", ["right", "too-few-pictures", "too-many-steps", "raised-late"])
def test_the_best_step_only_moves_on_while_a_run_goes_on(name: str) -> None:
    bests = [verdict.best_step for verdict in story(name) if verdict.best_step is not None]
    assert bests == sorted(bests)


def curve(count: int, held_out: Callable[[int], float], training: Callable[[int], float]) -> RunState:
    noise = random.Random(1)
    told = [
        {"held_out": held_out(n) * noise.gauss(1, 0.004), "training": training(n) * noise.gauss(1, 0.004)}
        for n in range(count)
    ]
    return replay({"v": 1, "seq": n, "t": n, "kind": "validated", "step": 100 * n, **e} for n, e in enumerate(told))


def falling(to: float, over: float) -> Callable[[int], float]:
    return lambda n: to + (1 - to) * math.exp(-n / over)


def test_a_curve_that_has_levelled_out_is_a_plateau_since_its_last_gain() -> None:
    verdict = judge_training(curve(30, falling(0.6, 2), falling(0.6, 2)))
    assert verdict.standing is Standing.PLATEAU
    assert verdict.since_step is not None
    assert 500 <= verdict.since_step <= 1400
    assert verdict.best_step is not None
    assert "lower learning rate" in verdict.advice


def ended(state: RunState) -> Verdict:
    return judge_training(replace(state, situation=Situation.FINISHED))


def test_a_run_that_ended_well_is_told_whether_more_steps_would_help() -> None:
    done = ended(state_at("right", 400))
    assert (done.standing, done.text, done.advice) == (
        Standing.LEARNING,
        "Learned; the last gain was at step 350.",
        "Use step 300.",
    )
    short = ended(curve(8, lambda n: 0.9**n, lambda n: 0.9**n))
    assert short.standing is Standing.LEARNING
    assert "still getting better at step 700" in short.text
    assert "go on from step 700 with more steps" in short.advice


def test_a_collapse_that_only_the_strength_tells_speaks_of_no_risen_loss() -> None:
    def told() -> Iterator[Event]:
        for n in range(5):
            yield {"kind": "validated", "step": 10 * n, "held_out": 1 - 0.1 * n, "training": 1 - 0.1 * n}
            yield {"kind": "health", "step": 10 * n, "strength": {"96": [500.0 if n > 2 else 1.0, 1.0]}}

    said = judge_training(replay({"v": 1, "seq": n, "t": n, **e} for n, e in enumerate(told())))
    assert (said.standing, said.since_step, said.best_step) == (Standing.COLLAPSED, 30, 20)
    assert not any("rose" in line for line in said.evidence)
    assert "Some contexts are changed by 500 times their own size, which ruins pictures." in said.evidence


def test_a_single_bad_validation_is_no_collapse() -> None:
    def spiking(n: int) -> float:
        return 2.0 if n == 8 else falling(0.5, 4)(n)

    assert judge_training(curve(14, spiking, spiking)).standing in (Standing.LEARNING, Standing.PLATEAU)


def test_a_loss_that_is_no_number_is_a_collapse_at_once() -> None:
    verdict = judge_training(curve(6, lambda n: math.nan if n == 5 else 0.9**n, lambda n: 0.9**n))
    assert (verdict.standing, verdict.since_step, verdict.best_step) == (Standing.COLLAPSED, 500, 400)


def test_a_run_without_validation_is_not_judged() -> None:
    verdict = judge_training(RunState())
    assert verdict.standing is Standing.UNKNOWN
    assert verdict.best_step is None


def test_the_noise_is_found_under_a_curve() -> None:
    noise = random.Random(3)
    values = [0.5 + 0.5 * math.exp(-n / 10) + noise.gauss(0, 0.02) for n in range(200)]
    assert noise_of(values) == pytest.approx(0.02, rel=0.25)


def test_each_stop_condition_covers_the_worse_one() -> None:
    assert STOPS["never"] == frozenset()
    assert STOPS["collapsed"] < STOPS["overtrained"]
