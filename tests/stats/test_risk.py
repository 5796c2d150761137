"""Exact binomial tests in a fixed sequence: the bound, how many fails they take, and MAPIE beside it."""

import random
import warnings

import pytest
from scipy.stats import binomtest

from verdicts.stats.risk import fewest_fails, last_rejected, tail_at_most, upper_end


@pytest.mark.parametrize(("k", "n"), [(0, 59), (0, 10), (2, 50), (49, 50)])
def test_the_bound_is_clopper_and_pearsons(k, n):
    """Where k of n or fewer have a probability of 5 %; without a miss 1 - 0.05^(1/n)."""
    high = upper_end(k, n, 0.95)
    assert tail_at_most(k, n, high) == pytest.approx(0.05)
    assert k or high == pytest.approx(1 - 0.05 ** (1 / n))
    assert high == pytest.approx(binomtest(k, n, alternative="less").proportion_ci(0.95, method="exact").high)
    assert upper_end(n, n, 0.95) == upper_end(0, 0, 0.95) == 1


@pytest.mark.parametrize(("target", "misses", "fails"), [(0.05, 0, 59), (0.01, 0, 299), (0.05, 1, 93), (0.05, 5, 208)])
def test_so_many_fails_are_enough_and_one_fewer_is_not(target, misses, fails):
    assert fewest_fails(target, 0.95, misses) == fails
    assert tail_at_most(misses, fails, target) <= 0.05 < tail_at_most(misses, fails - 1, target)


def test_the_sequence_ends_at_the_first_threshold_that_is_not_shown():
    assert last_rejected([0, 0, 9, 0], 59, 0.05, 0.95) == 1
    assert last_rejected([1, 0], 59, 0.05, 0.95) is None
    assert last_rejected([], 59, 0.05, 0.95) is None


@pytest.mark.parametrize("n", [32, 128, 512])
@pytest.mark.parametrize("target", [0.05, 0.15])
def test_mapie_finds_the_same_p_values_and_the_same_threshold(n, target):
    """A release of a fail is a false positive where a pass counts as positive; MAPIE tests from the safest on too.

    With other n than powers of two k / n is rounded, and MAPIE now and then takes the p-value of k + 1 misses.
    """
    control = pytest.importorskip("mapie.risk_control", reason="needs mapie (pip install mapie)")
    import numpy as np

    draw = random.Random(n)
    fail = [draw.betavariate(4, 1) for _ in range(n)]
    chances = np.array(fail + [draw.betavariate(1, 4) for _ in range(n)])
    thresholds = np.linspace(0.01, 0.99, 99)
    found = control.BinaryClassificationController(
        predict_function=lambda p: np.stack([p, 1 - p], axis=1), risk="fpr", target_level=target,
        confidence_level=0.95, list_predict_params=1 - thresholds, fwer_method="fixed_sequence",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is controlled, for few fails
        found.calibrate(chances, np.array([0] * n + [1] * n))
    released = [sum(chance < threshold for chance in fail) for threshold in thresholds]
    assert np.ravel(found.p_values) == pytest.approx([tail_at_most(k, n, target) for k in released], rel=1e-6)
    ours = last_rejected(released, n, target, 0.95)
    assert len(found.valid_predict_params) == (0 if ours is None else ours + 1)
    assert ours is None or found.valid_predict_params[-1] == pytest.approx(1 - thresholds[ours])
