"""Several reviewers of one queue, and a third person who settles what they dispute."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.builders import RunFolder, call, guidance, snapshot, ticket
from verdicts.base.jsonl import read_json, read_rows, write_rows
from verdicts.records.review import ReviewAgreement, ReviewDecision
from verdicts.review.agreement import compare_reviewers

KEYS = ("a::fail", "b::fail", "c::pass", "d::fail")
PLAYED = dict.fromkeys(KEYS, "pass pass") | {"c::pass": "fail fail"}
RIGHT = {f"right{number}::fail": "fail fail" for number in range(2)}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A finished run in which four tickets are queued."""
    tickets = [ticket(*key.split("::"), (f"电线/捆扎整齐×{number}",)) for number, key in enumerate(PLAYED | RIGHT, 1)]
    made = RunFolder(tmp_path / "final" / "bbu_line", tickets).play(PLAYED | RIGHT, after=guidance(1, G1="规则"))
    return made.play(PLAYED | RIGHT).finish().complete()


def by(run: RunFolder, name: str, words: str, **fields: str) -> Path:
    """A file of one reviewer: a word a queued ticket, ``-`` for none."""
    rows = [
        ReviewDecision(ticket_key=key, decision=word, reviewer=name, **fields)
        for key, word in zip(KEYS, words.split(), strict=False)
        if word != "-"
    ]
    write_rows(run.folder / f"{name}.jsonl", rows)
    return run.folder / f"{name}.jsonl"


def apply(run: RunFolder, **options):
    return call("review_apply", run_dir=run.folder, **options)


def decided(run: RunFolder) -> dict[str, ReviewDecision]:
    return {row.ticket_key: row for row in read_rows(run.folder / "review_decisions.jsonl", ReviewDecision)}


@pytest.fixture
def disputed(run) -> RunFolder:
    """The run after two reviewers: they dispute b::fail, and agree on the others."""
    one = by(run, "one", "exclude label_wrong unsure")
    assert apply(run, decisions=one, second=by(run, "two", "exclude model_wrong unsure")).code == 0
    return run


def test_what_reviewers_dispute_is_written_down_with_all_opinions(disputed):
    found = read_json(disputed.folder / "review_agreement.json", ReviewAgreement)
    assert (found.reviewers, found.shared, found.alike, found.measure) == (["one", "two"], 3, 2, "Cohen's kappa")
    # alike 2/3; by chance each word once by one: exclude 1/9, unsure 1/9; so (2/3 - 2/9) / (7/9) = 4/7
    assert found.value == pytest.approx(4 / 7, abs=1e-6) and found.low <= found.value <= found.high
    assert [(row.ticket_key, [said.decision for said in row.opinions]) for row in found.disputed] == [
        ("b::fail", ["label_wrong", "model_wrong"])
    ]
    assert disputed.check().code == 0


def test_a_table_of_what_is_disputed_is_settled_by_a_third_person_and_stays_settled(disputed):
    outcome = apply(disputed, adjudicate=True, export=disputed.folder / "disputed.csv")
    assert "review_apply: disputed b::fail: one: label_wrong; two: model_wrong" in outcome.err
    text = (disputed.folder / "disputed.csv").read_text(encoding="utf-8-sig")
    assert [(row["工单"], row["两人意见"]) for row in csv.DictReader(io.StringIO(text))] == [
        ("b::fail", "one: label_wrong; two: model_wrong")
    ]
    outcome = apply(disputed, adjudicate=True, decisions=by(disputed, "third", "- exclude"))
    assert "1 given = 1 new + 0 changed + 0 unchanged; 2 others kept" in outcome.last_line
    assert "wait for a third person" not in outcome.err and "review_apply: nothing is disputed" in outcome.err
    settled = decided(disputed)["b::fail"]
    assert (settled.decision, settled.reviewer, settled.adjudicated) == ("exclude", "third", True)
    again = apply(disputed, decisions=disputed.folder / "one.jsonl", second=disputed.folder / "two.jsonl")
    assert "1 disputed" in again.err and "wait for a third person" not in again.err
    later = apply(disputed, decisions=by(disputed, "one", "- label_wrong"))
    assert "1 given = 0 new + 0 changed + 0 unchanged + 1 settled by a third person before" in later.last_line
    assert decided(disputed)["b::fail"] == settled
    assert apply(disputed, adjudicate=True, decisions=by(disputed, "third", "- unsure")).code == 0
    assert decided(disputed)["b::fail"].decision == "unsure"


def test_one_of_the_two_cannot_settle_a_dispute_by_handing_their_file_in_again(disputed):
    outcome = apply(disputed, decisions=disputed.folder / "one.jsonl")
    assert "1 decisions left out: reviewers dispute these tickets (b::fail); bring a third person's in" in outcome.err
    assert "b::fail" not in decided(disputed)
    outcome = apply(disputed, adjudicate=True, decisions=disputed.folder / "one.jsonl")
    assert "2 decisions left out, nobody disputes these tickets: a::fail, c::pass" in outcome.err
    assert "1 settled by one of those who disagree: b::fail" in outcome.err


def test_an_earlier_decision_of_a_ticket_that_is_disputed_now_is_taken_out(run):
    one = by(run, "one", "exclude label_wrong")
    assert apply(run, decisions=one).code == 0 and decided(run).keys() == {"a::fail", "b::fail"}
    outcome = apply(run, decisions=one, second=by(run, "two", "exclude model_wrong"))
    assert "1 earlier decisions taken out, disputed now: b::fail" in outcome.err
    assert decided(run).keys() == {"a::fail"}


def test_a_dispute_of_an_earlier_comparison_stays_until_its_ticket_is_compared_again(disputed):
    apply(disputed, decisions=by(disputed, "three", "- - - unsure"), second=by(disputed, "four", "- - - exclude"))
    found = read_json(disputed.folder / "review_agreement.json", ReviewAgreement)
    assert [row.ticket_key for row in found.disputed] == ["b::fail", "d::fail"] and found.shared == 1
    apply(disputed, decisions=by(disputed, "three", "- exclude"), second=by(disputed, "four", "- exclude"))
    found = read_json(disputed.folder / "review_agreement.json", ReviewAgreement)
    assert [row.ticket_key for row in found.disputed] == ["d::fail"]
    assert decided(disputed)["b::fail"].reviewer == "three, four"


def test_three_reviewers_are_compared_without_a_majority():
    said = [
        {
            key: ReviewDecision(ticket_key=key, decision=word, reviewer=name)
            for key, word in zip("ab", words, strict=True)
        }
        for name, words in {"x": ("unsure", "exclude"), "y": ("unsure", "exclude"), "z": ("unsure", "unsure")}.items()
    ]
    compared = compare_reviewers(*said)
    assert set(compared.settled) == {"a"} and compared.settled["a"].reviewer == "x, y, z"
    # Krippendorff: pairs apart 4 of 12 weighed by 1/2 are 2 of 6; by chance 4 unsure, 2 exclude: 16 of 30
    assert compared.beyond.value == pytest.approx(1 - (2 / 6) / (16 / 30), abs=1e-6)
    assert str(compared).startswith("3 reviewers: 1 of 2 tickets that several decided alike, Krippendorff's alpha 0.38")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adjudicate": True}, "review_agreement.json: is not there: no reviewers were compared yet; compare two with"),
        ({"decisions": "one", "second": "one"}, "is by one, as "),
        ({"decisions": "one", "second": "gone"}, "gone.jsonl: no such file"),
        ({"decisions": "one", "second": "two", "adjudicate": True}, "a third person settles alone"),
        ({"second": "two"}, "is a second reviewer's, and there is no first; name the first's with --decisions"),
    ],
)
def test_what_does_not_go_together_is_named_and_nothing_is_written(run, options, message):
    by(run, "one", "exclude")
    by(run, "two", "exclude")
    before = snapshot(run.folder)
    given = {
        name: run.folder / f"{value}.jsonl" if isinstance(value, str) else value for name, value in options.items()
    }
    outcome = apply(run, **given)
    assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1
    assert snapshot(run.folder) == before


def test_a_broken_agreement_file_is_named(disputed):
    path = disputed.folder / "review_agreement.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    value["disputed"][0]["opinions"].pop()
    path.write_text(json.dumps(value), encoding="utf-8")
    outcome = apply(disputed)
    assert outcome.code == 2 and "review_agreement.json: disputed.0.opinions: " in outcome.err
