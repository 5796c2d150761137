"""The guard's verdict is a candidate: a ticket that it turned to its label is not in review nor lost to the corpus."""

import json

import pytest
from pydantic import ValidationError

from tests.support.builders import MISSION, RunFolder, candidates, guidance, snapshot, ticket
from tests.support.playing import Bench, Killed, Speaker
from tests.support.verify import verify
from verdicts.base.jsonl import read_json, read_rows
from verdicts.config.sections import FailFirst
from verdicts.records.corpus import ChatRow, SftRow
from verdicts.records.review import NeedReviewFile
from verdicts.records.rollout import Selection, Trajectory
from verdicts.records.run import RoundMetrics
from verdicts.review.unsupported import distinct_answers, is_unsupported
from verdicts.stage_b.protocol import parse, render
from verdicts.stage_b.selection import by_model, select, written_row

GUARD = FailFirst(enabled=True, negatives=[["机柜处接地螺丝", "不符合要求"]])
BAD_SCREW = "螺丝、光纤插头/机柜处接地螺丝,不符合要求×1"
TIDY = "电线/捆扎整齐×1"


def test_the_guards_row_is_the_selected_answer_and_says_who_wrote_it():
    of = ticket("a", "fail", (BAD_SCREW,))
    chosen = select(of, candidates(of, "pass pass bad fail", round=3, epoch=2, step=5), GUARD)
    row = written_row(chosen)
    assert (row.source, row.candidate_index, row.decode) == ("guard", 4, None)
    assert (row.ticket_key, row.group_id, row.mission, row.round, row.epoch, row.guidance_step) == (
        "a::fail",
        "a",
        MISSION,
        3,
        2,
        5,
    )
    assert (row.verdict, row.reason, row.format_ok, row.label_match) == ("fail", chosen.reason, True, True)
    assert row.candidate_index == chosen.selected_candidate
    assert row.response_text == render("fail", chosen.reason) and parse(row.response_text) == (
        "fail",
        chosen.reason,
        None,
    )
    assert (row.verdict_logprob.pass_, row.verdict_logprob.fail) == (None, None)


@pytest.mark.parametrize(
    ("words", "summary"),
    [("fail fail pass", BAD_SCREW), ("pass fail", BAD_SCREW), ("pass pass", TIDY), ("bad bad", BAD_SCREW)],
)
def test_where_the_guard_overrides_nothing_it_leaves_no_row(words, summary):
    of = ticket("a", "fail", (summary,))
    assert written_row(select(of, candidates(of, words), GUARD)) is None


@pytest.mark.parametrize(
    ("label", "words", "in_review"),
    [
        ("fail", "pass pass", False),  # the guard's verdict supports the label
        ("pass", "pass pass", False),  # the model's answers do
        ("pass", "pass bad fail pass", False),
    ],
)
def test_a_ticket_that_the_guard_decided_is_in_review_only_where_no_candidate_supports_its_label(
    label, words, in_review
):
    of = ticket("a", label, (BAD_SCREW,))
    rows = candidates(of, words)
    assert is_unsupported([*rows, written_row(select(of, rows, GUARD))]) is in_review


def test_the_guards_row_neither_votes_nor_counts_as_an_answer_of_the_model():
    of = ticket("a", "fail", (BAD_SCREW,))
    rows = candidates(of, "pass pass bad")
    chosen = select(of, rows, GUARD)
    everything = [*rows, written_row(chosen)]
    assert by_model(everything) == rows
    assert select(of, everything, GUARD) == chosen
    assert (chosen.candidates.pass_, chosen.candidates.fail, chosen.candidates.malformed, chosen.vote_strength) == (
        2,
        0,
        1,
        1.0,
    )
    assert distinct_answers(everything) == distinct_answers(rows)


@pytest.mark.parametrize(
    ("source", "decode"),
    [("guard", {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 1, "seed": 1}), ("model", None)],
)
def test_a_model_has_settings_and_a_guard_has_none(source, decode):
    row = candidates(ticket("a"), "pass")[0].model_dump()
    with pytest.raises(ValidationError, match="the model has settings, guard and threshold have none"):
        Trajectory.model_validate(row | {"source": source, "decode": decode})


def test_a_row_of_an_earlier_version_is_the_models():
    row = candidates(ticket("a"), "pass")[0].model_dump(exclude={"source"})
    assert Trajectory.model_validate(row).source == "model"


# -- a whole run
TICKETS = [
    ticket("guarded", "fail", (BAD_SCREW,)),
    ticket("blocked", "pass", (BAD_SCREW,)),
    ticket("plain", "pass", (TIDY,)),
    ticket("missed", "fail", (TIDY,)),
]
ANSWERS = {
    "guarded::fail": "pass pass bad",
    "blocked::pass": "pass pass pass",
    "plain::pass": "pass pass pass",
    "missed::fail": "pass pass pass",
}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "run", TICKETS, val_share=0)
    return run.play(ANSWERS, after=guidance(1, G1="规则"), guard=GUARD).play(ANSWERS, guard=GUARD).finish().complete()


def test_an_explicit_negative_labelled_fail_is_not_in_review_and_teaches(run):
    (review,) = read_json(run.folder / "need_review.json", NeedReviewFile).missions.values()
    assert [row.ticket_key for row in review.tickets] == ["missed::fail"]
    taught = {
        row.group_id: (row.label, parse(row.messages[2].content).verdict)
        for row in read_rows(run.folder / "distill.train.jsonl", SftRow)
    }
    assert taught == {"guarded": ("fail", "fail"), "plain": ("pass", "pass")}
    said = {row.group_id: row.messages[2].content for row in read_rows(run.folder / "distill_chatml.jsonl", ChatRow)}
    assert said["guarded"] == said["blocked"] == render("fail", f"image_1 出现明确负项：{BAD_SCREW}(G0)")


def test_rates_of_format_count_the_models_answers_alone(run):
    last = read_rows(run.folder / "metrics.jsonl", RoundMetrics)[-1]
    assert (last.format.k, last.format.n) == (11, 12)
    assert (last.frr.k, last.frr.n, last.false_block.k, last.false_block.n) == (1, 2, 1, 2)


def test_a_run_with_guards_passes_both_checks(run):
    outcome = run.check()
    assert outcome.code == 0, outcome.err
    done = verify(run.folder)
    assert done.returncode == 0, done.stdout


# -- the tool
@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    bench = Bench(tmp_path, monkeypatch)
    return bench.write(
        [ticket("a", "fail", (BAD_SCREW,)), ticket("b"), ticket("c", "pass", (BAD_SCREW,)), ticket("d", "fail")]
    )


def test_rollout_writes_the_guards_row_behind_those_of_its_ticket(bench):
    outcome = bench.rollout(Speaker())
    rows = bench.rows("trajectories.jsonl", Trajectory)
    assert [(row.ticket_key, row.candidate_index) for row in rows if row.source == "guard"] == [
        (row.ticket_key, 4) for row in bench.rows("selections.jsonl", Selection) if row.selected_candidate == 4
    ]
    assert sorted(row.ticket_key for row in rows if row.source == "guard") == ["a::fail", "c::pass"]
    assert [row.candidate_index for row in rows if row.ticket_key == "a::fail"] == [0, 1, 2, 3, 4]
    assert len(rows) == 4 * 4 + 2
    assert outcome.last_line.endswith("; 2 passes overridden by the guard")
    assert json.loads((bench.folder / "rounds/0001/trajectories.jsonl").read_text(encoding="utf-8").splitlines()[-1])[
        "source"
    ] in ("model", "guard")


@pytest.mark.parametrize("alive", [1, 2, 3])
def test_a_resumed_round_has_each_guards_row_once(bench, alive):
    bench.rollout(Speaker(), into="whole")
    with pytest.raises(Killed):
        bench.rollout(Speaker(alive=alive))
    bench.rollout(Speaker())
    assert snapshot(bench.folder / "rounds" / "0001") == snapshot(bench.folder / "whole")
