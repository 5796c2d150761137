"""aggregate_review: the tickets that people have to look at, ready to read."""

import json

import pytest

from tests.support.builders import MISSION, RunFolder, candidates, snapshot, ticket
from verdicts.base.jsonl import read_json, read_rows, write_rows
from verdicts.records.review import NeedReviewEntry, NeedReviewFile
from verdicts.review.unsupported import distinct_answers, is_unsupported, log_odds_against

TICKETS = [
    ticket("a"),
    ticket("b", "fail", ("电线/捆扎整齐×1", "标签/无法识别×1")),
    ticket("c", "fail"),
    ticket("d", "fail"),
    ticket("e"),
]


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """b is unsupported twice, c only at first, d and a at the end; e has no valid candidate."""
    run = RunFolder(tmp_path / "run", TICKETS)
    run.play(
        {
            "a::pass": "pass",
            "b::fail": "pass pass",
            "c::fail": "pass pass",
            "d::fail": "fail fail",
            "e::pass": "fail fail",
        }
    )
    run.play(
        {
            "a::pass": "fail fail",
            "b::fail": "pass pass pass bad",
            "c::fail": "pass fail",
            "d::fail": "pass pass",
            "e::pass": "bad bad",
        },
        odds={"a::pass": 1.0, "b::fail": 3.0, "d::fail": None},
    )
    run.finish().collect()
    return run


def listed(run: RunFolder) -> list:
    return read_json(run.folder / "need_review.json", NeedReviewFile).missions[MISSION].tickets


@pytest.mark.parametrize(
    ("label", "answers", "unsupported"),
    [
        ("fail", "pass pass", True),
        ("fail", "pass fail", False),
        ("fail", "pass bad", True),
        ("fail", "bad bad", False),
        ("pass", "fail", True),
        ("pass", "pass", False),
    ],
)
def test_a_ticket_is_unsupported_when_a_valid_candidate_is_there_and_none_matches(label, answers, unsupported):
    assert is_unsupported(candidates(ticket("a", label), answers)) is unsupported


def test_log_odds_are_taken_against_the_label_over_valid_candidates():
    assert log_odds_against("fail", candidates(ticket("a", "fail"), "pass pass", odds=3.0)) == 3.0
    assert log_odds_against("fail", candidates(ticket("a", "fail"), "pass fail", odds=3.0)) == 0.0
    assert log_odds_against("fail", candidates(ticket("a", "fail"), "pass bad", odds=None)) is None


def test_equal_answers_are_counted_not_repeated():
    answers = distinct_answers(candidates(ticket("a", "fail"), "pass pass pass bad fail"))
    assert [(answer.verdict, answer.reason, answer.count) for answer in answers] == [
        ("pass", "第1条依据(G0)", 2),
        ("fail", "第1条依据(G0)", 1),
        ("pass", "第2条依据(G0)", 1),
    ]


def test_the_list_holds_what_is_unsupported_at_its_last_evaluation_the_surest_first(run):
    outcome = run.aggregate_review()
    assert outcome.code == 0
    assert [row.ticket_key for row in listed(run)] == ["b::fail", "a::pass", "d::fail"]
    assert outcome.last_line == "aggregate_review: 3 of 5 tickets need review, 6 entries queued in 2 rounds"


def test_a_listed_ticket_is_ready_to_read(run):
    run.aggregate_review()
    first = listed(run)[0]
    assert first.per_image == {"image_1": "电线/捆扎整齐×1", "image_2": "标签/无法识别×1"}
    assert (first.gt_label, first.pred_verdict, first.times_queued, first.last_round) == ("fail", "pass", 2, 2)
    assert first.reason_code == "no_candidate_supports_gt"
    assert first.log_odds_against_label == 3.0
    assert [(answer.verdict, answer.count) for answer in first.candidates] == [("pass", 2), ("pass", 1)]


def test_counts_add_up_by_label_and_reason(run):
    run.aggregate_review()
    review = read_json(run.folder / "need_review.json", NeedReviewFile).missions[MISSION]
    assert review.count == 3
    assert review.by_gt_label == {"pass": 1, "fail": 2}
    assert review.by_reason_code == {"no_candidate_supports_gt": 3, "label_suspect": 0}


def test_the_queue_holds_all_rounds_entries_and_no_hard_failure(run):
    run.aggregate_review()
    entries = read_rows(run.folder / "need_review_queue.jsonl", NeedReviewEntry)
    assert [(row.round, row.ticket_key) for row in entries] == [
        (1, "b::fail"),
        (1, "c::fail"),
        (1, "e::pass"),
        (2, "a::pass"),
        (2, "b::fail"),
        (2, "d::fail"),
    ]
    assert "e::pass" not in {row.ticket_key for row in listed(run)}


def test_under_label_suspect_only_tickets_that_reflection_could_not_explain_are_listed(tmp_path):
    run = RunFolder(tmp_path / "run", TICKETS)
    everything = {"a::pass": "fail", "b::fail": "pass", "c::fail": "pass", "d::fail": "fail", "e::pass": "pass"}
    run.play(everything, policy="label_suspect", suspects=("b::fail", "c::fail"))
    run.play(everything | {"c::fail": "fail"}, policy="label_suspect")
    run.finish().collect()
    run.aggregate_review()
    assert [(row.ticket_key, row.reason_code, row.times_queued, row.last_round) for row in listed(run)] == [
        ("b::fail", "label_suspect", 1, 2)
    ]


def test_a_run_without_need_of_review_says_so(tmp_path):
    run = RunFolder(tmp_path / "run", TICKETS[:1]).play({"a::pass": "pass"}).finish()
    run.collect()
    assert run.aggregate_review().code == 0
    review = json.loads((run.folder / "need_review.json").read_text(encoding="utf-8"))["missions"][MISSION]
    assert review["count"] == 0 and review["tickets"] == []
    assert (run.folder / "need_review_queue.jsonl").read_bytes() == b""


def test_the_old_queue_is_written_empty_on_request_and_goes_with_the_request(run):
    old = run.folder / "manual_review_queue.jsonl"
    run.aggregate_review()
    assert not old.exists()
    run.configure("aggregate_review", compat={"manual_review_queue": True})
    run.aggregate_review()
    assert old.read_bytes() == b""
    run.configure("aggregate_review", compat={"manual_review_queue": False})
    run.aggregate_review()
    assert not old.exists()


def test_an_old_queue_that_holds_something_is_not_ours_to_remove(run):
    old = run.folder / "manual_review_queue.jsonl"
    old.write_text("{}\n")
    run.aggregate_review()
    assert old.read_text() == "{}\n"


def test_a_line_taken_out_of_a_round_s_queue_takes_the_ticket_off_the_list(run):
    queue = run.rounds / "0002" / "need_review_queue.jsonl"
    write_rows(queue, [row for row in read_rows(queue, NeedReviewEntry) if row.ticket_key != "d::fail"])
    run.aggregate_review()
    assert [row.ticket_key for row in listed(run)] == ["b::fail", "a::pass"]


def test_the_same_rounds_give_the_same_bytes(run):
    run.aggregate_review()
    first = snapshot(run.folder)
    run.aggregate_review()
    assert snapshot(run.folder) == first


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "rounds/0002/need_review_queue.jsonl",
            "no_candidate_supports_gt",
            "third_state",
            ":1: reason_code: input should be 'no_candidate_supports_gt' or 'label_suspect'",
        ),
        ("trajectories.jsonl", '"round": 1', '"round": "1"', ":1: round: input should be a valid integer"),
        (
            "config/aggregate_review.yaml",
            "manual_review_queue",
            "manual_queue",
            "manual_queue: unknown field; did you mean 'manual_review_queue'?",
        ),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_overwritten(run, file, old, new, message):
    path = run.folder / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    before = snapshot(run.folder)
    outcome = run.aggregate_review()
    assert outcome.code == 2
    assert message in outcome.err and outcome.err.count("\n") == 1
    assert snapshot(run.folder) == before
