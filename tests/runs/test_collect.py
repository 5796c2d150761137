"""collect: the run's view of its rounds."""

import json

import pytest

from tests.support.builders import MISSION, RunFolder, guidance, snapshot, ticket
from verdicts.base.jsonl import read_rows, write_rows
from verdicts.records.rollout import Malformed, Selection, Trajectory
from verdicts.records.run import RoundMetrics

TICKETS = [ticket("a"), ticket("a", "fail"), ticket("b", "fail"), ticket("c")]


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """Two epochs of two rounds; round 2 changes guidance, round 3 leaves b::fail without a valid candidate."""
    run = RunFolder(tmp_path / "run", TICKETS)
    run.play({"c::pass": "pass bad", "a::pass": "pass fail"}, epoch=1)
    run.play(
        {"b::fail": "pass pass", "a::fail": "fail fail"}, epoch=1, after=guidance(1, G1="出现标签无法识别则不通过")
    )
    run.play({"b::fail": "bad bad", "c::pass": "fail fail"}, epoch=2)
    run.play({"a::fail": "fail fail", "a::pass": "pass pass"}, epoch=2)
    return run.finish("running", rounds_per_epoch=2)


def test_trajectories_and_failures_are_those_of_all_rounds_in_round_order(run):
    outcome = run.collect()
    assert outcome.code == 0
    rows = read_rows(run.folder / "trajectories.jsonl", Trajectory)
    assert [row.round for row in rows] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert [(row.round, row.ticket_key) for row in read_rows(run.folder / "failure_malformed.jsonl", Malformed)] == [
        (1, "c::pass"),
        (3, "b::fail"),
        (3, "b::fail"),
    ]
    assert outcome.last_line == "collect: 4 rounds, 16 trajectories, 3 malformed, selections for 3 of 4 tickets"


def test_a_ticket_has_its_last_round_s_selection_in_stage_a_order_and_none_where_that_round_gave_none(run):
    run.collect()
    selections = read_rows(run.folder / "selections.jsonl", Selection)
    assert [(row.ticket_key, row.round) for row in selections] == [("a::pass", 4), ("a::fail", 4), ("c::pass", 3)]


def test_guidance_is_the_last_round_s(run):
    run.collect()
    assert json.loads((run.folder / "guidance.json").read_text(encoding="utf-8"))[MISSION]["step"] == 1


def test_metrics_have_a_row_a_round_and_a_row_a_whole_epoch(run):
    run.collect()
    rows = read_rows(run.folder / "metrics.jsonl", RoundMetrics)
    assert [(row.scope, row.round, row.epoch) for row in rows] == [
        ("round", 1, 1),
        ("round", 2, 1),
        ("epoch", 2, 1),
        ("round", 3, 2),
        ("round", 4, 2),
        ("epoch", 4, 2),
    ]
    assert [row.changed for row in rows] == [False, True, True, False, False, False]
    assert [row.rules for row in rows] == [0, 0, 0, 1, 1, 1]
    first, second = (row for row in rows if row.scope == "epoch")
    assert (first.frr.k, first.frr.n, first.false_block.k, first.false_block.n) == (
        1,
        2,
        1,
        2,
    )  # a::pass is a tie, a tie is a fail
    assert (first.format.k, first.format.n, first.need_review) == (7, 8, 1)
    assert (second.frr.k, second.frr.n, second.label_match.k, second.label_match.n) == (0, 1, 2, 3)


def test_metrics_say_each_rate_for_learn_and_hold_out_tickets_side_by_side(run):
    run.hold_out(0.2).collect()  # group a is held out
    first, second = (row for row in read_rows(run.folder / "metrics.jsonl", RoundMetrics) if row.scope == "epoch")
    counts = [
        [(rate.k, rate.n) for rate in (side.frr, side.false_block, side.label_match)]
        for row in (first, second)
        for side in (row, row.learn, row.holdout)
    ]
    assert counts == [
        [(1, 2), (1, 2), (2, 4)], [(1, 1), (0, 1), (1, 2)], [(0, 1), (1, 1), (1, 2)],
        [(0, 1), (1, 2), (2, 3)], [(0, 0), (1, 1), (0, 1)], [(0, 1), (0, 1), (2, 2)],
    ]  # fmt: skip


def test_without_a_hold_out_all_are_learn_tickets(run):
    run.collect()
    for row in read_rows(run.folder / "metrics.jsonl", RoundMetrics):
        assert (row.learn.frr, row.learn.false_block, row.learn.label_match) == (
            row.frr,
            row.false_block,
            row.label_match,
        )
        assert (row.holdout.frr.n, row.holdout.label_match.n, row.holdout.label_match.rate) == (0, 0, None)


def test_the_hold_out_changes_metrics_and_nothing_else_of_the_view(run):
    run.collect()
    before = snapshot(run.folder)
    run.hold_out(0.2).collect()
    after = snapshot(run.folder)
    assert {name for name in after if after[name] != before[name]} == {"metrics.jsonl", "config/collect.yaml"}


def test_an_epoch_under_way_has_no_row_of_its_own(run):
    run.play({"a::pass": "pass", "b::fail": "fail"}, epoch=3).finish("running", rounds_per_epoch=2).collect()
    rows = read_rows(run.folder / "metrics.jsonl", RoundMetrics)
    assert rows[-1].scope == "round"
    assert [row.epoch for row in rows if row.scope == "epoch"] == [1, 2]


def test_rounds_beyond_the_loop_s_end_are_left_out(run):
    run.done = 2
    run.finish(rounds_per_epoch=2).collect()
    assert {row.round for row in read_rows(run.folder / "trajectories.jsonl", Trajectory)} == {1, 2}


def test_the_same_rounds_give_the_same_bytes_and_are_not_touched(run):
    before = snapshot(run.rounds)
    run.collect()
    first = snapshot(run.folder)
    run.collect()
    assert snapshot(run.folder) == first
    assert snapshot(run.rounds) == before


def test_a_ticket_that_stage_a_no_longer_holds_is_named(run):
    write_rows(run.stage_a, TICKETS[:-1])
    before = snapshot(run.folder)
    outcome = run.collect()
    assert outcome.code == 2
    assert outcome.err == (
        f"{run.rounds}/0001/trajectories.jsonl: ticket_key: 'c::pass' is not a ticket of this stage_a.jsonl; "
        "make the rounds again from it\n"
    )
    assert snapshot(run.folder) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("rounds/0002/selections.jsonl", '"verdict"', '"verdit"', ":1: verdit: unknown field; did you mean 'verdict'?"),
        (
            "rounds/0003/trajectories.jsonl",
            '"format_ok": false',
            '"format_ok": "no"',
            ":1: format_ok: input should be a valid boolean",
        ),
        ("rounds/0004/guidance.json", '"G0"', '"R0"', ": BBU接地线检查.experiences.R0"),
        (
            "rounds/0004/guidance.json",
            MISSION,
            "挡风板安装检查",
            ": holds no mission 'BBU接地线检查' (found 挡风板安装检查)",
        ),
        (
            "config/collect.yaml",
            "holdout",
            "hold_out",
            "config/collect.yaml: learn.hold_out: unknown field; did you mean 'holdout'?",
        ),
        ("config/collect.yaml", "0.0", "1.0", "config/collect.yaml: learn.holdout: input should be less than 1 (1.0)"),
        ("loop.json", '"rounds": 4', '"rounds": 5', "rounds/0005/trajectories.jsonl: no such file"),
        ("loop.json", '"rounds": 4', '"rounds": 0', "rounds: no round is finished yet; run the loop first"),
        ("stage_a.jsonl", '"label": "fail"', '"label": "Fail"', ":2: label: input should be 'pass' or 'fail'"),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_overwritten(run, file, old, new, message):
    path = run.folder / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    before = snapshot(run.folder)
    outcome = run.collect()
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert snapshot(run.folder) == before
