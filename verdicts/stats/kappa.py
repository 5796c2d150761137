"""Agreement of people beyond chance: Cohen's κ for two, Krippendorff's α for more, with bootstrap intervals.

The figures come from nltk. Intervals draw tickets with replacement, as a percentile bootstrap does (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). nltk takes one set of ratings at a time, so the
formulas stand here again, for many sets at once: J. Cohen, Educational and Psychological Measurement 20 (1960);
K. Krippendorff, Content Analysis (2004), chapter 11, for nominal words.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

DRAWS, SEED = 2000, 17  # of a bootstrap
Ratings = Sequence[Sequence[str | None]]  # a row a ticket: each reviewer's word, None where they said nothing
Measure = Literal["Cohen's kappa", "Krippendorff's alpha"]
_MEASURE: dict[bool, Measure] = {True: "Cohen's kappa", False: "Krippendorff's alpha"}  # by whether they are two


class BeyondChance(NamedTuple):
    """A figure of agreement with its 95 % interval.

    1: always alike; 0: as by chance. All None where it is not defined: nothing rated by two, or one word alone used.
    """

    measure: Measure
    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.measure} not defined"
        interval = "" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.measure} {self.value:.2f}{interval}"


def beyond_chance(ratings: Ratings) -> BeyondChance:
    """How far reviewers agree beyond chance, on the tickets that two of them or more rated. Rounded to 6 digits.

    Two reviewers: Cohen's κ. More: Krippendorff's α, which takes tickets that only some of them rated.
    """
    rows = [tuple(row) for row in ratings if sum(word is not None for word in row) > 1]
    two = max((len(row) for row in ratings), default=2) == 2
    words = sorted({word for row in rows for word in row if word is not None})
    if len(words) < 2:
        return BeyondChance(_MEASURE[two], None, None, None)  # chance alone would agree always
    low, high = _interval(rows, words, _kappas if two else _alphas)
    return BeyondChance(_MEASURE[two], round(_by_nltk(rows, two), 6), low, high)


def _by_nltk(rows: Ratings, two: bool) -> float:
    from nltk.metrics.agreement import AnnotationTask

    data = [(who, number, word) for number, row in enumerate(rows) for who, word in enumerate(row) if word is not None]
    task = AnnotationTask(data=data)
    return float(task.kappa() if two else task.alpha())


def _interval(
    rows: Sequence[tuple[str | None, ...]], words: list[str], figures: Callable[[np.ndarray], np.ndarray]
) -> tuple[float | None, float | None]:
    """The middle 95 % of what resampled tickets give; (None, None) where none of them defines the figure."""
    kinds = Counter(rows)  # tickets rated alike add the same table
    tables = np.array([_table(row, words, figures is _kappas) for row in kinds])
    drawn = np.random.default_rng(SEED).multinomial(len(rows), np.array(list(kinds.values())) / len(rows), size=DRAWS)
    found = figures(np.tensordot(drawn, tables, axes=1))
    found = found[~np.isnan(found)]
    if not len(found):
        return None, None
    low, high = np.quantile(found, [0.025, 0.975])
    return round(float(low), 6), round(float(high), 6)


def _table(row: Sequence[str | None], words: list[str], ordered: bool) -> np.ndarray:
    """One ticket's pairs of words: (first's, second's), or all ordered pairs, each 1 / (number of words - 1)."""
    said = [words.index(word) for word in row if word is not None]
    table = np.zeros((len(words), len(words)))
    if ordered:
        table[said[0], said[1]] = 1
        return table
    for one, word in enumerate(said):
        for other, another in enumerate(said):
            table[word, another] += (one != other) / (len(said) - 1)
    return table


def _kappas(tables: np.ndarray) -> np.ndarray:
    """Cohen's κ of each table (draws, words, words); nan where chance alone would agree always."""
    n = tables.sum(axis=(1, 2))
    alike = np.trace(tables, axis1=1, axis2=2) / n
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance < 1, (alike - chance) / (1 - chance), np.nan)


def _alphas(tables: np.ndarray) -> np.ndarray:
    """Krippendorff's α of each table of coincidences (draws, words, words); nan where one word alone was drawn."""
    of_word = tables.sum(axis=1)
    n = of_word.sum(axis=1)
    apart = 1 - np.trace(tables, axis1=1, axis2=2) / n
    by_chance = 1 - (of_word * (of_word - 1)).sum(axis=1) / (n * (n - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 1e-12, 1 - apart / by_chance, np.nan)
