"""Agreement beyond chance: worked out by hand, as nltk has it, and with the interval that scipy's bootstrap gives."""

import numpy as np
import pytest

from verdicts.stats.kappa import beyond_chance

# Two people, 50 tickets. Alike: 20 + 15 of 50 = 0.7. By chance: 25/50 * 30/50 + 25/50 * 20/50 = 0.5.
# So kappa = (0.7 - 0.5) / (1 - 0.5) = 0.4.
TWO = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15


def units(*observers: str) -> list[tuple[str | None, ...]]:
    return [tuple(None if word == "." else word for word in unit) for unit in zip(*observers, strict=True)]


# K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: four observers, 12 units, some of them
# not rated by all; nominal alpha = 0.743.
FOUR = units("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def test_kappa_of_two_is_what_the_table_gives_by_hand():
    assert beyond_chance(TWO).value == pytest.approx(0.4, abs=1e-9)
    assert beyond_chance(TWO).measure == "Cohen's kappa"


def test_its_interval_is_the_one_of_scipys_bootstrap():
    from scipy.stats import bootstrap

    def kappa(one, other, axis=-1):
        alike, first, second = (one == other).mean(axis), one.mean(axis), other.mean(axis)
        chance = first * second + (1 - first) * (1 - second)
        return (alike - chance) / (1 - chance)

    one, other = np.array([[word == "y" for word in row] for row in TWO], dtype=int).T
    drawn = bootstrap(
        (one, other), kappa, paired=True, vectorized=True, n_resamples=9999, method="percentile", random_state=1
    )
    found = beyond_chance(TWO)
    assert found.low == pytest.approx(drawn.confidence_interval.low, abs=0.02)
    assert found.high == pytest.approx(drawn.confidence_interval.high, abs=0.02)


def test_more_than_two_are_measured_by_krippendorffs_alpha_of_his_own_example():
    found = beyond_chance(FOUR)
    assert found.measure == "Krippendorff's alpha" and found.value == pytest.approx(0.743, abs=5e-4)
    assert found.low < found.value < found.high <= 1


def test_the_interval_of_all_alike_ends_at_one_and_the_same_ratings_give_the_same_interval():
    assert beyond_chance([("y", "y"), ("n", "n")] * 30)[1:] == (1.0, 1.0, 1.0)
    assert beyond_chance(TWO) == beyond_chance(TWO)


@pytest.mark.parametrize(
    "ratings", [[], [("y", None), (None, "n")], [("y", "y")] * 3], ids=["nothing", "nothing-by-two", "one-word"]
)
def test_what_chance_alone_would_give_is_not_defined(ratings):
    found = beyond_chance(ratings)
    assert (found.value, found.low, found.high) == (None, None, None) and str(found) == "Cohen's kappa not defined"
