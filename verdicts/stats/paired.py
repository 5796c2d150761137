"""Statistics of two students on the same questions: exact McNemar for verdicts, a paired bootstrap for scores."""

import random
from collections.abc import Mapping, Sequence
from math import comb
from typing import NamedTuple


class Parts(NamedTuple):
    """What one question adds to a score of the shape ``sum of hits / sum of weights``: before, then after."""

    hits_before: float
    weight_before: float
    hits_after: float
    weight_after: float


class Change(NamedTuple):
    """``after - before`` with its 95 % interval; all None where a side has no weight."""

    change: float | None
    low: float | None
    high: float | None


def mcnemar_exact(only_before: int, only_after: int) -> float:
    """Two-sided exact p-value that ``only_before`` and ``only_after`` discordant pairs come from a fair coin.

    ``min(1, 2 P(X <= min(b, c)))`` with X binomial(b + c, 1/2): McNemar, Psychometrika 12 (1947), in the exact form of
    Fay, R Journal 2(1) (2010). 1.0 where no pair is discordant.
    """
    n = only_before + only_after
    tail = sum(comb(n, k) for k in range(min(only_before, only_after) + 1))
    p: float = 2 * tail / 2**n
    return min(1.0, p)


def change_of(groups: Mapping[str, Sequence[Parts]], resamples: int, seed: int) -> Change:
    """The change of a score, with the percentile interval of a paired bootstrap over groups, rounded to 6 digits.

    Whole groups are drawn, since photos of a ticket resemble each other. Percentile interval: Efron and Tibshirani, An
    Introduction to the Bootstrap (1993), chapter 13.
    """
    sums = [Parts(*map(sum, zip(*groups[name], strict=True))) for name in sorted(groups)]
    whole = _difference(sums)
    if whole is None:
        return Change(None, None, None)
    draw = random.Random(seed)  # its stream does not change between versions of Python
    found = [_difference(draw.choices(sums, k=len(sums))) for _ in range(resamples)]
    changes = sorted(change for change in found if change is not None)
    low, high = (
        (round(changes[round(share * (len(changes) - 1))], 6) for share in (0.025, 0.975)) if changes else (None, None)
    )
    return Change(round(whole, 6), low, high)


def _difference(sums: Sequence[Parts]) -> float | None:
    hits_before, weight_before, hits_after, weight_after = map(sum, zip(*sums, strict=True)) if sums else (0, 0, 0, 0)
    return hits_after / weight_after - hits_before / weight_before if weight_before and weight_after else None
