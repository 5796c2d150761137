"""The checklist alone against the labels: figures by hand, lists, and the rollout that it rests on."""

import json

import pytest

from tests.support.builders import MISSION, RunFolder, call, snapshot, ticket
from tests.support.playing import TICKETS, Bench, Speaker
from tests.support.small_runs import make, tickets
from verdicts.base.jsonl import read_json, read_rows, write_rows
from verdicts.config.sections import FailFirst
from verdicts.records.baseline import Baseline, BaselineCase
from verdicts.records.guidance import read_guidance
from verdicts.records.rollout import Selection
from verdicts.rounds.baseline import case_lines, summary_lines

SCREW = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1"
ROWS = [
    ticket("right", summaries=(SCREW, SCREW)),
    ticket("released", "fail", (SCREW, SCREW)).model_copy(update={"fail_reasons": ["补拍\x1b[31m地排端"]}),
    ticket("blocked", summaries=(SCREW,)),
    ticket("guarded", "fail", ("螺丝,不符合要求×1",) * 9),
    ticket("mute", "fail", (SCREW,)),
]
ANSWERS = {
    "right::pass": "pass pass",
    "released::fail": "pass pass fail pass",
    "blocked::pass": "fail bad",
    "guarded::fail": "pass pass",
    "mute::fail": "bad bad",
}


@pytest.fixture
def played(tmp_path):
    """A rollout of all tickets, judged."""
    run = RunFolder(tmp_path / "run", ROWS)
    run.play(ANSWERS, guard=FailFirst(enabled=True, negatives=[["不符合要求"]]))
    folder, rollout = tmp_path / "baseline", run.rounds / "0001"
    outcome = call("baseline", stage_a=run.stage_a, rollout=rollout, output_dir=folder)
    assert outcome.code == 0, outcome.err
    return folder, outcome


def test_figures_are_those_of_the_answered_tickets(played):
    folder, outcome = played
    figures = read_json(folder / "baseline.json", Baseline)
    assert (figures.mission, figures.tickets, figures.answered, figures.unanswered) == (MISSION, 5, 4, 1)
    assert figures.overridden == 1
    rates = figures.rates
    assert [(rate.k, rate.n) for rate in (rates.frr, rates.false_block, rates.label_match)] == [(1, 2), (1, 2), (2, 4)]
    assert (figures.format.k, figures.format.n) == (9, 12)  # the guard's row is no answer of the model
    by_photos = [(row.photos, row.or_more, row.rates.frr, row.rates.false_block) for row in figures.by_photos]
    assert [(photos, more, frr.n, frr.k, blocks.n) for photos, more, frr, blocks in by_photos] == [
        (1, False, 0, 0, 1),
        (2, False, 1, 1, 1),
        (7, True, 1, 0, 0),
    ]
    assert [(row.agreement, row.label_match.k, row.label_match.n) for row in figures.by_agreement] == [
        (0.75, 0, 1),
        (1.0, 2, 3),
    ]
    assert outcome.last_line == (
        "baseline: 5 tickets = 2 as labelled + 1 false releases + 1 false blocks + 1 without a valid candidate"
    )


def test_the_tickets_judged_otherwise_are_listed_with_what_people_and_the_model_said(played):
    folder, _ = played
    (released,) = read_rows(folder / "false_releases.jsonl", BaselineCase)
    assert (released.ticket_key, released.label, released.verdict) == ("released::fail", "fail", "pass")
    assert released.fail_reasons == ["补拍\x1b[31m地排端"] and released.vote_strength == 0.75
    (blocked,) = read_rows(folder / "false_blocks.jsonl", BaselineCase)
    assert blocked.ticket_key == "blocked::pass"
    cases = (folder / "cases.txt").read_text(encoding="utf-8")
    assert cases.startswith(
        "released::fail: false release (labelled fail, 75% of the votes)\n"
        "  people: 补拍\\x1b[31m地排端\n"
        "  model: 第1条依据(G0)\n"
        f"  image_1: {SCREW}\n"
    )
    assert "blocked::pass: false block (labelled pass, 100% of the votes)" in cases
    assert "guarded" not in cases and "mute" not in cases


def test_the_summary_has_rates_with_intervals_by_photos_and_by_agreement(played):
    folder, _ = played
    text = (folder / "summary.txt").read_text(encoding="utf-8")
    lines = summary_lines(read_json(folder / "baseline.json", Baseline))
    assert text.startswith("\n".join(lines))
    assert lines[0] == (
        f"{MISSION}: the checklist alone against the labels (4 of 5 tickets answered, 1 passes overridden by the guard)"
    )
    assert "  FRR          50.0% [9.5%, 90.5%] (1/2)" in lines
    assert ["7", "or", "more", "0.0%", "[0.0%,", "79.3%]", "(0/1)", "n/a", "(n=0)"] in map(str.split, lines)
    assert "  75%          0.0% [0.0%, 79.3%] (0/1)" in lines


def test_a_case_without_reasons_of_people_has_no_line_for_them():
    row = ROWS[2]
    case = BaselineCase(
        ticket_key=row.ticket_key, label="pass", verdict="fail", reason="缺少标签", vote_strength=1.0,
        fail_reasons=[], images=row.images, per_image=row.per_image,
    )  # fmt: skip
    assert [line.split(":")[0].strip() for line in case_lines(case)] == ["blocked", "model", "image_1"]


def test_a_selection_of_no_ticket_is_one_sentence_and_nothing_is_written(tmp_path):
    run = RunFolder(tmp_path / "run", ROWS).play(ANSWERS)
    write_rows(run.stage_a, ROWS[1:])
    outcome = call("baseline", stage_a=run.stage_a, rollout=run.rounds / "0001", output_dir=tmp_path / "out")
    assert outcome.code == 2 and "'right::pass' is not a ticket of this stage_a.jsonl" in outcome.err
    assert snapshot(tmp_path / "out") == {} if (tmp_path / "out").exists() else True


def test_a_whole_rollout_is_round_1_of_a_window_that_holds_all_tickets(tmp_path, monkeypatch):
    bench = Bench(tmp_path, monkeypatch)
    assert bench.rollout(Speaker(), into="rounds/0001").code == 0
    bench.write(window=2)
    assert bench.rollout(Speaker(), into="baseline", whole=True).code == 0
    assert snapshot(tmp_path / "baseline") == snapshot(tmp_path / "rounds" / "0001")
    assert len(bench.rows("selections.jsonl", Selection, "baseline")) == len(TICKETS)


def test_make_baseline_learns_nothing_prints_the_figures_and_is_kept(tmp_path):
    source, overlay, runs = tmp_path / "t.jsonl", tmp_path / "c.yaml", tmp_path / "runs"
    write_rows(source, tickets(8))
    overlay.write_text("mission: {rules: [出现机柜门敞开×1则不通过]}\nwindow: {tickets: 4}\n", encoding="utf-8")
    words = ("baseline", "MISSION=bbu_line", f"STAGE_A={source}", f"CONFIG={overlay}", f"RUNS={runs}", "RUN=r")
    done = make(*words)
    assert done.returncode == 0, done.stderr
    folder = runs / "r" / "bbu_line"
    assert not (folder / "rounds").exists() and not (folder / "distill_chatml.jsonl").exists()
    assert read_guidance(folder / "baseline" / "guidance.json", MISSION).experiences.keys() == {"G0"}
    figures = json.loads((folder / "baseline" / "baseline.json").read_text(encoding="utf-8"))
    assert figures["tickets"] == 8
    assert done.stdout == (folder / "baseline" / "summary.txt").read_text(encoding="utf-8")
    before = snapshot(folder / "baseline")
    again = make(*words)
    assert again.stdout == done.stdout and "rollout" not in again.stderr
    assert snapshot(folder / "baseline") == before
    checked = call("check", run_dir=folder)
    assert checked.code == 0, checked.err + checked.out
