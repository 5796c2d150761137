"""The exact test of a change, and the level that it has to meet."""

from itertools import pairwise
from math import comb

import pytest

from verdicts.stats.exact_test import Table, exact_p, level_of


# Hand-computed hypergeometric tails: P(at least k of the changed tickets are errors), changed tickets drawn blindly.
@pytest.mark.parametrize(
    ("changed_errors", "errors", "changed_corrects", "corrects", "p"),
    [
        (3, 3, 0, 3, 1 / 20),  # C(3,3)·C(3,0) / C(6,3)
        (3, 4, 1, 4, 17 / 70),  # the lady tasting tea with one slip: (16 + 1) / C(8,4)
        (4, 4, 0, 4, 1 / 70),
        (1, 2, 1, 2, 5 / 6),  # (C(2,1)·C(2,1) + C(2,2)) / C(4,2)
        (0, 5, 3, 5, 1.0),  # at least none: always
        (2, 10, 0, 90, 45 / 4950),
        (5, 5, 0, 0, 1.0),  # every ticket is an error: a change cannot tell them apart
        (0, 0, 0, 0, 1.0),
    ],
)
def test_fishers_exact_test_gives_the_values_computed_by_hand(changed_errors, errors, changed_corrects, corrects, p):
    assert exact_p([Table(changed_errors, errors, changed_corrects, corrects)]) == pytest.approx(p, abs=1e-12)


def test_fishers_exact_test_is_the_whole_upper_tail():
    total = sum(comb(6, k) * comb(9, 5 - k) for k in range(2, 6)) / comb(15, 5)
    assert exact_p([Table(2, 6, 3, 9)]) == pytest.approx(total)


def test_strata_are_tested_together_with_the_margins_of_each_fixed():
    """Two tables by hand: 2 of 2 errors and 0 of 2 corrects, then 1 of 1 and 0 of 1: 1/6 * 1/2."""
    assert exact_p([Table(2, 2, 0, 2), Table(1, 1, 0, 1)]) == pytest.approx(1 / 12, abs=1e-12)


def test_large_counts_are_no_burden():
    assert 0 <= exact_p([Table(40_000, 60_000, 10_000, 60_000)]) < 1e-9


# -- the level of a test
def test_the_level_falls_with_every_trial_that_accepts_nothing():
    # half of 0.5 * 0.07720838 * ln(max(t, 2)) / (t * exp(sqrt(ln t))) for t = 1, 2 and 10
    assert level_of(0, 0.5, 0.5) == pytest.approx(0.25 * 0.07720838 * 0.693147181, rel=1e-8)
    assert level_of(1, 0.5, 0.5) == pytest.approx(0.25 * 0.07720838 * 0.693147181 / (2 * 2.29918452), rel=1e-6)
    assert level_of(9, 0.5, 0.5) == pytest.approx(0.25 * 0.07720838 * 2.302585093 / (10 * 4.56046), rel=1e-5)
    levels = [level_of(trials, 0.5, 0.5) for trials in range(1000)]
    assert all(later < earlier for earlier, later in pairwise(levels))


def test_all_trials_together_spend_no_more_than_what_there_is_to_spend():
    spent = sum(level_of(trials, 0.5, 0.5) for trials in range(100_000))
    assert 0.1 < spent <= 0.25
    assert sum(level_of(trials, 0.25, 0.5) for trials in range(1000)) == pytest.approx(
        sum(level_of(trials, 0.5, 0.5) for trials in range(1000)) / 2
    )


@pytest.mark.parametrize(
    ("changed", "errors", "corrects", "p"),
    [
        (0, 5, 5, 1.0),
        (1, 1, 9, 1 / 10),
        (2, 2, 2, 1 / 6),  # both errors: C(2,2) / C(4,2)
        (3, 2, 4, 4 / 20),  # both errors and one of four right ones: C(2,2)·C(4,1) / C(6,3)
        (3, 10, 40, 120 / 19600),  # C(10,3) / C(50,3)
        (4, 0, 8, 1.0),
    ],
)
def test_the_least_p_value_is_that_of_a_change_which_hits_errors_alone(changed, errors, corrects, p):
    assert exact_p([Table(0, errors, changed, corrects).best]) == pytest.approx(p, abs=1e-12)
