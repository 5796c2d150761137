"""What sets some tickets apart from others: features that one group has, or lacks, far more often than the other.

Contrast sets of one feature (S. D. Bay, M. J. Pazzani, Data Mining and Knowledge Discovery 5, 2001), by the exact test.
Hundreds of features are looked at. So that any is named by chance with a probability of at most ``level``, each has to
reach ``level / k``, where k counts those that could reach it whatever they showed (R. E. Tarone, Biometrics 46, 1990).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from verdicts.stats.exact_test import Table, exact_p

_SAME = 0.8  # of the holders of two features are the same: one of them is enough


class Contrast(NamedTuple):
    """A feature and the wrong ones that have it, or lack it (``lacks``), more often than right ones do.

    ``holders``: those that share the least with whatever else sets wrong ones apart first: of them it alone could be
    why.
    """

    what: str
    lacks: bool
    holders: tuple[str, ...]
    p_value: float

    @property
    def text(self) -> str:
        """``without BBU设备``."""
        return f"without {self.what}" if self.lacks else self.what


def contrasts(
    features: Mapping[str, AbstractSet[str]],
    wrong: Sequence[str],
    right: Sequence[str],
    strata: Mapping[str, int],
    whole: Collection[str],
    level: float,
) -> list[Contrast]:
    """Features that ``wrong`` keys have or lack more often than ``right`` ones, the clearest first.

    ``features``: of each key. ``strata``: of each key; keys are compared within one, but for features in ``whole``, of
    which none is looked at for lacking it.
    Of features with nearly the same holders the first stays. An empty list where nothing is beyond chance.
    """
    keys = (*wrong, *right)
    looked_at = []
    for what in sorted(set().union(*(features[key] for key in keys))):
        for lacks in (False,) if what in whole else (False, True):
            has = {key for key in keys if (what in features[key]) != lacks}
            looked_at.append((what, lacks, has, _tables(has, wrong, right, {} if what in whole else strata)))
    bound = _bound([exact_p(table.best for table in tables) for *_, tables in looked_at], level)
    rivals = Counter(key for *_, has, _ in looked_at if exact_p(_tables(has, wrong, right, {})) <= bound for key in has)
    clear = [
        Contrast(what, lacks, tuple(sorted((key for key in wrong if key in has), key=lambda key: rivals[key])), p)
        for what, lacks, has, tables in looked_at
        if (p := exact_p(tables)) <= bound
    ]
    kept: list[Contrast] = []
    for one in sorted(clear, key=lambda one: (one.p_value, one.lacks, one.what)):
        if not any(_alike(set(one.holders), set(other.holders)) for other in kept):
            kept.append(one)
    return kept


def _tables(
    has: AbstractSet[str], wrong: Sequence[str], right: Sequence[str], strata: Mapping[str, int]
) -> list[Table]:
    counts: dict[int, list[int]] = {}
    for at, keys in enumerate((wrong, right)):
        for key in keys:
            count = counts.setdefault(strata.get(key, 0), [0, 0, 0, 0])
            count[2 * at] += key in has
            count[2 * at + 1] += 1
    return [Table(*counts[stratum]) for stratum in sorted(counts)]


def _bound(best: Sequence[float], level: float) -> float:
    """The p-value that a feature must reach: ``level / k`` for the smallest k that no more than k could reach."""
    k = 1
    while sum(p <= level / k for p in best) > k:
        k += 1
    return level / k


def _alike(one: AbstractSet[str], other: AbstractSet[str]) -> bool:
    return len(one & other) >= _SAME * len(one | other)
