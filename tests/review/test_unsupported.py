"""The need-review list: which tickets it holds, and what it says of them."""

import pytest

from tests.support.builders import NO_GUARD, candidates, ticket
from verdicts.records.review import NeedReviewEntry
from verdicts.records.tickets import StageA
from verdicts.review.unsupported import (
    distinct_answers,
    is_unsupported,
    last_evaluations,
    log_odds_against,
    review_entries,
)
from verdicts.stage_b.selection import select


def queued(
    answers: list[tuple[StageA, str]],
    policy: str = "unsupported",
    suspects: dict[str, str] | None = None,
    shown: dict[str, str] | None = None,
) -> list[NeedReviewEntry]:
    """The entries of one round in which these tickets got these candidates."""
    found = [candidates(of, words) for of, words in answers]
    chosen = [
        selection for (of, _), rows in zip(answers, found, strict=True) if (selection := select(of, rows, NO_GUARD))
    ]
    return review_entries([row for rows in found for row in rows], chosen, policy, suspects or {}, shown or {})


@pytest.mark.parametrize(
    ("label", "words", "unsupported"),
    [
        ("fail", "pass pass pass pass", True),
        ("pass", "fail fail", True),
        ("fail", "pass", True),
        ("fail", "pass pass pass fail", False),  # one candidate supports the label
        ("pass", "fail fail fail pass", False),
        ("fail", "fail fail", False),
        ("fail", "bad bad pass", True),  # malformed candidates support nothing
        ("fail", "bad bad bad", False),  # a hard failure, no matter for review
        ("pass", "bad", False),
    ],
)
def test_a_ticket_is_queued_where_a_candidate_is_valid_and_none_has_its_label(label, words, unsupported):
    of = ticket("a", label)
    assert is_unsupported(candidates(of, words)) is unsupported
    entries = queued([(of, words)])
    assert [entry.ticket_key for entry in entries] == [of.ticket_key] * unsupported
    assert {entry.reason_code for entry in entries} <= {"no_candidate_supports_gt"}


def test_hard_failures_never_reach_review():
    whole, broken = ticket("a", "fail"), ticket("b", "fail")
    entries = queued([(whole, "pass bad"), (broken, "bad bad")], suspects={broken.ticket_key: "r0001-01"})
    assert [entry.ticket_key for entry in entries] == ["a::fail"]
    assert queued([(broken, "bad bad")], policy="label_suspect", suspects={broken.ticket_key: "r0001-01"}) == []


def test_the_vote_does_not_matter_only_support_does():
    assert queued([(ticket("a", "fail"), "pass pass pass fail"), (ticket("b", "pass"), "pass fail")]) == []


def test_an_entry_says_label_verdict_reason_place_and_the_reflection_that_saw_the_ticket():
    shown, suspect, unseen = ticket("a", "fail"), ticket("b", "fail"), ticket("c", "pass")
    entries = queued(
        [(shown, "pass"), (suspect, "pass"), (unseen, "fail")],
        suspects={"b::fail": "r0001-02"},
        shown={"a::fail": "r0001-01", "b::fail": "r0001-02"},
    )
    assert [(entry.gt_label, entry.pred_verdict) for entry in entries] == [
        ("fail", "pass"),
        ("fail", "pass"),
        ("pass", "fail"),
    ]
    assert [entry.reflection_id for entry in entries] == ["r0001-01", "r0001-02", None]
    assert [bool(entry.note) for entry in entries] == [False, True, False]
    assert (entries[0].round, entries[0].epoch, entries[0].pred_reason) == (1, 1, candidates(shown, "pass")[0].reason)


def test_label_suspect_narrows_the_queue_to_unsupported_tickets_that_reflection_could_not_explain():
    answers = [(ticket("a", "fail"), "pass"), (ticket("b", "fail"), "pass"), (ticket("c", "fail"), "pass fail")]
    entries = queued(answers, policy="label_suspect", suspects={"b::fail": "r0001-01", "c::fail": "r0001-01"})
    assert [(entry.ticket_key, entry.reason_code) for entry in entries] == [("b::fail", "label_suspect")]


def test_a_group_with_both_labels_is_two_tickets():
    entries = queued([(ticket("a", "pass"), "pass pass"), (ticket("a", "fail"), "pass pass")])
    assert [entry.ticket_key for entry in entries] == ["a::fail"]


def test_only_the_last_evaluation_counts():
    of = ticket("a", "fail")
    early, late = candidates(of, "pass pass", round=1), candidates(of, "pass fail", round=3)
    assert last_evaluations([*early, *late]) == last_evaluations([*late, *early]) == {"a::fail": late}


def test_equal_answers_are_counted_the_most_frequent_first():
    rows = candidates(ticket("a", "fail"), "pass pass pass bad", odds=0.5)
    assert [(answer.verdict, answer.count) for answer in distinct_answers(rows)] == [("pass", 2), ("pass", 1)]


@pytest.mark.parametrize(
    ("label", "verdict", "odds", "against"),
    [("fail", "pass", 2.0, 2.0), ("pass", "fail", 2.0, 2.0), ("pass", "pass", 2.0, -2.0), ("fail", "pass", None, None)],
)
def test_the_odds_are_those_against_the_label(label, verdict, odds, against):
    assert log_odds_against(label, candidates(ticket("a", label), verdict, odds=odds)) == against
