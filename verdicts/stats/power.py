"""How many tickets it takes to show that a rule is no chance, by the exact test of verdicts/stats/exact_test.py.

To just reach a level is to reach it in every other trial. So what a table would show has to reach a p-value as far
below the level as the power asks for: J. L. Fleiss, Statistical Methods for Rates and Proportions (1981), chapter 3.
"""

from collections.abc import Sequence
from statistics import NormalDist

from verdicts.stats.exact_test import Table, exact_p

POWER = 0.8  # of trials with as many tickets as are named here, so many show it
_NORMAL = NormalDist()


def times_needed(tables: Sequence[Table], level: float, most: int = 50) -> int | None:
    """How many times as many tickets like those of the tables would reach a level, in ``POWER`` of all such trials.

    None beyond ``most`` times, or where no number would.
    """
    if not 0 < level < 1:
        return None
    wanted = _wanted(level)
    for times in range(2, most + 1):
        if exact_p(Table(*(count * times for count in table)) for table in tables) <= wanted:
            return times
    return None


def least_shown(errors: int, corrects: int, precision: float, level: float) -> int | None:
    """Of how many of these tickets a rule has to turn the verdict to reach a level, in ``POWER`` of all cases.

    ``errors`` and ``corrects``: how many of them have a wrong and a right verdict now; ``precision``, above 0: the
    share of errors among those that the rule turns. None where not even one that turns as many as it can reaches it.
    """
    if not 0 < level < 1:
        return None

    def is_shown(turned: int) -> bool:
        hits = min(errors, round(turned * precision))
        return exact_p([Table(hits, errors, turned - hits, corrects)]) <= wanted

    wanted = _wanted(level)
    enough = int(min(errors / precision, corrects / (1 - precision) if precision < 1 else errors))
    too_few = 0
    if not enough or not is_shown(enough):
        return None
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if is_shown(middle) else (middle, enough)
    return enough


def _wanted(level: float) -> float:
    """The p-value of a table like which ``POWER`` of trials reach ``level``."""
    return _NORMAL.cdf(_NORMAL.inv_cdf(level) - _NORMAL.inv_cdf(POWER))
