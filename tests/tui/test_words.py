"""Numbers, bars and tables as people read them."""

import math

import pytest
from rich.cells import cell_len

from trainer.run.facts import StepPoint
from tui.words import age_text, bar, direction, fit, loss_text, table


def points(losses: list[float]) -> list[StepPoint]:
    return [StepPoint(n + 1, loss, loss, None, None, 0.4, None, 0.0) for n, loss in enumerate(losses)]


def test_a_bar_fills_in_eighths_and_keeps_its_width() -> None:
    assert bar(0.5, 4) == "██░░"
    assert bar(0.53125, 4) == "██▏░"
    assert [len(bar(share, 10)) for share in (-1, 0, 0.123, 1, 7)] == [10] * 5


@pytest.mark.parametrize(("seconds", "text"), [(3, "just now"), (60, "1 minute ago"), (7300, "2 hours ago")])
def test_ages_are_rough(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


def test_the_direction_needs_steps_and_ignores_noise() -> None:
    assert direction(points([0.2] * 5)) == ""
    assert direction(points([0.2 - 0.001 * n for n in range(60)])) == "falling"
    assert direction(points([0.1 + 0.001 * n for n in range(60)])) == "rising"
    assert direction(points([0.1] * 60)) == "level"
    assert direction(points([math.nan] * 60)) == ""


@pytest.mark.parametrize(("loss", "text"), [(None, "n/a"), (0.11249, "0.112"), (0.0021, "0.0021"), (math.nan, "nan")])
def test_losses_have_three_digits(loss: float | None, text: str) -> None:
    assert loss_text(loss) == text


def test_cut_texts_end_in_an_ellipsis_and_count_wide_letters_twice() -> None:
    assert fit("gollum", 4) == "gol…"
    assert cell_len(fit("地図地図", 5)) == 5


def test_a_table_aligns_its_columns_and_cuts_the_first_one_first() -> None:
    lines = table([("a-very-long-name", "running", "step 1"), ("b", "paused", "step 22")], 28)
    assert lines == ["a-very-lo…  running  step 1", "b           paused   step 22"]
    assert all(cell_len(line) <= 12 for line in table([("name", "running", "step 1,000")], 12))
