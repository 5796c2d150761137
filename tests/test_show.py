"""show: what a run has learnt, for people."""

import re

import pytest
from builders import RunFolder, call, guidance, reflection, rule_meta, snapshot, ticket

from tools.core.guidance_diff import changes_between
from tools.core.records import (
    AppliedOperation,
    MissionGuidance,
    Operation,
    RemovedRule,
    Trial,
)

TICKETS = [ticket("a"), ticket("b", "fail"), ticket("c")]
ANSWERS = {"a::pass": "pass pass", "b::fail": "pass pass", "c::pass": "pass fail"}
OLD, NEW = "出现标签无法识别则不通过", "出现两个标签无法识别则不通过"
TRIAL = Trial(errors=9, corrects=20, fixed=["a::pass", "b::fail", "c::pass", "d::fail"], broke=["e::pass"], precision=0.8, p_value=0.00123)


def applied(op: str, new_key: str | None, trial: Trial | None = TRIAL, **fields: object) -> AppliedOperation:
    return AppliedOperation(op=Operation(op=op, rationale="标签要能读", evidence=["b::fail"], **fields), key=new_key, trial=trial)


def without_g1(step: int) -> MissionGuidance:
    """Guidance from which G1 has gone for want of confidence."""
    gone = RemovedRule(text=NEW, round=3, why="confidence below threshold", metadata=rule_meta(1, 5))
    return guidance(step).model_copy(update={"removed": {"G1": gone}})


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """G1 is added, reworded and dropped."""
    run = RunFolder(tmp_path / "run", TICKETS)
    run.play(ANSWERS, after=guidance(1, G1=OLD), reflections=(reflection(1, 1, "01", applied=[applied("add", "G1", text=OLD)]),))
    run.play(ANSWERS, after=guidance(2, G1=NEW), reflections=(reflection(2, 2, "01", applied=[applied("update", "G1", key="G1", text=NEW)]),))
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
    assert f"round 3 (epoch 3), step 2 -> 3\n  - G1: {NEW}\n      r0003-life: confidence below threshold\n      when it left: 1 hits, 5 misses, confidence 0.25\n" in text
    assert "round 4" not in text


def test_a_change_says_what_it_fixed_and_broke(run):
    assert "trial p = 0.0012: fixed 4 (a::pass, b::fail, c::pass, …) of 9 wrong, broke 1 (e::pass) of 20 right" in show(run)


def test_rates_come_with_intervals_by_epoch_and_review_by_category(run):
    run.complete()
    text = show(run)
    assert "Rates by epoch, with 95 % intervals" in text
    assert re.search(r"^ +1 +0  100\.0% \[20\.7%, 100\.0%\] \(1/1\) +50\.0%", text, re.MULTILINE)
    assert "BBU接地线检查: 1 (fail 1, no_candidate_supports_gt 1)" in text
    assert f"  {run.folder}/distill.train.jsonl\n" in text


def test_a_run_under_way_is_shown_as_far_as_it_is(run):
    run.loop.unlink()
    text = show(run)
    assert text.startswith("BBU接地线检查: 4 rounds so far\n")
    assert "metrics.jsonl is not there yet" in text and "need_review.json is not there yet" in text


def test_a_run_that_has_not_started_says_so(tmp_path):
    outcome = call("show", run_dir=tmp_path)
    assert outcome.code == 2
    assert outcome.err == f"{tmp_path}/rounds/0000/guidance.json: no such file: this run has not started; check MISSION and RUN, or start it with make distill\n"


def test_showing_writes_nothing(run):
    before = snapshot(run.folder)
    show(run)
    assert snapshot(run.folder) == before


def test_a_change_that_no_record_accounts_for_was_made_by_hand():
    change = changes_between(guidance(0), guidance(1, G1=OLD), [])[0]
    assert (change.sign, change.key, change.why, change.reflection_id, change.trial) == ("+", "G1", "by hand", None, None)


def test_a_merge_accounts_for_the_rules_it_replaced():
    before = guidance(2, G1=OLD, G2=NEW)
    gone = {key: RemovedRule(text=before.experiences[key], round=1, why="merge by r0001-01", metadata=rule_meta()) for key in ("G1", "G2")}
    after = guidance(3, G3="标签须可识别").model_copy(update={"removed": gone})
    record = reflection(1, 1, "01", applied=[applied("merge", "G3", keys=["G1", "G2"], text="标签须可识别")])
    changes = changes_between(before, after, [record])
    assert [(change.sign, change.key, change.reflection_id) for change in changes] == [("-", "G1", "r0001-01"), ("-", "G2", "r0001-01"), ("+", "G3", "r0001-01")]
    assert changes[0].why == "merge by r0001-01" and changes[2].why == "标签要能读"


def test_rules_are_listed_in_the_order_of_their_numbers():
    changes = changes_between(guidance(0), guidance(2, G10="十", G9="九"), [])
    assert [change.key for change in changes] == ["G9", "G10"]
