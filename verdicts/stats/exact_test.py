"""The exact test of a change, and the level it has to meet.

A new rule easily rides on the base rate: where two labels of three are fail, any rule that fails more tickets
"improves" label match. So a change has to change wrong verdicts more often than right ones (one-sided exact test).

A run tries many changes, so the level of the test falls with each that finds nothing: ``level_of`` spends a budget of
false acceptances over all trials since the last acceptance (the LORD rule of A. Javanmard and A. Montanari, Annals of
Statistics 46, 2018). A trial that could not have been significant whatever it showed costs nothing (R. E. Tarone,
Biometrics 46, 1990), nor does one that shows nothing at all, p > ``discard``, for which all others pay by a level that
is ``discard`` times as high (J. Tian and A. Ramdas, ADDIS, NeurIPS 2019).
"""

from collections.abc import Iterable
from math import exp, lgamma, log, sqrt
from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """How many of some errors and of some corrects a change hits."""

    changed_errors: int
    errors: int
    changed_corrects: int
    corrects: int

    @property
    def best(self) -> "Table":
        """The same number of changes with as many errors among them as there are."""
        changed = self.changed_errors + self.changed_corrects
        hit = min(changed, self.errors)
        return Table(hit, self.errors, changed - hit, self.corrects)


def exact_p(strata: Iterable[Table]) -> float:
    """One-sided p-value that a change hits errors no more than corrects, within each stratum.

    With one stratum Fisher's exact test (R. A. Fisher, 1935), with several the exact conditional test of a common odds
    ratio (D. R. Cox, 1970): margins of each stratum are fixed, and the number of changed errors is summed over them.
    """
    # ways[n]: how many ways, in proportion, lead to ``least + n`` changed errors over the strata so far
    ways, least, seen = np.ones(1), 0, 0
    for table in strata:
        changed = table.changed_errors + table.changed_corrects
        low, high = max(0, changed - table.corrects), min(table.errors, changed)
        logs = np.array(
            [_log_comb(table.errors, hit) + _log_comb(table.corrects, changed - hit) for hit in range(low, high + 1)]
        )
        ways = np.convolve(ways, np.exp(logs - logs.max()))
        ways /= ways.max()  # only proportions count; products of many strata would overflow
        least, seen = least + low, seen + table.changed_errors
    return float(ways[seen - least :].sum() / ways.sum())


def _log_comb(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def level_of(trials: int, spend: float, discard: float) -> float:
    """The level of the next test after ``trials`` that accepted nothing.

    ``discard`` times ``spend`` times LORD's sequence, which sums to 1 over all trials.
    """
    t = trials + 1
    return discard * spend * 0.07720838 * log(max(t, 2)) / (t * exp(sqrt(log(t))))
