"""Additions that single trials refused are tried together at an epoch's end."""

import pytest

from tests.support.learning import MESSY, RIGHT_RULE, TIDY, UNREADABLE, WRONG_RULE, World, add, answer, config
from verdicts.config.tools import ReflectConfig
from verdicts.guidance.past import Past
from verdicts.records.reflection import Reflection
from verdicts.rounds.unreadable import count_reflections

WAIVER = "出现散乱可豁免"
FEW = World(unreadable=(UNREADABLE, "fail", 3), odd=(TIDY, "fail", 2), tidy=(TIDY, "pass", 8))  # p 0.035
HIDDEN_BY_EACH_OTHER = World(
    messy=(MESSY, "pass", 6),
    both=(
        f"{MESSY}，{UNREADABLE}",
        "fail",
        3,
    ),  # what a waiver of the mess releases while 无法识别 is no reason to fail
    unreadable=(UNREADABLE, "fail", 2),
    tidy=(TIDY, "pass", 8),
)


def with_pool(
    candidates: int = 4, promising: float = 0.05, spend: float = 0.05, exceptions: float = 1.0, **reflect: object
) -> ReflectConfig:
    pool = {"candidates": candidates, "promising": promising, "spend": spend, "exceptions": exceptions}
    return config(pool=config().reflect.pool.model_copy(update=pool), **reflect)


def levels(pool: Reflection) -> dict[str | None, float | None]:
    """The level that each accepted text had to reach."""
    return {applied.op.text: applied.trial.level for applied in pool.applied if applied.trial}


def test_what_a_trial_refused_for_want_of_evidence_is_accepted_at_the_end_of_its_epoch():
    (_, call, pool), after, engine = FEW.learn(answer(add(RIGHT_RULE)), cfg=with_pool())
    assert call.rejected[0].why.startswith("rides_on_the_base_rate")
    (applied,) = pool.applied
    assert (pool.reflection_id, pool.ticket_keys, pool.rejected) == ("r0001-pool", [], [])
    assert (applied.op.text, applied.key, after.experiences["G1"]) == (RIGHT_RULE, "G1", RIGHT_RULE)
    assert (len(applied.trial.fixed), applied.trial.errors, applied.trial.corrects) == (3, 5, 8)
    assert applied.trial.level == pytest.approx(0.05) and applied.trial.tickets == sorted(FEW.tickets)
    assert (pool.before_step, pool.after_step, after.trials) == (0, 1, 0)
    assert len(engine.judged) == 13 + 13 + 13  # the trial, before and after; then with the rule once more


def test_it_is_no_reflection_call():
    records, _, _ = FEW.learn(answer(add(RIGHT_RULE)), cfg=with_pool())
    assert count_reflections(records).total == 1


@pytest.mark.parametrize("cfg", [with_pool(candidates=0), with_pool(promising=0.03)])
def test_without_candidates_nothing_is_asked_or_recorded(cfg):
    records, after, engine = FEW.learn(answer(add(RIGHT_RULE)), cfg=cfg)
    assert len(records) == 2 and set(after.experiences) == {"G0"}
    assert len(engine.judged) == 2 * 13  # the trial alone


def test_in_the_middle_of_an_epoch_nothing_is_tried_together():
    records, _, _ = FEW.learn(answer(add(RIGHT_RULE)), cfg=with_pool(), rounds_per_epoch=2)
    assert len(records) == 2


def test_refused_texts_of_earlier_rounds_of_the_epoch_are_candidates_and_those_of_another_epoch_are_not():
    first, _, _ = FEW.learn(answer(add(RIGHT_RULE)), cfg=with_pool(candidates=0))
    records, after, _ = FEW.learn(answer(), cfg=with_pool(), past=Past.of([], {1: first}), round=2)
    assert records[-1].reflection_id == "r0002-pool" and after.experiences["G1"] == RIGHT_RULE
    other = [record.model_copy(update={"epoch": 7}) for record in first]
    records, after, _ = FEW.learn(answer(), cfg=with_pool(), past=Past.of([], {1: other}), round=2)
    assert len(records) == 2 and set(after.experiences) == {"G0"}


def test_two_rules_that_each_break_what_the_other_explains_are_accepted_together():
    (_, *calls, pool), after, engine = HIDDEN_BY_EACH_OTHER.learn(
        answer(add(RIGHT_RULE)), answer(add(WAIVER)), cfg=with_pool(promising=1.0)
    )
    assert not any(call.applied for call in calls)
    assert {applied.op.text for applied in pool.applied} == {RIGHT_RULE, WAIVER}
    assert {after.experiences["G1"], after.experiences["G2"]} == {RIGHT_RULE, WAIVER}
    assert all(not applied.trial.broke for applied in pool.applied)
    trials, together = 2 * 10 + 2 * 9, 19
    assert len(engine.judged) == trials + together + 2 * 8  # each left out where both together turn a verdict
    assert levels(pool) == {RIGHT_RULE: pytest.approx(0.05), WAIVER: pytest.approx(0.05 / 2)}  # 散乱: no checklist word


def test_one_that_would_not_be_missed_leaves_with_its_trial_and_the_level_of_the_rest_is_stricter():
    (*_, pool), after, _ = HIDDEN_BY_EACH_OTHER.learn(
        answer(add(RIGHT_RULE), add(WRONG_RULE)), answer(add(WAIVER)), cfg=with_pool(promising=1.0)
    )
    assert WRONG_RULE not in after.experiences.values() and len(pool.applied) == 2
    (rejected,) = pool.rejected
    assert rejected.op["text"] == WRONG_RULE and rejected.why.startswith("not_together: ")
    assert rejected.trial.level == pytest.approx(0.05 / 2)  # of three of three, half for a foreign object; then two
    assert levels(pool) == {RIGHT_RULE: pytest.approx(0.05 * 2 / 3), WAIVER: pytest.approx(0.05 / 3)}


def test_a_text_that_releases_tickets_has_to_be_shown_more_surely():
    proposed = (answer(add(RIGHT_RULE)), answer(add(WAIVER)))
    (*_, pool), _, _ = HIDDEN_BY_EACH_OTHER.learn(*proposed, cfg=with_pool(promising=1.0, exceptions=0.5))
    assert levels(pool) == {RIGHT_RULE: pytest.approx(0.05), WAIVER: pytest.approx(0.05 / 2 / 2)}
    (*_, pool), after, _ = HIDDEN_BY_EACH_OTHER.learn(*proposed, cfg=with_pool(promising=1.0, exceptions=0.0001))
    assert WAIVER not in after.experiences.values()
    (left,) = [rejected for rejected in pool.rejected if rejected.op["text"] == WAIVER]
    assert left.why.startswith("not_together: rides_on_the_base_rate") and left.trial.level == pytest.approx(0.0000025)


def test_of_two_texts_that_turn_the_same_tickets_one_is_tried():
    again = "出现标签/无法识别则不通过"
    (_, _, pool), _, _ = FEW.learn(answer(add(RIGHT_RULE), add(again)), cfg=with_pool(spend=0.1))
    assert [applied.op.text for applied in pool.applied] == [RIGHT_RULE] and not pool.rejected
    assert pool.applied[0].trial.level == pytest.approx(0.1 / 2)  # both texts were tried in the epoch


def test_what_a_person_wrote_in_the_place_of_a_refused_operation_is_no_candidate():
    (life, call), _, _ = FEW.learn(answer(add(RIGHT_RULE)), cfg=with_pool(candidates=0))
    edited = call.model_copy(update={"rejected": [call.rejected[0].model_copy(update={"op": {"op": "add", "x": 1}})]})
    records, _, _ = FEW.learn(answer(), cfg=with_pool(), past=Past.of([], {1: [life, edited]}), round=2)
    assert len(records) == 2
