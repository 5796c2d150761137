"""The one test for an explicit negative, as the guard of a vote and the review page ask it."""

import pytest

from tests.support.builders import ticket
from verdicts.config.sections import FailFirst
from verdicts.review.highlight import Marker
from verdicts.stage_b.negatives import is_negative
from verdicts.stage_b.selection import explicit_negative

GUARD = FailFirst(enabled=True, negatives=[["地线", "松动"], ["散乱"]])


@pytest.mark.parametrize(
    ("fact", "negative"),
    [("接地线/松动×1", True), ("松动的地线", True), ("地线/紧固×1", False), ("电线/散乱×2", True), ("", False)],
)
def test_a_fact_is_negative_if_it_holds_all_words_of_one_negative(fact, negative):
    assert is_negative(fact, GUARD.negatives) is negative
    assert not is_negative(fact, [])


@pytest.mark.parametrize(
    "summary", ["接地线/松动×1，螺丝/紧固×2", "地线/紧固×1，螺丝/松动×1", "标签/可见×1；电线/散乱×2"]
)
def test_the_page_marks_as_a_breach_what_the_guard_counts(summary):
    marked = [piece.text for piece in Marker("", GUARD).pieces(summary) if piece.kind == "breach"]
    counted = explicit_negative(ticket("a", summaries=(summary,)), GUARD)
    assert bool(marked) == bool(counted)
    assert counted is None or counted[1].startswith(marked[0])
