"""The tickets that a proposed change is tried on."""

from collections.abc import Sequence

import pytest

from tests.support.trial_samples import LIMITS, drawn, passes, selected
from verdicts.guidance.sample import draw_sample
from verdicts.records.rollout import Selection


def test_a_sample_holds_one_verdict_only_and_is_drawn_by_its_seed():
    selections = passes(60, 60) + selected(5, "pass", "fail", "b")
    sample = drawn(selections, seed="1")
    assert {selection.verdict for selection in [*sample.errors, *sample.corrects]} == {"pass"}
    assert (len(sample.errors), len(sample.corrects)) == (48, 48)
    assert sample == drawn(selections, seed="1") != drawn(selections, seed="2")


# -- what of it reflection was shown, and what present guidance has mended since
def test_a_change_is_tried_on_errors_that_reflection_was_not_shown():
    shown = {f"w{number}::fail" for number in range(18)}
    sample = drawn(passes(30, 30), shown=shown)
    assert {selection.ticket_key for selection in sample.errors} == {f"w{number}::fail" for number in range(18, 30)}
    assert (len(sample.corrects), sample.errors_in_all) == (30, 30)  # twelve stand for all thirty


def test_shown_errors_are_tried_on_too_where_less_than_a_quarter_of_what_is_wanted_is_left():
    shown = {f"w{number}::fail" for number in range(19)}
    sample = drawn(passes(30, 30), shown=shown)
    assert (len(sample.errors), sample.errors_in_all) == (30, 30)  # eleven are left, of 48 wanted
    many = drawn(passes(100, 0), shown={f"w{number}::fail" for number in range(90)})
    unseen = {f"w{number}::fail" for number in range(90, 100)}
    assert (
        len(many.errors) == 48
        and unseen < {selection.ticket_key for selection in many.errors}
        and many.errors_in_all == 100
    )


def test_what_present_guidance_has_changed_is_passed_over_and_others_are_drawn_for_it():
    gone = {f"w{number}::fail" for number in range(300)} | {f"r{number}::pass" for number in range(0, 60, 2)}
    sample = drawn(passes(308, 60), gone=gone)
    assert {selection.ticket_key for selection in sample.errors} == {f"w{number}::fail" for number in range(300, 308)}
    assert {selection.ticket_key for selection in sample.corrects} == {f"r{number}::pass" for number in range(1, 60, 2)}
    assert (sample.errors_in_all, sample.corrects_in_all) == (8, 30)


def test_no_more_tickets_are_asked_than_a_sample_needs_and_its_share_stands_for_the_rest():
    asked = []

    def standing(some: Sequence[Selection]) -> list[Selection]:
        asked.append(len(some))
        return list(some[::2])  # every other one

    limits = LIMITS.model_copy(update={"errors": 8, "corrects": 1})
    sample = draw_sample(passes(80, 0), "pass", limits, "seed", (), standing)
    assert asked == [8, 4, 2, 1] and len(sample.errors) == 8  # 4, then 2, 1 and 1 of what is lacking
    assert sample.errors_in_all == pytest.approx(80 * 8 / 15)


def test_a_sample_of_nothing_that_stands_is_empty():
    sample = drawn(passes(5, 5), gone={selection.ticket_key for selection in passes(5, 5)})
    assert (sample.errors, sample.corrects, sample.errors_in_all, sample.corrects_in_all) == ([], [], 0, 0)
