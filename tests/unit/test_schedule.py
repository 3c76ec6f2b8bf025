"""The learning-rate text is A1111's, step by step."""

import pytest

from trainer.schedule import Schedule


def rates(text: str, max_steps: int, first_step: int = 0) -> list[float]:
    schedule = Schedule.parse(text, max_steps, first_step)
    return [schedule.at(step) for step in range(schedule.first_step, schedule.last_step)]


def test_one_rate_holds_to_the_end() -> None:
    assert rates("0.0005", 5) == [0.0005] * 5


def test_segments_change_without_interpolation() -> None:
    assert rates("5e-5:2, 5e-6:4, 5e-7", 6) == [5e-5, 5e-5, 5e-6, 5e-6, 5e-7, 5e-7]


def test_minus_one_means_to_the_end_and_ends_the_text() -> None:
    assert rates("1e-3:2, 1e-5:-1, 7", 4) == [1e-3, 1e-3, 1e-5, 1e-5]


def test_a_list_that_ends_early_ends_the_training() -> None:
    assert Schedule.parse("0.001:100", 2000).last_step == 100


def test_ends_beyond_the_last_step_are_cut_and_end_the_text() -> None:
    assert rates("1:10, 2:20", 5) == [1] * 5


def test_segments_already_passed_are_left_out() -> None:
    assert rates("1:100, 2:200, 3", 300, first_step=150)[:51] == [2] * 50 + [3]


def test_a_segment_that_ends_before_it_begins_still_gets_its_one_step() -> None:
    assert rates("1:3, 2:2, 5", 6) == [1, 1, 1, 2, 5, 5]


@pytest.mark.parametrize("text", ["", " , ", "abc", "1:x", "nan", "-1", "inf:5"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|needs"):
        Schedule.parse(text, 10)


def test_nothing_left_for_the_steps_to_come_is_refused() -> None:
    with pytest.raises(ValueError, match="no rate"):
        Schedule.parse("1:10, 2:20", 100, first_step=50)


def test_cosine_rises_then_falls_to_its_share() -> None:
    schedule = Schedule.parse("1", 100, kind="cosine", warmup_steps=10, final_share=0.1)
    assert [schedule.at(step) for step in (0, 9)] == [0.1, 1.0]
    assert schedule.at(10) == 1.0
    assert schedule.at(55) == pytest.approx(0.55)
    assert schedule.at(100) == pytest.approx(0.1)
    falling = [schedule.at(step) for step in range(10, 100)]
    assert falling == sorted(falling, reverse=True)
