"""A question's event as text: what is missing or of another kind is left out."""

from typing import Any

import pytest
from rich.cells import cell_len

from tests.tui.stories import HOSTILE
from trainer.run.state import replay
from tui.question import Asked, asked_of, clock_text, meanings, option_lines


def asked(**fields: Any) -> Asked:
    event = {
        "v": 1, "seq": 1, "t": 1000.0, "kind": "question", "id": "q", "text": "It ran out.",
        "choices": ["medvram", "stop"], "default": "stop", **fields,
    }  # fmt: skip
    state = replay([event])
    assert state.question is not None
    return asked_of(state.question)


def test_heading_says_what_happened_and_where() -> None:
    assert asked(about="memory", step=1).heading == "out of memory at step 1"
    assert asked(about="nan", step=1200).heading == "training diverged at step 1,200"
    assert asked(about="something new").heading == "needs you"


def test_options_are_aligned_with_memory_fit_pace_and_price_and_the_default_is_best() -> None:
    options = [
        {"id": "medvram", "title": "medvram", "peak_bytes": 3.3 * 2**30, "fits": False, "step_s": 0.9, "price": "same"},
        {"id": "stop", "title": "stop here; resume later", "peak_bytes": None, "fits": None, "step_s": None},
    ]
    lines = option_lines(asked(options=options), 76)
    assert lines == [
        "1  medvram   3.3 GiB  too large  0.90 s/step  same",
        "2  stop here; resume later                          best",
    ]
    assert all(cell_len(line) <= 40 for line in option_lines(asked(options=options), 40))


def test_a_long_name_gives_way_before_any_figure() -> None:
    tree = {"id": "medvram", "title": "Weights in 8 bits or kept in RAM, one picture at once", "peak_bytes": 2**30,
            "fits": True, "step_s": 0.25, "price": "same result"}  # fmt: skip
    row = option_lines(asked(options=[tree]), 76)[0]
    assert "…  " in row
    assert "1.0 GiB  fits  0.25 s/step  same result" in row


def test_the_clock_counts_down_to_the_supervisors_deadline_and_never_promises_more() -> None:
    told = asked(deadline_t=1048.2)
    assert clock_text(told, 1000) == "2 is taken in 49 s if nobody answers."
    assert clock_text(told, 800) == "2 is taken in 4 min 09 s if nobody answers."
    assert clock_text(told, 1049) == "The time is up: 2 is taken."
    assert clock_text(asked(deadline_t=None), 1000) == "The run waits for your answer, however long that takes."
    disk = asked(about="disk", deadline_t=None, choices=["wait", "stop"], default="wait")
    assert clock_text(disk, 1000) == "The run goes on by itself as soon as there is room; no answer is needed."


def test_numbers_of_the_fault_are_told_with_who_holds_the_memory() -> None:
    details = {"asked_bytes": 2**30, "free_bytes": 2**29, "total_bytes": 2**33, "path": "/x",
               "holders": [{"pid": 7, "name": "python", "bytes": 2**29}, {"bytes": 2**20}]}  # fmt: skip
    assert asked(details=details).details == (
        "asked for 1.0 GiB; free 512 MiB of 8.0 GiB; python (7) holds 512 MiB; another process holds 1.0 MiB; at /x"
    )
    told = asked(text="It asked for 1.0 GiB where 512 MiB of 8.0 GiB were free.", details=details)
    assert told.details == "python (7) holds 512 MiB; another process holds 1.0 MiB; at /x"
    told = asked(text="The loss is not a finite number (a.png).", details={"pictures": ["a.png", "b.png"]})
    assert told.details == "pictures b.png"


@pytest.mark.parametrize("junk", [None, 7, "x", [1, "a", None], {"a": 1}, float("nan"), HOSTILE])
def test_anything_in_place_of_what_should_be_there_is_shown_harmlessly(junk: Any) -> None:
    tree = {"id": "medvram", "title": junk, "peak_bytes": junk, "fits": junk, "step_s": junk, "price": junk}
    detail = {"free_bytes": junk, "holders": [junk, {"pid": junk, "name": junk, "bytes": junk}], "pictures": [junk]}
    for options in (junk, [junk], [tree]):
        told = asked(about=junk, step=junk, lost=junk, deadline_t=junk, options=options, details=detail)
        shown = "\n".join([told.heading, told.lost, told.details, *option_lines(told, 76), clock_text(told, 0)])
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert shown.count("\n") == 5
    asked(details=junk)


def test_choices_without_options_and_none_at_all_can_be_shown() -> None:
    assert option_lines(asked(), 76) == ["1  medvram", "2  stop     best"]
    none = asked(choices=[], default="")
    assert option_lines(none, 76) == []
    assert "waits" in clock_text(none, 0)


def test_help_explains_the_choices_there_are() -> None:
    text = meanings(asked())
    assert text.startswith("1  medvram: ")
    assert "2  stop: The run ends at its last state" in text
