"""show: what a run has learnt, for people."""

import re

import pytest

from tests.support.builders import MISSION, RunFolder, call, guidance, reflection, rule_meta, snapshot, ticket
from tests.support.report_runs import (
    GONE,
    LEFT,
    NEAR,
    RIDES,
    WORKS,
    as_an_older_version_left_it,
    life,
    tally,
    weighed_run,
)
from verdicts.base.jsonl import write_json
from verdicts.guidance.diff import changes_between
from verdicts.records.guidance import MissionGuidance, RemovedRule, write_guidance
from verdicts.records.reflection import AppliedOperation, Operation, Trial
from verdicts.records.tickets import Entrance, TicketsSource

TICKETS = [ticket("a"), ticket("b", "fail"), ticket("c")]
ANSWERS = {"a::pass": "pass pass", "b::fail": "pass pass", "c::pass": "pass fail"}
OLD, NEW = "出现标签无法识别则不通过", "出现两个标签无法识别则不通过"
TRIAL = Trial(
    errors=9,
    corrects=20,
    fixed=["a::pass", "b::fail", "c::pass", "d::fail"],
    broke=["e::pass"],
    precision=0.8,
    p_value=0.00123,
)


def applied(op: str, new_key: str | None, trial: Trial | None = TRIAL, **fields: object) -> AppliedOperation:
    return AppliedOperation(
        op=Operation(op=op, rationale="标签要能读", evidence=["b::fail"], **fields), key=new_key, trial=trial
    )


def without_g1(step: int) -> MissionGuidance:
    """Guidance from which G1 has gone for want of confidence."""
    gone = RemovedRule(text=NEW, round=3, why="confidence below threshold", metadata=rule_meta(1, 5))
    return guidance(step).model_copy(update={"removed": {"G1": gone}})


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """G1 is added, reworded and dropped."""
    run = RunFolder(tmp_path / "run", TICKETS)
    run.play(
        ANSWERS,
        after=guidance(1, G1=OLD),
        reflections=(reflection(1, 1, "01", applied=[applied("add", "G1", text=OLD)]),),
    )
    run.play(
        ANSWERS,
        after=guidance(2, G1=NEW),
        reflections=(reflection(2, 2, "01", applied=[applied("update", "G1", key="G1", text=NEW)]),),
    )
    run.play(ANSWERS, after=without_g1(3), reflections=(reflection(3, 3, cleaned_up=["G1"]),))
    return run.play(ANSWERS).finish()


def show(run: RunFolder) -> str:
    outcome = call("show", run_dir=run.folder)
    assert outcome.code == 0, outcome.err
    return outcome.out


def test_guidance_reads_as_a_diff_with_its_reasons(run):
    text = show(run)
    assert text.startswith("BBU接地线检查: converged, 4 epochs, 4 rounds\n")
    assert f"round 1 (epoch 1), step 0 -> 1\n  + G1: {OLD}\n      r0001-01: 标签要能读\n" in text
    assert f"round 2 (epoch 2), step 1 -> 2\n  ~ G1: {NEW}\n      was: {OLD}\n" in text
    assert (
        f"round 3 (epoch 3), step 2 -> 3\n  - G1: {NEW}\n      r0003-life: confidence below threshold\n"
        "      when it left: 1 hits, 5 misses, confidence 0.25\n"
    ) in text
    assert "round 4" not in text


def test_a_change_says_what_it_fixed_and_broke(run):
    assert "trial p = 0.0012: fixed 4 (a::pass, b::fail, c::pass, …) of 9 wrong, broke 1 (e::pass) of 20 right" in show(
        run
    )


def test_rates_come_with_intervals_by_epoch_and_review_by_category(run):
    run.complete()
    text = show(run)
    assert "Rates by epoch, with 95 % intervals" in text
    assert re.search(r"^ +1 +0  all +100\.0% \[20\.7%, 100\.0%\] \(1/1\) +50\.0%", text, re.MULTILINE)
    assert "BBU接地线检查: 1 (fail 1, no_candidate_supports_gt 1)" in text
    assert f"  {run.folder}/distill.train.jsonl\n" in text


def test_rates_by_epoch_stand_for_all_learn_and_hold_out_tickets(weighed):
    table = show(weighed).partition("Rates by epoch")[2].partition("\n\n")[0].splitlines()[2:]
    assert [line.split()[0] for line in table] == ["1", "learn", "hold-out", "2", "learn", "hold-out"]
    assert [re.findall(r"\((\d+/\d+)\)", line) for line in table[3:]] == [
        ["20/120", "0/40", "140/160", "160/160"],
        ["4/80", "0/20", "96/100"],
        ["16/40", "0/20", "44/60"],
    ]
    assert "5.0% [2.0%, 12.2%] (4/80)" in table[4] and table[3].split()[-1] == str(20), (
        "ten released fails wait in each of two rounds"
    )


def test_a_gap_is_the_first_thing_said_of_now_and_no_run_with_one_is_ready(weighed):
    now = show(weighed).partition("Now, against labels")[2].splitlines()[1:]
    assert now[0].startswith(
        "  GAP: FRR is 40.0% [21.9%, 61.3%] (8/20) on tickets that guidance never saw, 5.0% [1.4%, 16.5%] (2/40) on"
    )
    assert any(line.startswith("  train: not yet. Not ready to train the student yet: 10 of 60") for line in now)


def test_rules_in_force_and_rules_that_left_stand_with_their_evidence(weighed):
    text = show(weighed)
    learnt, fresh = "        rounds 3 to 4, learn tickets:", "        rounds 3 to 4, tickets it was not learnt from:"
    assert (
        f"    G1: {WORKS}\n"
        f"{learnt} 20 hits, 2 misses, 91% right, 50% by chance: lift +41 points [+24, +50]\n"
        f"{fresh} 15 hits, 1 misses, 94% right, 48% by chance: lift +46 points [+25, +55]\n"
        f"    G2: {RIDES}\n"
        f"{learnt} 12 hits, 10 misses, 55% right, 50% by chance: lift +5 points [-13, +21]\n"
        "        rounds 3 to 4, tickets it was not learnt from: 0 hits, 0 misses\n"
        "        LIVES ON THE BASE RATE: nothing shows that it does better than chance\n"
    ) in text
    assert text.count("LIVES ON THE BASE RATE") == 1
    left = text[text.index(f"  - G3: {GONE}\n      r0003-life: {LEFT}\n") :]
    assert (
        "        rounds 2 to 3, learn tickets: 4 hits, 12 misses, 25% right, 50% by chance: lift -25 points [-38, -6]\n"
        in left
    )


def test_rules_that_the_mission_brought_stand_with_their_evidence_though_none_changed(tmp_path):
    run = RunFolder(tmp_path / "run", TICKETS)
    run.guidance = guidance(1, G1=OLD).model_copy(update={"metadata": {"G1": rule_meta(created_round=0)}})
    write_guidance(run.rounds / "0000" / "guidance.json", MISSION, run.guidance)
    run.play(ANSWERS, reflections=(life(1, 1, G1=tally(1, 0, 0, 1)),)).finish()
    now = show(run).partition("Guidance now (step 1)\n")[2]
    assert "        round 1, learn tickets: 1 hits, 0 misses, 100% right, 50% by chance: lift +50 points [" in now


def test_a_rule_that_no_verdict_rests_on_is_named_in_the_first_lines(tmp_path):
    run = RunFolder(tmp_path / "run", TICKETS)
    run.guidance = guidance(1, G1=OLD).model_copy(update={"metadata": {"G1": rule_meta(created_round=0)}})
    write_guidance(run.rounds / "0000" / "guidance.json", MISSION, run.guidance)
    run.play(ANSWERS, reflections=(life(1, 1),)).finish()
    assert "  NO VERDICT RESTS ON G1 (below)" in show(run).splitlines()[:4]
    assert "        NO VERDICT RESTS ON IT: the model may not know its words" in show(run)
    assert "LIVES ON" not in show(run)


def test_a_trial_says_what_it_had_to_meet_its_harm_and_what_it_names(weighed):
    assert (
        "trial p = 0.0012, at most 0.012 wanted, harm 3.5%, names 挡风板, which the checklist does not: fixed 4 ("
        in show(weighed)
    )


def test_what_more_tickets_would_decide_is_listed_the_nearest_first(weighed, tmp_path):
    found = show(weighed).partition("What more tickets would decide")[2].partition("\n\n")[0].splitlines()[1:]
    assert found == [
        "  须见线夹",
        "      p = 0.11, at most 0.02 wanted: about 3 times as many tickets like these would settle it",
        "  须见扎带。",
        "      p = 0.11, at most 0.001 wanted: about 5 times as many tickets like these would settle it",
    ]
    assert "What more tickets" not in show(weighed_run(tmp_path / "none", near=NEAR[3:]))


def test_a_run_of_an_older_version_shows_what_it_has(weighed):
    as_an_older_version_left_it(weighed)
    text = show(weighed)
    assert re.search(r"^ +2 +2  all +16\.7% .*\(20/120\)", text, re.MULTILINE)
    assert not any(word in text for word in ("hold-out", "GAP", "learn tickets", "LIVES ON", "What more tickets"))


def test_a_run_under_way_is_shown_as_far_as_it_is(run):
    run.loop.unlink()
    text = show(run)
    assert text.startswith("BBU接地线检查: 4 rounds so far\n")
    assert "metrics.jsonl is not there yet" in text and "need_review.json is not there yet" in text


def test_a_run_that_has_not_started_says_so(tmp_path):
    outcome = call("show", run_dir=tmp_path)
    assert outcome.code == 2
    assert outcome.err == (
        f"{tmp_path}/rounds/0000/guidance.json: no such file: this run has not started; "
        "check MISSION and RUN, or start it with make distill\n"
    )


def test_showing_writes_nothing(run):
    before = snapshot(run.folder)
    show(run)
    assert snapshot(run.folder) == before


def test_a_change_that_no_record_accounts_for_was_made_by_hand():
    change = changes_between(guidance(0), guidance(1, G1=OLD), [])[0]
    assert (change.sign, change.key, change.why, change.reflection_id, change.trial) == (
        "+",
        "G1",
        "by hand",
        None,
        None,
    )


def test_a_merge_accounts_for_the_rules_it_replaced():
    before = guidance(2, G1=OLD, G2=NEW)
    gone = {
        key: RemovedRule(text=before.experiences[key], round=1, why="merge by r0001-01", metadata=rule_meta())
        for key in ("G1", "G2")
    }
    after = guidance(3, G3="标签须可识别").model_copy(update={"removed": gone})
    record = reflection(1, 1, "01", applied=[applied("merge", "G3", keys=["G1", "G2"], text="标签须可识别")])
    changes = changes_between(before, after, [record])
    assert [(change.sign, change.key, change.reflection_id) for change in changes] == [
        ("-", "G1", "r0001-01"),
        ("-", "G2", "r0001-01"),
        ("+", "G3", "r0001-01"),
    ]
    assert changes[0].why == "merge by r0001-01" and changes[2].why == "标签要能读"


def test_rules_are_listed_in_the_order_of_their_numbers():
    changes = changes_between(guidance(0), guidance(2, G10="十", G9="九"), [])
    assert [change.key for change in changes] == ["G9", "G10"]


def test_what_was_refused_or_put_right_of_given_tickets_stands_below_the_first_line(run):
    done = Entrance(settings="", rows=40, labels={"pass": 37}, replaced=0, repaired={"label": 4}, refused={"label": 3},
                    aside={})  # fmt: skip
    source = TicketsSource(source="given.jsonl", sha256="0" * 64, entrance=done)
    write_json(run.folder / "config" / "tickets.json", source)
    assert show(run).splitlines()[1:3] == [
        "  tickets: REFUSED 3 of 40 rows (7.5%) that can be no ticket: label 3; see tickets.refused.jsonl",
        "  tickets: 4 repairs (label 4), see tickets.repaired.jsonl",
    ]
