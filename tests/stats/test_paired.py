"""verdicts.stats.paired: statistics of pairs against known values."""

import random

import pytest

from verdicts.stats.paired import Change, Parts, change_of, mcnemar_exact


@pytest.mark.parametrize(
    ("only_before", "only_after", "p_value"),
    [
        (10, 2, 2 * (1 + 12 + 66) / 2**12),
        (2, 10, 2 * (1 + 12 + 66) / 2**12),
        (12, 5, 0.143463134765625),  # scipy.stats.binomtest(5, 17).pvalue
        (95, 1, 2.4486242498060206e-27),  # scipy.stats.binomtest(1, 96).pvalue
        (5, 0, 0.0625),
        (6, 0, 0.03125),
        (1, 0, 1.0),
        (7, 7, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_exact(only_before, only_after, p_value):
    assert mcnemar_exact(only_before, only_after) == pytest.approx(p_value, rel=1e-9, abs=0)


def test_a_thousand_discordant_pairs_are_no_matter():
    assert mcnemar_exact(3000, 0) == 0.0
    assert mcnemar_exact(1500, 1500) == 1.0


def one_each(before: list[int], after: list[int]) -> dict[str, list[Parts]]:
    return {f"g{at}": [Parts(old, 1, new, 1)] for at, (old, new) in enumerate(zip(before, after, strict=True))}


def test_a_change_is_after_minus_before():
    change = change_of(one_each([1, 1, 0, 0], [1, 1, 1, 0]), 200, 1)
    assert change.change == 0.25
    assert change.low <= 0.25 <= change.high


def test_no_change_in_any_question_has_an_interval_of_nothing():
    assert change_of(one_each([1, 0, 1], [1, 0, 1]), 200, 1) == Change(0.0, 0.0, 0.0)


def test_the_interval_is_about_that_of_the_normal_approximation_for_many_questions():
    rng = random.Random(5)
    before = [int(rng.random() < 0.5) for _ in range(400)]
    after = [old if rng.random() < 0.8 else 1 - old for old in before]
    change = change_of(one_each(before, after), 2000, 1)
    moved = [new - old for old, new in zip(before, after, strict=True)]
    mean = sum(moved) / 400
    half = 1.96 * (sum((m - mean) ** 2 for m in moved) / 400 / 400) ** 0.5
    assert change.change == pytest.approx(mean)
    assert change.low == pytest.approx(mean - half, abs=0.006)
    assert change.high == pytest.approx(mean + half, abs=0.006)


def test_photos_of_one_group_are_drawn_together_and_widen_the_interval():
    alone = one_each([1] * 40, [1] * 20 + [0] * 20)
    parts = [part for group in alone.values() for part in group]
    together = {f"g{at}": parts[at * 10 : at * 10 + 10] for at in range(4)}
    narrow, wide = change_of(alone, 1000, 1), change_of(together, 1000, 1)
    assert wide.change == narrow.change == -0.5
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_an_f1_is_weighed_by_what_it_counts():
    groups = {"a": [Parts(2, 4, 4, 4)], "b": [Parts(0, 12, 0, 12)]}
    assert change_of(groups, 100, 1).change == 0.125


def test_where_a_side_has_nothing_to_count_the_change_is_unknown():
    assert change_of({"a": [Parts(0, 0, 1, 1)]}, 100, 1) == Change(None, None, None)
    assert change_of({}, 100, 1) == Change(None, None, None)


def test_the_same_seed_draws_the_same_interval_whatever_the_order_of_groups():
    groups = {f"g{at}": [Parts(1, at + 1, at % 3, at + 2)] for at in range(30)}
    assert change_of(groups, 300, 7) == change_of(dict(reversed(groups.items())), 300, 7)
    assert change_of(groups, 300, 7) != change_of(groups, 300, 8)
