"""Numbered rules that are added, changed, credited and dropped."""

import pytest

from tests.support.builders import G0, rule_meta
from tests.support.builders import guidance as guidance_of
from verdicts.config.load import CONFIGS, load
from verdicts.guidance import rules
from verdicts.guidance.operations import of_record
from verdicts.records.guidance import MissionGuidance
from verdicts.records.reflection import Operation, RuleTally

REFLECT = load("miniature", "bbu_line", configs=CONFIGS).reflect
ONE = "出现标签无法识别则不通过"
TWO = "缺少地线标签则不通过"


def add(text: str, **fields: object) -> Operation:
    return Operation(op="add", text=text, evidence=["a::fail"], **fields)


def update(key: str, text: str) -> Operation:
    return Operation(op="update", key=key, text=text, evidence=["a::fail"])


def delete(key: str) -> Operation:
    return Operation(op="delete", key=key, evidence=["a::fail"])


def merge(keys: list[str], text: str) -> Operation:
    return Operation(op="merge", keys=keys, text=text, evidence=["a::fail"])


def apply(
    guidance: MissionGuidance, operation: Operation, reflection_id: str, round_number: int
) -> tuple[MissionGuidance, str | None]:
    return of_record(operation).apply(guidance, reflection_id, round_number)


def changed(guidance: MissionGuidance, *operations: Operation) -> MissionGuidance:
    for operation in operations:
        guidance, _ = apply(guidance, operation, "r0001-01", 1)
    return guidance


def refusal(
    operation: Operation, guidance: MissionGuidance, details: set[str] = frozenset(), max_rules: int = 24
) -> str | None:
    section = REFLECT.model_copy(update={"max_rule_chars": 40, "max_rules": max_rules})
    return of_record(operation).refusal(guidance, details, section)


def test_each_operation_is_one_step_and_names_the_rule_it_changed():
    start = guidance_of()
    one, key = apply(start, add(ONE), "r0001-01", 1)
    assert (one.step, key, one.experiences["G1"], one.last_applied_rule_keys) == (1, "G1", ONE, ["G1"])
    two = changed(one, add(TWO))
    assert (two.step, two.last_applied_rule_keys) == (2, ["G2"])
    new, key = apply(two, update("G1", "有电线散乱的不通过"), "r0002-01", 2)
    assert (new.step, key, new.experiences["G1"], new.last_applied_rule_keys) == (3, "G1", "有电线散乱的不通过", ["G1"])
    merged, key = apply(new, merge(["G1", "G2"], "缺少地线标签或电线散乱则不通过"), "r0002-02", 2)
    assert (merged.step, key, list(merged.experiences), merged.last_applied_rule_keys) == (
        4,
        "G3",
        ["G0", "G3"],
        ["G3"],
    )
    bare, key = apply(merged, delete("G3"), "r0003-01", 3)
    assert (bare.step, key, list(bare.experiences), bare.last_applied_rule_keys) == (5, None, ["G0"], [])


def test_a_change_leaves_the_guidance_it_was_given_alone():
    start = guidance_of(G1=ONE)
    as_it_was = start.model_copy(deep=True)
    changed(start, add(TWO), update("G1", "别的"), delete("G1"))
    assert start == as_it_was


def test_a_new_rule_keeps_where_it_came_from_and_an_updated_one_counts_anew():
    new = changed(
        guidance_of(), Operation(op="add", text=ONE, rationale="标签看不清", evidence=["a::fail", "b::fail"])
    ).metadata["G1"]
    assert (new.reflection_id, new.sources, new.rationale, new.created_round) == (
        "r0001-01",
        ["a::fail", "b::fail"],
        "标签看不清",
        1,
    )
    assert (new.hit_count, new.miss_count, new.confidence) == (0, 0, 0.5)
    counted = rules.credit(guidance_of(G1=ONE), {"G1": RuleTally(hits=5, misses=2)})
    assert apply(counted, update("G1", TWO), "r0009-01", 9)[0].metadata["G1"].hit_count == 0


@pytest.mark.parametrize("way", ["delete", "merge", "dropped"])
def test_the_key_of_a_removed_rule_is_never_used_again(way):
    guidance = guidance_of(G1=ONE, G2=TWO)
    if way == "delete":
        guidance = changed(guidance, delete("G2"))
    elif way == "merge":
        guidance = changed(guidance, merge(["G1", "G2"], "合并"))
    else:
        guidance = rules.remove(guidance, {"G2": "no_lift: 2 right, 3 wrong, 40% by chance"}, 2)
    ever = {"G0", "G1", "G2", *guidance.experiences}
    after = changed(guidance, add("又一条"))
    assert set(after.experiences) - set(guidance.experiences) == {rules.new_key(guidance)}
    assert rules.new_key(guidance) not in ever


def test_a_removed_key_cannot_come_back_in_a_file_either():
    gone = changed(guidance_of(G1=ONE), delete("G1"))
    with pytest.raises(ValueError, match="G1 was removed before"):
        MissionGuidance.model_validate(
            {**gone.model_dump(), "experiences": {"G0": G0, "G1": ONE}, "metadata": {"G1": rule_meta()}}
        )


def test_a_removed_rule_leaves_a_snapshot_with_its_text_reason_round_and_counts():
    guidance = rules.credit(guidance_of(G1=ONE), {"G1": RuleTally(hits=1, misses=4)})
    gone = rules.remove(guidance, {"G1": "no_lift: 2 right, 3 wrong, 40% by chance"}, 7).removed["G1"]
    assert (gone.text, gone.round, gone.why, gone.metadata.miss_count) == (
        ONE,
        7,
        "no_lift: 2 right, 3 wrong, 40% by chance",
        4,
    )


DETAILS = {"QC-1", "T-881", "A站", "锦原机房"}


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (add("照片少于2张则不通过"), None),
        (update("G1", "照片少于2张则不通过"), None),
        (delete("G1"), None),
        (merge(["G1", "G2"], "照片少于2张则不通过"), None),
        # G0 is the checklist
        (update("G0", "照片少于2张则不通过"), "g0_is_read_only"),
        (delete("G0"), "g0_is_read_only"),
        (merge(["G1", "G0"], "照片少于2张则不通过"), "g0_is_read_only"),
        # keys
        (update("G7", "照片少于2张则不通过"), "unknown_key: G7"),
        (delete("G9"), "unknown_key: G9"),
        (merge(["G1", "G7"], "照片少于2张则不通过"), "unknown_key: G7"),
        (merge(["G1"], "照片少于2张则不通过"), "merge_needs_two_keys"),
        (merge(["G1", "G1"], "照片少于2张则不通过"), "merge_needs_two_keys"),
        (Operation(op="delete", evidence=["a::fail"]), "unknown_key: None"),
        # evidence
        (Operation(op="add", text="照片少于2张则不通过", evidence=[]), "no_evidence"),
        (Operation(op="delete", key="G1", evidence=[]), "no_evidence"),
        # the text itself
        (Operation(op="add", evidence=["a::fail"]), "not_one_line"),
        (add(""), "not_one_line"),
        (add("  "), "not_one_line"),
        (add("。，；"), "not_one_line"),
        (add("一行\n两行"), "not_one_line"),
        (add("一行\r两行"), "not_one_line"),
        (add("一行\u2028两行"), "not_one_line"),
        (add("长" * 41), "too_long: 41 characters"),
        (add("长" * 40), None),
        # third state
        (add("标签无法识别则需复核"), "third_state: 需复核"),
        (add("拍摄不完整则结论待定"), "third_state: 待定"),
        (add("无标签视为证据不足"), "third_state: 证据不足"),
        (add("otherwise NEED-REVIEW"), "third_state: need-review"),
        # copied details
        (add("QC-20231104-0023229 这类工单不通过"), "copied_detail: QC-"),
        (add("编号1048213的不通过"), "copied_detail: 1048213"),
        (add("T-881 不通过"), "copied_detail: T-881"),
        (add("锦原机房的标签不作依据"), "copied_detail: 锦原机房"),
        (add("NR900接地线不作依据"), None),
        # duplicates, however they are written
        (add(G0), "duplicate_of: G0"),
        (add(ONE), "duplicate_of: G1"),
        (add(" 出现 标签无法识别，则不通过。"), "duplicate_of: G1"),
        (update("G2", ONE), "duplicate_of: G1"),
        (update("G1", ONE), "duplicate_of: G1"),
        (merge(["G1", "G2"], TWO), "duplicate_of: G2"),
        # texts that left
        (add("早先的规则"), "removed_before: G3"),
        (update("G1", "早先的规则。"), "removed_before: G3"),
        (add("有害的规则"), "refused_before: breaks_too_many"),
        (merge(["G1", "G2"], "有害的规则！"), "refused_before: breaks_too_many"),
    ],
)
def test_an_operation_is_refused_with_its_reason(operation, why):
    guidance = rules.remove(
        changed(guidance_of(G1=ONE, G2=TWO), add("早先的规则")), {"G3": "no_lift: 2 right, 3 wrong, 40% by chance"}, 2
    )
    guidance = rules.refuse(guidance, "有害的规则", "breaks_too_many")
    assert refusal(operation, guidance, DETAILS) == why


def test_a_text_that_left_comes_back_only_after_something_new_was_learnt():
    def at(round_number: int, guidance: MissionGuidance, operation: Operation) -> MissionGuidance:
        return apply(guidance, operation, f"r{round_number:04d}-01", round_number)[0]

    left = rules.remove(at(1, guidance_of(), add(TWO)), {"G1": "no_lift: 2 right, 3 wrong, 40% by chance"}, 3)
    old = at(2, guidance_of(), add(ONE))
    known = rules.remove(at(1, old, add(TWO)), {"G2": "no_lift: 2 right, 3 wrong, 40% by chance"}, 3)
    assert refusal(add(TWO), left) == "removed_before: G1"
    assert refusal(add(TWO), known) == "removed_before: G2"  # the other rule was known when it left
    learnt = at(4, left, add(ONE))
    assert refusal(add(TWO), learnt) is None
    back = rules.remove(at(5, learnt, add(TWO)), {"G3": "no_lift: 2 right, 3 wrong, 40% by chance"}, 6)
    assert refusal(add(TWO), back) == "removed_before: G3"
    without = rules.remove(back, {"G2": "no_lift: 2 right, 3 wrong, 40% by chance"}, 7)
    assert refusal(add(ONE), without) == "removed_before: G2"
    assert refusal(add(TWO), at(8, without, add("照片少于2张则不通过"))) is None


def test_harm_is_forgotten_where_a_round_accepted_a_new_text_and_replaced_texts_are_not():
    before = rules.refuse(
        changed(guidance_of(G1=ONE), update("G1", TWO)), "有害的规则", "breaks_too_many: fixed 1, broke 3"
    )
    assert rules.end_round(before, before) == before
    tried = rules.refuse(before, "另一条有害的规则", "breaks_too_many: fixed 0, broke 4")
    assert rules.end_round(before, tried) == tried  # nothing was accepted
    gone = rules.remove(tried, {"G1": "no_lift: 2 right, 3 wrong, 40% by chance"}, 2)
    assert rules.end_round(before, gone) == gone
    learnt = rules.end_round(before, changed(tried, add("照片少于2张则不通过")))
    assert learnt.refused == {ONE: "replaced by r0001-01"} and learnt.step == tried.step + 1
    assert (
        refusal(add("有害的规则"), learnt) is None
        and refusal(add(ONE), learnt) == "refused_before: replaced by r0001-01"
    )


def test_learnable_rules_are_limited_and_the_checklist_does_not_count():
    two = guidance_of(G1=ONE, G2=TWO)
    assert refusal(add("第三条"), two, max_rules=3) is None
    assert refusal(add("第三条"), two, max_rules=2) == "too_many_rules"
    assert refusal(update("G1", "第三条"), two, max_rules=2) is None
    assert refusal(merge(["G1", "G2"], "第三条"), two, max_rules=2) is None


def test_the_text_that_an_update_replaced_is_not_accepted_again():
    guidance = changed(guidance_of(G1=ONE), update("G1", TWO))
    assert refusal(add(ONE), guidance) == "refused_before: replaced by r0001-01"
    assert refusal(update("G1", ONE), guidance) == "refused_before: replaced by r0001-01"


def test_remembering_a_refused_text_is_no_step():
    guidance = rules.refuse(guidance_of(step=4, G1=ONE), "有害的规则", "breaks_too_many")
    assert (guidance.step, guidance.refused) == (4, {"有害的规则": "breaks_too_many"})


@pytest.mark.parametrize(
    ("hits", "misses", "expected"), [(0, 0, 0.5), (1, 0, 0.666667), (0, 1, 0.333333), (9, 1, 0.833333), (3, 3, 0.5)]
)
def test_confidence_is_laplaces_rule_of_succession(hits, misses, expected):
    assert rules.confidence(hits, misses) == expected


def test_credit_adds_up_over_rounds_and_is_no_step():
    guidance = guidance_of(step=3, G1=ONE, G2=TWO)
    for seen in (RuleTally(hits=2, misses=1), RuleTally(hits=1, misses=0)):
        guidance = rules.credit(guidance, {"G1": seen})
    assert guidance.step == 3
    assert (
        guidance.metadata["G1"].hit_count,
        guidance.metadata["G1"].miss_count,
        guidance.metadata["G1"].confidence,
    ) == (3, 1, 0.666667)
    assert guidance.metadata["G2"] == guidance_of(G1=ONE, G2=TWO).metadata["G2"]


def test_the_number_of_trials_is_no_step_and_every_other_change_keeps_it():
    guidance = rules.tried(guidance_of(step=4, G1=ONE), 3)
    assert (guidance.step, guidance.trials) == (4, 3) and rules.tried(guidance, 3) is guidance
    kept = rules.credit(
        rules.refuse(rules.remove(changed(guidance, add(TWO)), {"G1": "no_lift"}, 2), "有害的规则", "does_harm"), {}
    )
    assert kept.trials == 3 and rules.tried(kept, 0).trials == 0


def test_rules_that_leave_together_are_one_step_and_each_keeps_its_own_reason():
    gone = rules.remove(guidance_of(step=4, G1=ONE, G2=TWO, G3="第三条"), {"G1": "no_lift", "G3": "does_harm"}, 7)
    assert (gone.step, list(gone.experiences), gone.last_applied_rule_keys) == (5, ["G0", "G2"], [])
    assert {key: (left.text, left.why, left.round) for key, left in gone.removed.items()} == {
        "G1": (ONE, "no_lift", 7),
        "G3": ("第三条", "does_harm", 7),
    }
