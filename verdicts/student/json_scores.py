"""Scores of summaries in the JSON form: category, name, value and count, whatever the order of their keys.

Remarks are free text: they are compared apart. Imports the standard library only.
"""

from collections import Counter
from typing import Any, NamedTuple

from verdicts.facts.fact import SummaryFacts
from verdicts.facts.summary import read_summary
from verdicts.student.photo_scores import F1

Statement = tuple[str, ...]


class JsonScores(NamedTuple):
    """``right``: the same counts of the same values. ``statistics``: pieces found. ``remarks``: the same texts."""

    right: bool
    statistics: F1
    remarks: F1


def is_json(summary: str) -> bool:
    """Whether a summary has the JSON form and was read to its end: nothing in it is without a category."""
    facts = read_summary(summary)
    return facts.form == "json" and all(fact.category for fact in facts.facts)


def statements(facts: SummaryFacts) -> Counter[Statement]:
    """What a JSON summary states: a piece for each category, for each value of a name, and for each count.

    ``{"类别": "标签", "可读性": {"不可读": 2}}`` has three. A wrong count so costs one piece, whatever it is.
    """
    values: Counter[Statement] = Counter()
    for fact in facts.facts:
        values.update({(fact.category, *pair): fact.count for pair in fact.attributes})
    values.update({("分组统计", group): count for group, count in facts.groups})
    categories = {(fact.category or fact.text,) for fact in facts.facts}
    return Counter([*categories, *values, *((*value, f"×{count}") for value, count in values.items())])


def score_json(given: str, wanted: str) -> JsonScores:
    """Compare a summary with a wanted one of the JSON form; one of another form finds nothing."""
    mine, truth = read_summary(given), read_summary(wanted)
    stated = statements(mine) if mine.form == "json" else Counter[Statement]()
    remarks = _overlap(Counter(mine.remarks if mine.form == "json" else []), Counter(truth.remarks))
    return JsonScores(is_json(given) and stated == statements(truth), _overlap(stated, statements(truth)), remarks)


def _overlap(given: Counter[Any], wanted: Counter[Any]) -> F1:
    return F1((given & wanted).total(), given.total(), wanted.total())
