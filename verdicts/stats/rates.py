"""The rates that judge verdicts. One definition of the false release rate, here.

FRR = |gt=fail and pred=pass| / |gt=fail|; false block rate = |gt=pass and pred=fail| / |gt=pass|. Both and label
match count tickets that have a verdict; format rate counts candidates. Intervals: Wilson (1927), 95 %.
"""

from collections import Counter
from collections.abc import Iterable
from math import ceil, sqrt
from typing import NamedTuple

from verdicts.base.record import Record

Z95 = 1.959963984540054


class Rate(Record):
    """``k`` of ``n`` with its 95 % Wilson interval; ``rate``, ``low`` and ``high`` are None where n is 0."""

    k: int
    n: int
    rate: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return (
            "n/a (n=0)"
            if self.rate is None
            else f"{self.rate:.1%} [{self.low:.1%}, {self.high:.1%}] ({self.k}/{self.n})"
        )


def wilson(k: int, n: int) -> Rate:
    """The share k/n with its 95 % Wilson score interval (E. B. Wilson, JASA 22, 1927), rounded to 6 digits."""
    if n == 0:
        return Rate(k=k, n=n, rate=None, low=None, high=None)
    low, high = _interval(k, n)
    return Rate(k=k, n=n, rate=round(k / n, 6), low=low, high=high)


def _interval(k: int, n: int) -> tuple[float, float]:
    share = k / n
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    return round(max(0.0, centre - half), 6), round(min(1.0, centre + half), 6)


def stands(rate: Rate, limit: float) -> str | None:
    """How a rate of errors stands to a limit. The one rule by which report and gate judge.

    ``above`` by the rate itself, ``unsure`` while its interval reaches beyond the limit, else ``within``; None where n
    is 0.
    """
    if rate.rate is None or rate.high is None:
        return None
    return "above" if rate.rate > limit else "within" if rate.high <= limit else "unsure"


def needed(rate: Rate, limit: float) -> int | None:
    """The smallest n at which this rate of errors would be within a limit; None where the rate is not below it."""
    if rate.rate is None or rate.rate >= limit:
        return None
    # the limit is the upper end of Wilson's interval where n (limit - rate)^2 = z^2 limit (1 - limit)
    return ceil(Z95**2 * limit * (1 - limit) / (limit - rate.k / rate.n) ** 2 - 1e-6)


class VerdictRates(NamedTuple):
    """The three rates over tickets that have a verdict."""

    frr: Rate
    false_block: Rate
    label_match: Rate


def verdict_rates(pairs: Iterable[tuple[str, str]]) -> VerdictRates:
    """Rates over (label, verdict) pairs, each ``pass`` or ``fail``."""
    counts = Counter(pairs)
    fails, passes = ({verdict: counts[label, verdict] for verdict in ("pass", "fail")} for label in ("fail", "pass"))
    return VerdictRates(
        frr=wilson(fails["pass"], sum(fails.values())),
        false_block=wilson(passes["fail"], sum(passes.values())),
        label_match=wilson(fails["fail"] + passes["pass"], counts.total()),
    )


def difference(k1: int, n1: int, k2: int, n2: int) -> tuple[float, float, float]:
    """k1/n1 - k2/n2 with its 95 % interval; both n are positive.

    From the two Wilson intervals: R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    p1, p2 = k1 / n1, k2 / n2
    (low1, high1), (low2, high2) = _interval(k1, n1), _interval(k2, n2)
    below = sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    above = sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    return p1 - p2, p1 - p2 - below, p1 - p2 + above
