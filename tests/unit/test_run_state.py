"""What events add up to, and what is said of it."""

import math
import random
from itertools import count
from typing import Any

import pytest

from trainer.run.describe import describe, progress_text
from trainer.run.events import Event
from trainer.run.facts import Situation
from trainer.run.series import Series
from trainer.run.state import RunState, reduce, replay, replay_skimmed


def make(*told: tuple[str, dict[str, Any]], every_s: float = 1.0) -> list[Event]:
    times = count()
    return [{"v": 1, "seq": n + 1, "t": 1000 + n * every_s, "kind": kind, **fields}
            for n, (kind, fields) in zip(times, told, strict=False)]  # fmt: skip


STARTED = ("started", {"pid": 7, "process_start_s": 1.5, "host": "box", "steps": 100})
TRAINING = ("phase", {"name": "training", "done": 0, "total": 1, "device": "cuda:0"})


def step(number: int, loss: float = 0.5, seconds: float = 1.0) -> tuple[str, dict[str, Any]]:
    return "step", {"step": number, "loss": loss, "learning_rate": 1e-5, "grad_norm": 0.1, "seconds": seconds}


def test_a_run_is_told_by_its_events() -> None:
    state = replay(
        make(
            STARTED,
            ("phase", {"name": "caching", "done": 3, "total": 12}),
            TRAINING,
            step(1, 0.4),
            step(2, 0.2),
            ("validated", {"step": 2, "held_out": 0.11, "training": None}),
            ("saved", {"step": 2, "path": "hypernetworks/g-2.pt"}),
            ("preview", {"step": 2, "path": "images/g-2.png", "seconds": 3.5}),
            ("gauge", {"temperature_c": 61}),
            ("heartbeat", {}),
        )
    )
    assert state.situation is Situation.RUNNING
    assert (state.step, state.steps_total, state.loss, state.learning_rate) == (2, 100, 0.2, 1e-5)
    assert state.smoothed_loss == pytest.approx(0.3, abs=0.005)
    assert state.worker is not None
    assert (state.worker.pid, state.worker.device) == (7, "cuda:0")
    assert state.phase is not None
    assert state.phase.name == "training"
    assert state.validations[-1] == (2, 0.11, None, None)
    assert state.saved[-1].path == "hypernetworks/g-2.pt"
    assert state.previews[-1].seconds == 3.5
    assert state.gauge is not None
    assert state.gauge["temperature_c"] == 61
    assert [event["kind"] for event in state.log] == ["started", "phase", "phase", "validated", "saved", "preview"]


def test_time_to_go_counts_previews_but_no_pauses() -> None:
    events = make(STARTED, TRAINING, step(1), step(2), step(3))
    assert replay(events).eta_s == pytest.approx(97)
    slower = make(STARTED, step(1), ("preview", {"step": 1, "path": "x"}), step(2), every_s=1.0)
    assert replay(slower).eta_s == pytest.approx(98 * 3 / 2)
    paused = [*events, {"t": 1005, "kind": "paused", "step": 3}, {"t": 9000, "kind": "resumed", "step": 3}]
    assert replay(paused).situation is Situation.RUNNING
    assert replay(paused).eta_s == pytest.approx(97)
    assert replay(events[:2]).eta_s is None


def test_time_to_go_counts_validations_before_the_first_has_come() -> None:
    told = ("phase", {"name": "training", "done": 0, "total": 100, "beside_s": 0.5, "beside_until": 4})
    events = make(STARTED, TRAINING, told, step(1), step(2), step(3))
    assert replay(events).eta_s == pytest.approx(97 * 1.5)
    assert replay(make(STARTED, TRAINING, told, *map(step, range(1, 6)))).eta_s == pytest.approx(95)


def test_time_to_go_keeps_what_previews_took_when_a_worker_is_replaced() -> None:
    events = make(STARTED, step(1), ("preview", {"step": 1, "path": "x"}), step(2), every_s=1.0)
    again = make(STARTED, step(2), step(3), every_s=1.0)
    later = [*events, *({**event, "t": event["t"] + 1000} for event in again[:1]), *again[1:]]
    # Three seconds for two steps before, one second a step since.
    assert replay(later).eta_s == pytest.approx(97 * 5 / 4)


def test_a_run_that_was_rewound_has_the_time_of_the_old_one_until_then() -> None:
    taken = make(step(1), step(2), every_s=500.0)
    rewound = {"t": 2000.0, "kind": "rewound", "run": "old", "step": 2, "steps": 9, "elapsed_s": 7.0}
    assert replay([*taken, rewound]).elapsed_s == 7.0


def test_the_time_at_work_is_without_pauses_questions_and_the_time_between_workers() -> None:
    told = [(0, *STARTED), (10, *TRAINING), (11, *step(1)), (11, "paused", {"step": 1}), (500, "heartbeat", {})]
    told += [(900, "resumed", {"step": 1}), (901, *step(2)), (902, "question", {"id": "q", "text": "?", "choices": []})]
    told += [(2000, "answered", {"id": "q"}), (2001, "recovering", {"why": "memory"}), (2003, *step(3))]
    told += [(9000, *STARTED), (9004, "finished", {"step": 3, "seconds": 3.0})]
    state = replay([{"t": t, "kind": kind, **fields} for t, kind, fields in told])
    assert state.elapsed_s == 11 + 2 + 3 + 4
    assert describe(state.log[-1]) == "finished at step 3"


def test_steps_that_a_killed_worker_had_done_since_its_last_state_are_forgotten() -> None:
    before = replay(make(STARTED, *(step(n, loss=9.0) for n in range(1, 8)), ("saved", {"step": 7, "path": "x"})))
    again = reduce(before, {"t": 5000.0, "kind": "started", "pid": 8, "resumed_at_step": 5, "steps": 100})
    assert again.step == 5
    assert not again.saved
    assert again.elapsed_s == before.elapsed_s
    further = reduce(again, {"t": 5001.0, "kind": "step", "step": 6, "loss": 1.0})
    assert [point.step for point in further.points] == [1, 2, 3, 4, 5, 6]
    assert further.loss == 1.0
    assert before.step == 7


def test_a_repeated_step_replaces_the_first() -> None:
    state = replay(make(STARTED, step(1), step(2, 9.0), step(3), step(2, 0.1), step(3)))
    assert [(point.step, point.loss) for point in state.points] == [(1, 0.5), (2, 0.1), (3, 0.5)]


@pytest.mark.parametrize(
    ("events", "situation"),
    [
        ([("paused", {"step": 1})], Situation.PAUSED),
        ([("paused", {"step": 1}), ("phase", {"name": "preview"})], Situation.PAUSED),
        ([("question", {"id": "q", "text": "Which?", "choices": ["a", "b"]})], Situation.ASKING),
        ([("question", {"id": "q", "text": "?", "choices": []}), ("answered", {"id": "q"})], Situation.RUNNING),
        ([("ack", {"id": "1", "command": "stop"})], Situation.STOPPING),
        ([("ack", {"id": "1", "command": "stop"}), step(2)], Situation.STOPPING),
        ([("stopping", {}), ("paused", {"step": 2}), ("resumed", {"step": 2})], Situation.STOPPING),
        ([("ack", {"id": "1", "command": "save"})], Situation.RUNNING),
        ([("recovering", {"why": "memory"})], Situation.RECOVERING),
        ([("recovering", {"why": "memory"}), STARTED], Situation.STARTING),
        ([("stopped", {"step": 1})], Situation.STOPPED),
        ([("stopped", {"step": 1}), STARTED, TRAINING], Situation.RUNNING),
        ([("finished", {"step": 1, "results": ["g.pt"]})], Situation.FINISHED),
        ([("failed", {"error": "E", "message": "m", "hint": "h"})], Situation.FAILED),
    ],
)
def test_situation(events: list[tuple[str, dict[str, Any]]], situation: Situation) -> None:
    assert replay(make(STARTED, TRAINING, step(1), *events)).situation is situation


def test_damaged_and_unknown_events_do_no_harm() -> None:
    bad = [("step", {"step": 3}), ("step", {"step": "x", "loss": 1}), ("step", {"step": [], "loss": {}})]
    bad += [("saved", {}), ("started", {"pid": None}), ("question", {"id": 1, "text": "t", "choices": 5})]
    good = make(STARTED, TRAINING, step(1), ("invented", {"x": 1}), step(2))
    state = replay(make(STARTED, TRAINING, step(1), *bad, ("invented", {"x": 1}), step(2)))
    assert state.skipped == len(bad)
    assert [point.step for point in state.points] == [1, 2]
    assert [event["kind"] for event in state.log] == [event["kind"] for event in replay(good).log]


def test_a_loss_that_is_no_number_does_not_spoil_the_mean() -> None:
    state = replay(make(STARTED, step(1, 0.5), ("step", {"step": 2, "loss": "nan"}), step(3, 0.5)))
    assert math.isnan(state.points[1].loss)
    assert state.smoothed_loss == pytest.approx(0.5)


def _long_story(length: int) -> list[Event]:
    dice = random.Random(1)
    told: list[tuple[str, dict[str, Any]]] = [STARTED, TRAINING]
    for number in range(1, length):
        told.append(step(number, dice.random()))
        if number % 50 == 0:
            told.append(("preview", {"step": number, "path": f"{number}.png", "seconds": 1.0}))
        if number % 7 == 0:
            told.append(("heartbeat", {}))
    return make(*told)


def test_a_hundred_thousand_events_in_pieces_or_at_once_give_the_same() -> None:
    events = _long_story(86_000)
    assert len(events) > 99_000
    whole = replay(events)
    pieces = RunState()
    for start in range(0, len(events), 9_999):
        pieces = replay(events[start : start + 9_999], pieces)
    assert whole == pieces
    assert whole.step == 85_999
    assert len(whole.points) == 85_999
    assert 0.4 < (whole.smoothed_loss or 0) < 0.6


def test_one_event_at_a_time_gives_the_same_and_leaves_earlier_states_alone() -> None:
    events = _long_story(300)
    states = [RunState()]
    for event in events:
        states.append(reduce(states[-1], event))
    assert states[-1] == replay(events)
    assert [state.step for state in states[3:6]] == [1, 2, 3]
    assert states[100] == replay(events[:100])


def test_a_log_without_its_middle_tells_step_and_pace() -> None:
    events = _long_story(5_000)
    state = replay_skimmed(events[:20], events[-200:])
    assert state.step == 4_999
    assert state.steps_total == 100
    longer = replay_skimmed([{**events[0], "steps": 9_999}, *events[1:20]], events[-200:])
    assert longer.eta_s == pytest.approx(5_000 * 1.16, rel=0.05)


def test_a_series_branches_without_mixing() -> None:
    trunk = Series([1, 2])
    left, right = trunk.plus(3), trunk.plus(4)
    assert (list(trunk), list(left), list(right)) == ([1, 2], [1, 2, 3], [1, 2, 4])
    assert left[-1] == 3
    assert left[-2:] == [2, 3]
    assert list(left.first(1).plus(9)) == [1, 9]
    with pytest.raises(IndexError):
        trunk[2]


def test_lines_for_people_hold_no_control_codes() -> None:
    evil = "\x1b]0;owned\x07\n[bold]\u202e"
    events = make(
        ("warning", {"message": evil}),
        ("saved", {"step": 1, "path": evil}),
        (evil, {"x": evil}),
        ("started", {"pid": 1, "host": evil}),
        ("question", {"id": "q", "text": evil, "choices": [evil]}),
        ("failed", {"message": evil, "hint": evil}),
        ("step", {"step": evil}),
        ("warning", {}),
    )
    for event in events:
        line = describe(event)
        assert line
        assert line.isprintable(), line


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"kind": "phase", "name": "training", "done": 0, "total": 1500, "device": "cpu"},
            "training: 1,500 steps on cpu",
        ),
        (
            {"kind": "phase", "name": "training", "done": 1200, "total": 1500, "device": "cpu"},
            "training: from step 1,200 to 1,500 on cpu",
        ),
        ({"kind": "phase", "name": "latents", "done": 0, "total": 1500}, "latents: 1,500 in all"),
        (
            {"kind": "changed", "what": "preview_prompt", "value": "a bird, red", "step": 1240},
            'preview prompt is "a bird, red" from step 1,240 on',
        ),
        (
            {"kind": "ack", "id": "1", "command": "set_preview_prompt", "value": "a bird, red"},
            'command taken: set preview prompt "a bird, red"',
        ),
        ({"kind": "stopped", "step": 1240}, "stopped at step 1,240; the run can be resumed from there"),
    ],
)
def test_what_a_log_line_says(event: Event, line: str) -> None:
    assert describe(event) == line


def test_progress_is_one_line() -> None:
    state = replay(make(STARTED, TRAINING, step(1, 0.25), step(2, 0.25)))
    assert progress_text(state) == "step 2/100  loss 0.2500  mean 0.2500  lr 1e-5  1.00 s/step  eta 00:01:38"
