"""How many tickets a rule has to turn to be shown, by the exact test."""

from random import Random

import pytest

from verdicts.stats.exact_test import Table, exact_p
from verdicts.stats.power import POWER, least_shown, times_needed


@pytest.mark.parametrize(("level", "least"), [(0.2, 4), (0.1, 5), (0.05, 6)])
def test_a_rule_that_is_never_wrong_has_to_turn_as_many_errors_as_make_the_level(level, least):
    """Of ten wrong and ten right ones: 10/20 · 9/19 … = 1/2, 0.237, 0.105, 0.0433, 0.0163.

    Wanted in four trials of five at levels of 0.2, 0.1 and 0.05: 0.046, 0.017 and 0.0065.
    """
    assert least_shown(10, 10, 1.0, level) == least


def test_more_tickets_show_a_rule_that_turns_a_smaller_share_of_them():
    found = [least_shown(times * 58, times * 221, 0.8, 0.0005) for times in (1, 2, 4)]
    assert all(found)
    shares = [least / (times * 279) for least, times in zip(found, (1, 2, 4), strict=True)]
    assert shares[0] > shares[1] > shares[2]


@pytest.mark.parametrize(
    ("errors", "corrects", "precision"),
    [(2, 40, 0.8), (0, 40, 0.8), (40, 0, 0.8), (80, 20, 0.8)],
)
def test_none_is_shown_where_errors_are_few_or_as_frequent_as_the_rule_is_right(errors, corrects, precision):
    assert least_shown(errors, corrects, precision, 0.0005) is None


def test_the_number_is_right_in_four_of_five_drawn_runs():
    """A rule that turns so many tickets and is right in each with its precision: how often it meets the level."""
    rng, (errors, corrects, precision, level) = Random(1), (66, 150, 0.8, 0.0005)
    least = least_shown(errors, corrects, precision, level)
    shown = 0
    for _ in range(400):
        hits = sum(rng.random() < precision for _ in range(least))
        shown += exact_p([Table(hits, errors, least - hits, corrects)]) <= level
    assert POWER - 0.1 <= shown / 400 <= POWER + 0.15


def test_a_level_that_nothing_reaches_needs_no_number():
    assert times_needed([Table(1, 1, 0, 1)], 0.0) is None
    assert least_shown(10, 10, 1.0, 0.0) is None
