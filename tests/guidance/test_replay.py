"""From reflection records to guidance, without a model."""

from tests.support.builders import G0, MISSION, reflection
from tests.support.builders import guidance as guidance_of
from verdicts.config.sections import Mission
from verdicts.guidance import replay, rules
from verdicts.records.reflection import AppliedOperation, Operation, RejectedOperation

ONE = "出现标签无法识别则不通过"
TWO = "缺少地线标签则不通过"


def test_a_run_starts_from_the_checklist_and_the_missions_own_rules():
    mission = Mission(slug="bbu_line", name=MISSION, g0=G0, rules=[ONE, TWO], high_risk=True)
    start = replay.start(mission)
    assert start.experiences == {"G0": G0, "G1": ONE, "G2": TWO}
    assert set(start.metadata) == {"G1", "G2"} and start.metadata["G1"].created_round == 0


def test_replay_takes_the_number_of_trials_from_each_record_that_has_one():
    tried = rules.tried(guidance_of(G1=ONE), 5)
    assert replay.replay(tried, [reflection()]).trials == 5
    assert (
        replay.replay(
            tried, [reflection(), reflection(number="01", trials=7), reflection(number="02", trials=0)]
        ).trials
        == 0
    )


def test_a_key_that_a_record_cleans_up_twice_leaves_once():
    after = replay.replay(guidance_of(G1=ONE, G2=TWO), [reflection(cleaned_up=["G1", "G1"])])
    assert (after.step, list(after.experiences), list(after.removed)) == (1, ["G0", "G2"], ["G1"])


def test_a_round_settles_once_at_its_end():
    """A text refused after another was accepted in the same round is forgotten like one refused before it."""
    new = AppliedOperation(op=Operation(op="add", text="新规则", evidence=["a::fail"]), key="G1", trial=None)
    old = RejectedOperation(op={"op": "add", "text": "有害的规则"}, why="fixes_too_few: 0", remembered=True)
    records = [reflection(number="01", applied=[new]), reflection(number="02", rejected=[old])]
    after = guidance_of()
    for record in records:
        after = replay.replay_record(after, record)
    assert after.refused == {"有害的规则": "fixes_too_few: 0"}
    assert (
        replay.replay(guidance_of(), records)
        == rules.end_round(guidance_of(), after)
        == after.model_copy(update={"refused": {}})
    )


def test_replay_keeps_why_each_rule_left_and_an_older_record_says_no_more_than_it_did():
    both = guidance_of(G1=ONE, G2=TWO)
    after = replay.replay(
        both, [reflection(cleaned_up=["G1", "G2"], left={"G1": "no_lift: 2 right, 3 wrong, 40% by chance"})]
    )
    assert {key: gone.why for key, gone in after.removed.items()} == {
        "G1": "no_lift: 2 right, 3 wrong, 40% by chance",
        "G2": "confidence below threshold",
    }
    assert after.step == both.step + 1
