"""The largest threshold at which a risk is shown to stay within a target: exact binomial tests in a fixed sequence.

A threshold t fails a ticket where P(fail) >= t; of n independent fails it releases k(t), and the risk that counts is
P(release) of a fail. Each threshold is a hypothesis "its risk is above the target", with the exact p-value

    p(t) = P(X <= k(t)),  X binomial(n, target)

which is at most 1 - confidence where the upper end of Clopper and Pearson's one-sided interval is at most the target
(Biometrika 26, 1934). Thresholds are tested in an order that was fixed before the data were seen, the safest first,
each at the whole level, until one is not rejected: fixed sequence testing (P. Bauer, Statistics in Medicine 10, 1991;
B. L. Wiens, Pharmaceutical Statistics 2, 2003), which needs no correction for their number. So the chance that the last
rejected threshold has a risk above the target is at most 1 - confidence, whatever the model: Learn then Test
(A. N. Angelopoulos, S. Bates, E. J. Candes, M. I. Jordan and L. Lei, arXiv 2110.01052, 2021).
"""

from collections.abc import Sequence
from math import ceil, log, log1p


def tail_at_most(k: int, n: int, target: float) -> float:
    """P(X <= k) of a binomial(n, target): the p-value that the risk is above ``target``, after k of n."""
    from scipy.stats import binom

    return float(binom.cdf(k, n, target))


def upper_end(k: int, n: int, confidence: float) -> float:
    """Clopper and Pearson's one-sided upper end of k/n: the largest risk that k of n leave open; 1 for n 0."""
    from scipy.stats import beta

    return 1.0 if k >= n else float(beta.ppf(confidence, k + 1, n - k))


def fewest_fails(target: float, confidence: float, misses: int = 0) -> int:
    """The fewest fails that show a risk within ``target`` with so many of them missed.

    Without a miss log(1 - confidence) / log(1 - target): 59 for 5 %, 299 for 1 % at 95 %. ``target``, ``confidence``:
    shares inside (0, 1).
    """
    if not misses:
        return ceil(log(1 - confidence) / log1p(-target) - 1e-9)
    low, high = misses, misses + 1
    while tail_at_most(misses, high, target) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tail_at_most(misses, middle, target) <= 1 - confidence else (middle, high)
    return high


def last_rejected(misses: Sequence[int], n: int, target: float, confidence: float) -> int | None:
    """The place of the last hypothesis that fixed sequence testing rejects, None where it rejects none.

    ``misses``: of each threshold, in the fixed order, how many of the n fails it releases.
    """
    from scipy.stats import binom

    shown = [*(binom.cdf(misses, n, target) <= 1 - confidence), False]
    return shown.index(False) - 1 if shown[0] else None
