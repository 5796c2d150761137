"""One round of learning, with an engine that follows the guidance in its prompt to the letter."""

import re

import pytest

from miniature.world.prompts import prompts_of
from tests.support.builders import candidates
from tests.support.builders import guidance as guidance_of
from tests.support.fake_engine import FakeEngine
from tests.support.learning import MESSY, RIGHT_RULE, TIDY, UNREADABLE, WRONG_RULE, World, add, answer, config, follows
from verdicts.base.jsonl import dump
from verdicts.guidance.learning import learn
from verdicts.guidance.operations import of_record
from verdicts.guidance.past import Past
from verdicts.guidance.rules import remove
from verdicts.records.reflection import Operation, RuleTally, Tally
from verdicts.review.unsupported import is_unsupported
from verdicts.rounds.holdout import is_held_out
from verdicts.rounds.unreadable import count_reflections
from verdicts.rounds.windows import Place
from verdicts.stats.exact_test import level_of


def unreadable_fails(count: int = 8) -> World:
    """A hidden rule: a label that cannot be read fails."""
    return World(unreadable=(UNREADABLE, "fail", count), tidy=(TIDY, "pass", 16), messy=(MESSY, "fail", 6))


def test_a_rule_that_explains_errors_is_accepted():
    (life, call), after, _engine = unreadable_fails().learn(answer(add(RIGHT_RULE)))
    assert after.experiences["G1"] == RIGHT_RULE and after.step == 1
    (applied,) = call.applied
    assert (applied.key, applied.op.text, len(applied.trial.fixed), applied.trial.broke) == ("G1", RIGHT_RULE, 8, [])
    assert (call.before_step, call.after_step, call.rejected) == (0, 1, [])
    assert after.metadata["G1"].sources == call.operations[0].evidence == call.ticket_keys[:2]
    assert (life.reflection_id, call.reflection_id) == ("r0001-life", "r0001-01")


def test_a_rule_that_breaks_right_verdicts_is_refused_and_its_text_remembered():
    (life, call), after, _engine = unreadable_fails().learn(answer(add(WRONG_RULE)))
    assert (life.prompt, call.prompt) == ("", prompts_of("").digest("reflect"))
    assert list(after.experiences) == ["G0"] and after.step == 0
    (rejected,) = call.rejected
    assert rejected.why == "fixes_too_few: 0" and rejected.remembered and len(rejected.trial.broke) == 16
    assert after.refused == {WRONG_RULE: "fixes_too_few: 0"}


def test_a_remembered_text_is_refused_in_a_later_round_without_a_trial():
    world = unreadable_fails()
    _, after, _ = world.learn(answer(add(WRONG_RULE)))
    (_, call), again, engine = world.learn(answer(add(WRONG_RULE + "。")), guidance=after, round=2)
    assert [rejected.why for rejected in call.rejected] == ["refused_before: fixes_too_few: 0"]
    assert engine.judged == [] and again == after


def test_a_harmless_useless_rule_is_refused_and_not_remembered():
    (_, call), after, _ = unreadable_fails().learn(answer(add("出现挡风板则不通过")))
    assert [rejected.why for rejected in call.rejected] == ["fixes_too_few: 0"]
    assert not call.rejected[0].remembered and after.refused == {}


def test_where_all_labels_are_fail_no_rule_rides_on_the_base_rate():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "fail", 16))
    (_, call), after, _ = world.learn(answer(add(WRONG_RULE)))
    assert [rejected.why for rejected in call.rejected] == [
        "rides_on_the_base_rate: p 1, level 0.0067 for 捆扎整齐, which the checklist does not name"
    ]
    assert list(after.experiences) == ["G0"]


def test_a_planted_wrong_rule_is_deleted_on_reflection():
    world = World(tidy=(TIDY, "pass", 16), messy=(MESSY, "fail", 6))
    (_, call), after, _ = world.learn(answer({"op": "delete", "key": "G1"}), guidance=guidance_of(G1=WRONG_RULE))
    assert list(after.experiences) == ["G0"] and after.removed["G1"].text == WRONG_RULE
    assert [(applied.op.op, applied.key, len(applied.trial.fixed)) for applied in call.applied] == [
        ("delete", None, 16)
    ]
    assert call.directions == {"false_block": 4}


def test_a_planted_wrong_rule_leaves_by_itself_once_its_verdicts_miss():
    world = World(tidy=(TIDY, "pass", 3), messy=(MESSY, "fail", 2))
    (life, call), after, engine = world.learn(answer(), guidance=guidance_of(G1=WRONG_RULE), cites="G1", round=2)
    assert life.tallies == {
        "G1": RuleTally(
            hits=0,
            misses=3,
            by_photos={"1": [0, 3, 0, 0]},
            gives="fail",
            fresh=Tally(hits=0, misses=3, by_photos={"1": [0, 3, 0, 0]}),
        )
    }  # 散乱 fails without it
    assert life.cleaned_up == ["G1"] and life.left == {"G1": "breaks_too_many: 0 right, 3 wrong"}
    assert (life.before_step, life.after_step, after.step) == (0, 1, 1)
    assert list(after.experiences) == ["G0"] and after.removed["G1"].why == life.left["G1"]
    assert WRONG_RULE not in engine.calls[0][0]  # reflection sees the guidance without it
    assert call.before_step == 1


def test_a_text_that_was_cleaned_up_does_not_come_back():
    world = unreadable_fails()
    gone = remove(guidance_of(G1=RIGHT_RULE), {"G1": "no_lift: 2 right, 3 wrong, 40% by chance"}, 1)
    (_, call), _after, engine = world.learn(answer(add(RIGHT_RULE)), guidance=gone)
    assert [rejected.why for rejected in call.rejected] == ["removed_before: G1"]
    assert engine.judged == []


def test_a_text_that_was_cleaned_up_is_tried_again_once_something_new_was_learnt():
    world = unreadable_fails()
    gone = remove(guidance_of(G1=RIGHT_RULE), {"G1": "no_lift: 2 right, 3 wrong, 40% by chance"}, 1)
    new = of_record(Operation(op="add", text="出现避雷器则不通过", evidence=["a::fail"]))
    learnt, _ = new.apply(gone, "r0001-01", 1)
    (_, call), after, _ = world.learn(answer(add(RIGHT_RULE)), guidance=learnt)
    assert [applied.key for applied in call.applied] == ["G3"] and after.experiences["G3"] == RIGHT_RULE


def test_a_rule_is_credited_only_with_verdicts_that_cite_it_and_turn_without_it():
    world = World(
        unreadable=(UNREADABLE, "fail", 8),
        tidy=(TIDY, "pass", 16),
        gone=("螺丝/缺失×1", "fail", 6),
        spare=("备件/缺失×1", "pass", 1),
        messy=(MESSY, "fail", 4),
    )
    guidance = guidance_of(G1=RIGHT_RULE, G2="出现缺失则不通过", G3="出现散乱则不通过")
    (life, _), after, _ = world.learn(answer(), guidance=guidance, cites="G2、G3")
    seen = {
        "hits": 6,
        "misses": 1,
        "errors": 0,
        "corrects": 16,
        "by_photos": {"1": [6, 1, 0, 16]},
    }  # of the passes it leaves, all are right
    assert life.tallies == {
        "G2": RuleTally(**seen, gives="fail", fresh=Tally(**seen))
    }  # nobody cites G1, and G3 decides nothing
    assert life.verdicts == {"fail/fail": 18, "pass/fail": 1, "pass/pass": 16}
    assert (after.metadata["G1"].hit_count, after.metadata["G3"].hit_count, after.metadata["G3"].miss_count) == (
        0,
        0,
        0,
    )
    assert (after.metadata["G2"].hit_count, after.metadata["G2"].miss_count, after.metadata["G2"].confidence) == (
        6,
        1,
        0.777778,
    )
    assert after.step == guidance.step and life.left == {}


def test_what_two_calls_propose_is_tried_once():
    (_, first, second), _after, _engine = unreadable_fails(16).learn(
        answer(add(WRONG_RULE)), answer(add(WRONG_RULE)), cfg=config(groups=2)
    )
    assert [rejected.why for rejected in first.rejected] == ["fixes_too_few: 0"]
    assert [rejected.why for rejected in second.rejected] == ["proposed_twice_this_round"]


def test_an_accepted_text_that_comes_again_is_a_repetition_however_it_is_written():
    (_, first, second), after, _ = unreadable_fails(16).learn(
        answer(add(RIGHT_RULE), add(RIGHT_RULE + "。")), answer(add(RIGHT_RULE)), cfg=config(groups=2)
    )
    assert [rejected.why for rejected in first.rejected + second.rejected] == ["proposed_twice_this_round"] * 2
    assert list(after.experiences) == ["G0", "G1"]


def test_no_more_operations_are_tried_in_a_round_than_configured():
    texts = [f"出现第{number}种则不通过" for number in range(5)]
    (_, call), _, _engine = unreadable_fails().learn(answer(*map(add, texts)), cfg=config(max_operations=3))
    assert [rejected.why for rejected in call.rejected] == ["fixes_too_few: 0"] * 3 + ["too_many_this_round"] * 2


def test_operations_refused_before_a_trial_do_not_use_it_up():
    operations = [add("标签需复核"), {"op": "delete", "key": "G0"}, {"op": "delete", "key": "G8"}, add(RIGHT_RULE)]
    (_, call), after, _ = unreadable_fails().learn(answer(*operations), cfg=config(max_operations=1))
    assert [rejected.why for rejected in call.rejected] == ["third_state: 需复核", "g0_is_read_only", "unknown_key: G8"]
    assert after.experiences["G1"] == RIGHT_RULE


def test_each_change_is_tried_on_top_of_those_accepted_before_it():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 30), partly=("设备/只显示部分×1", "fail", 8))
    (_, call), _after, _engine = world.learn(
        answer(add(RIGHT_RULE), add("出现只显示部分则不通过"), add("有只显示部分或无法识别，出现只显示部分则不通过"))
    )
    assert [applied.key for applied in call.applied] == ["G1", "G2"]
    assert {name.split("-")[0] for name in call.applied[1].trial.fixed} == {"partly"}
    assert [rejected.why for rejected in call.rejected] == ["fixes_too_few: 0"]  # nothing is left for the third to fix
    assert [(call.before_step, call.after_step)] == [(0, 2)]


def test_reflection_learns_from_both_directions_of_error_each_with_its_own_tickets():
    world = World(
        unreadable=(UNREADABLE, "fail", 8),
        tidy=(TIDY, "pass", 16),
        waived=(MESSY, "pass", 10),
        broken=("电线/散乱×1，螺丝/缺失×1", "fail", 1),
    )
    (_, release, block), after, engine = world.learn(answer(add(RIGHT_RULE)), answer(add("出现散乱可豁免")))
    assert (release.directions, block.directions) == ({"false_release": 4}, {"false_block": 4})
    assert {name.split("-")[0] for name in release.ticket_keys} == {"unreadable"} and {
        name.split("-")[0] for name in block.ticket_keys
    } == {"waived"}
    assert "人工:不通过 模型:通过" in engine.calls[0][1] and "人工:通过 模型:不通过" in engine.calls[1][1]
    assert list(after.experiences) == ["G0", "G1"]  # one right verdict of eleven: the exception rides on the base rate
    assert block.rejected[0].why.startswith("rides_on_the_base_rate")


def test_an_exception_that_explains_false_blocks_is_accepted():
    world = World(waived=(MESSY, "pass", 10), broken=("螺丝/缺失×1", "fail", 20))
    (_, call), _after, _ = world.learn(answer(add("出现散乱可豁免")), guidance=guidance_of(G1="出现缺失则不通过"))
    assert [applied.key for applied in call.applied] == ["G2"] and len(call.applied[0].trial.fixed) == 10


def test_tickets_that_go_to_review_still_enter_reflection():
    world = unreadable_fails()
    unsupported = {of.ticket_key for of in world.tickets.values() if is_unsupported(candidates(of, "pass"))}
    (_, *calls), _, _ = world.learn(answer(), answer(), cfg=config(groups=4))
    shown = [key for call in calls for key in call.ticket_keys]
    assert (
        len(shown) == len(set(shown)) == 8
        and {key.split("-")[0] for key in shown} == {"unreadable"}
        and set(shown) <= unsupported
    )


def test_a_round_without_errors_asks_nothing_and_leaves_one_record():
    (life,), after, engine = World(tidy=(TIDY, "pass", 5), messy=(MESSY, "fail", 5)).learn()
    assert (engine.calls, engine.judged, life.before_step, life.after_step, after.step) == ([], [], 0, 0, 0)


@pytest.mark.parametrize(
    "nonsense", ["", "好的，规则如下：", "[]", '{"operations": "无"}', '{"operations": [], "operations": []}']
)
def test_a_model_that_talks_nonsense_changes_nothing(nonsense):
    (_, call), after, engine = unreadable_fails().learn(nonsense)
    assert (call.raw_response, call.operations, call.applied, engine.judged) == (nonsense, [], [], [])
    assert call.unreadable and not call.rejected and after == guidance_of()


def test_a_trial_in_which_the_engine_names_no_verdict_shows_nothing_and_says_so():
    (_, call), after, _ = unreadable_fails().learn(
        answer({"op": "add", "text": RIGHT_RULE}), judges=lambda system, user: None
    )
    assert [rejected.why.partition(":")[0] for rejected in call.rejected] == [
        "no_verdict_in_trial"
    ] and call.applied == []
    assert (after.experiences, after.refused) == (guidance_of().experiences, {})
    assert count_reflections([call]).reasons == {"no_verdict_in_trial": 1}


def test_a_verdict_whose_alternative_has_no_probability_is_the_likelier_one(monkeypatch):
    def half(engine, system, users):
        return [{"pass": None, "fail": None} | {follows(system, user): -0.1} for user in users]

    monkeypatch.setattr(FakeEngine, "judge", half)
    (_, call), _, _ = unreadable_fails().learn(answer({"op": "add", "text": RIGHT_RULE}))
    assert call.applied and call.applied[0].trial.fixed


def test_what_reflection_cannot_explain_is_kept_as_ticket_keys():
    (_, call), _, _ = unreadable_fails().learn(answer(unexplainable=[2, 4]))
    assert call.unexplainable == [call.ticket_keys[1], call.ticket_keys[3]]


def test_a_copied_ticket_id_is_refused():
    (_, call), _, _ = unreadable_fails().learn(answer(*(add(f"unreadable-{number} 不通过") for number in range(8))))
    copied = [rejected.why for rejected in call.rejected if rejected.why.startswith("copied_detail: unreadable-")]
    assert copied and {why.removeprefix("copied_detail: ") for why in copied} <= {
        key.split("::")[0] for key in call.ticket_keys
    }


TWO_RULES = {"G1": "出现散开则不通过", "G2": "出现缺失则不通过"}


def with_two_rules() -> World:
    """Two rules that work (they fail what is labelled fail), and one hidden rule that is missing."""
    return World(
        unreadable=(UNREADABLE, "fail", 8),
        tidy=(TIDY, "pass", 16),
        loose=("电线/散开×1", "fail", 6),
        gone=("螺丝/缺失×1", "fail", 6),
    )


def test_a_merge_that_keeps_every_verdict_is_accepted():
    (_, call), after, _ = with_two_rules().learn(
        answer({"op": "merge", "keys": ["G1", "G2"], "text": "出现散开、出现缺失则不通过"}),
        guidance=guidance_of(**TWO_RULES),
    )
    assert list(after.experiences) == ["G0", "G3"] and [applied.key for applied in call.applied] == ["G3"]


def test_a_merge_that_loses_what_its_rules_did_is_refused():
    (_, call), after, _ = with_two_rules().learn(
        answer({"op": "merge", "keys": ["G1", "G2"], "text": "出现散开则不通过为准"}), guidance=guidance_of(**TWO_RULES)
    )
    assert [rejected.why for rejected in call.rejected] == ["breaks_other_verdicts: fixed 0, broke 6"]
    assert list(after.experiences) == ["G0", "G1", "G2"]


def test_an_update_that_fixes_errors_and_loses_more_of_what_its_rule_did_is_refused():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16), gone=("螺丝/缺失×1", "fail", 12))
    (_, call), after, _ = world.learn(
        answer({"op": "update", "key": "G1", "text": RIGHT_RULE}), guidance=guidance_of(G1="出现缺失则不通过")
    )
    assert [rejected.why for rejected in call.rejected] == ["breaks_other_verdicts: fixed 0, broke 12"]
    assert after.experiences["G1"] == "出现缺失则不通过"


def test_an_update_that_adds_to_what_its_rule_did_is_accepted():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16), gone=("螺丝/缺失×1", "fail", 12))
    (_, _call), after, _ = world.learn(
        answer({"op": "update", "key": "G1", "text": "出现无法识别、出现缺失则不通过"}),
        guidance=guidance_of(G1="出现缺失则不通过"),
    )
    assert after.experiences == {**guidance_of().experiences, "G1": "出现无法识别、出现缺失则不通过"}
    assert "出现缺失则不通过" in after.refused


def test_tickets_that_do_not_fit_the_model_count_as_unchanged():
    (_, call), _after, _ = unreadable_fails().learn(
        answer(add(RIGHT_RULE)), judges=lambda system, user: None if "无法识别" in user else "pass"
    )
    assert [rejected.why for rejected in call.rejected] == ["fixes_too_few: 0"]


def test_calls_have_seeds_of_their_own_that_depend_on_seed_round_and_call():
    def seeds(**more) -> list[int]:
        _, _, engine = unreadable_fails(16).learn(
            answer(), answer(), cfg=config(groups=2, **more.pop("reflect", {})), **more
        )
        return [decode.seed for _, _, decode in engine.calls]

    assert len(set(seeds())) == 2 and seeds() == seeds()
    assert not set(seeds()) & set(seeds(round=2)) and not set(seeds()) & set(seeds(reflect={"seed": 18}))


def test_the_same_round_twice_gives_the_same_records():
    twice = [
        unreadable_fails(16).learn(
            answer(add(RIGHT_RULE), add(WRONG_RULE)), answer(add(WRONG_RULE)), cfg=config(groups=2)
        )[0]
        for _ in range(2)
    ]
    assert [dump(record) for record in twice[0]] == [dump(record) for record in twice[1]]


def test_reflection_and_trials_never_see_a_group_id():
    _, _, engine = unreadable_fails().learn(answer(add(RIGHT_RULE)))
    seen = "".join(system + user for system, user, _ in engine.calls) + "".join(
        system + user for system, user in engine.judged
    )
    assert not re.search("unreadable-|tidy-|messy-", seen)


def test_a_trial_sees_no_label():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16))
    _, _, engine = world.learn(answer(add(RIGHT_RULE)))
    assert engine.judged and not any("人工" in user for _, user in engine.judged)
    assert len({user for _, user in engine.judged}) == 2  # one prompt for each summary, whatever the label


# -- how often a round may be wrong by chance
WEAK_RULE = "出现反光则不通过"  # names an object that the checklist does not


def some_glare() -> World:
    """As unreadable_fails; glare fails 8 tickets and passes 6, so a rule about it may be right or not."""
    return World(
        unreadable=(UNREADABLE, "fail", 8),
        glare=("标签/反光×1", "fail", 8),
        harmless=("标签/反光×1", "pass", 6),
        tidy=(TIDY, "pass", 16),
    )


def test_trials_are_counted_until_one_is_accepted_and_the_level_falls_with_them():
    texts = [add("出现挡风板则不通过"), add(WRONG_RULE), add(WEAK_RULE), add(f"{WEAK_RULE}为准")]
    (_, first, second), after, _ = some_glare().learn(answer(*texts), answer(add(RIGHT_RULE)), cfg=config(groups=2))
    levels = [rejected.trial.level for rejected in first.rejected]
    half = [pytest.approx(level_of(trials, 0.5, 0.5) / 2, abs=1e-9) for trials in range(2)]
    assert levels == [
        half[0],
        half[0],
        half[0],
        half[1],
    ]  # the first changed nothing and the second mended nothing: they cost nothing
    assert (first.trials, second.trials, after.trials) == (2, 0, 0)
    assert (
        second.applied[0].trial.level == pytest.approx(level_of(2, 0.5, 0.5), abs=1e-9)
        and second.applied[0].trial.foreign is None
    )


def test_the_next_round_counts_on_from_the_one_before():
    world = some_glare()
    _, after, _ = world.learn(answer(add(WEAK_RULE)))
    assert after.trials == 1
    (_, call), again, _ = world.learn(answer(add(f"{WEAK_RULE}为准")), guidance=after, round=2)
    assert call.rejected[0].trial.level == pytest.approx(level_of(1, 0.5, 0.5) / 2, abs=1e-9) and (
        call.trials,
        again.trials,
    ) == (2, 2)


@pytest.mark.parametrize(
    ("windows", "rounds_per_epoch", "early"),
    [
        (0, 6, True),
        (2, 6, True),
        (3, 6, False),
        (0, 2, True),
        (1, 2, False),
        (0, 1, False),
    ],  # four windows are wanted, or what an epoch has
)
def test_while_windows_are_still_to_come_a_proposal_is_tried_at_a_fixed_level_and_spends_nothing(
    windows, rounds_per_epoch, early
):
    before = guidance_of().model_copy(update={"trials": 2})
    past = Past.of([[]] * windows, {})
    (_, call), after, _ = some_glare().learn(
        answer(add(WEAK_RULE)), guidance=before, past=past, rounds_per_epoch=rounds_per_epoch
    )
    (refused,) = call.rejected
    assert refused.trial.level == pytest.approx((0.001 if early else level_of(2, 0.5, 0.5)) / 2, abs=1e-9)
    assert (call.trials, after.trials) == ((2, 2) if early else (3, 3))


def test_a_proposal_that_is_accepted_early_lets_the_count_begin_anew():
    before = guidance_of().model_copy(update={"trials": 2})
    (_, call), after, _ = unreadable_fails().learn(answer(add(RIGHT_RULE)), guidance=before, rounds_per_epoch=6)
    assert (call.applied[0].trial.level, call.trials, after.trials) == (0.001, 0, 0)


def test_a_merge_that_does_nothing_leaves_the_count_of_trials():
    before = guidance_of(**TWO_RULES).model_copy(update={"trials": 40})
    (_, call), after, _ = with_two_rules().learn(
        answer({"op": "merge", "keys": ["G1", "G2"], "text": "出现散开、出现缺失则不通过"}), guidance=before
    )
    assert list(after.experiences) == ["G0", "G3"] and (call.trials, after.trials) == (40, 40)


def test_present_guidance_is_asked_once_for_each_ticket_that_proposals_are_tried_on():
    _, _, engine = unreadable_fails().learn(answer(add("出现挡风板则不通过"), add("出现只显示部分则不通过")))
    assert len(engine.judged) == 24 + 2 * 24  # no fail is asked: no proposal came against false blocks


def test_what_is_refused_before_its_trial_costs_nothing():
    (_, call), after, _ = unreadable_fails().learn(answer(add("标签需复核"), {"op": "delete", "key": "G8"}))
    assert len(call.rejected) == 2 and (call.trials, after.trials) == (0, 0)


def test_a_rule_that_explains_errors_and_blocks_too_many_good_tickets_is_refused():
    world = World(unreadable=(UNREADABLE, "fail", 30), spare=(UNREADABLE, "pass", 9), tidy=(TIDY, "pass", 36))
    (_, call), after, _ = world.learn(answer(add(RIGHT_RULE)))
    (rejected,) = call.rejected
    assert rejected.why == "does_harm: broke 9 of 45 right, 11.3% more of the other error"
    assert list(after.experiences) == ["G0"] and after.refused == {}


# -- what a proposal is tried on
def two_windows() -> World:
    """A window too small to show anything, and the one before it."""
    return World(
        **{
            "now-unreadable": (UNREADABLE, "fail", 3),
            "now-tidy": (TIDY, "pass", 2),
            "past-unreadable": (UNREADABLE, "fail", 5),
            "past-tidy": (TIDY, "pass", 14),
        }
    )


def test_a_proposal_is_tried_on_the_windows_before_as_well():
    world = two_windows()
    (_, alone), _, _ = world.learn(answer(add(RIGHT_RULE)), window="now")
    assert alone.rejected[0].why == "rides_on_the_base_rate: p 0.1, level 0.013"  # 1 / C(5,3)
    (_, call), after, _ = world.learn(
        answer(add(RIGHT_RULE)), window="now", past=Past(selections=world.selections(guidance_of(), of="past"))
    )
    assert after.experiences["G1"] == RIGHT_RULE
    assert (call.applied[0].trial.errors, call.applied[0].trial.corrects) == (8, 16)
    assert all(key.startswith("now-") for key in call.ticket_keys)  # reflection sees this window alone


def test_a_ticket_of_two_windows_is_tried_once_as_it_was_answered_last():
    world = two_windows()
    stale = [
        selection.model_copy(update={"verdict": "fail", "label_match": selection.label == "fail"})
        for selection in world.selections(guidance_of())
    ]
    (_, call), _, _ = world.learn(answer(add(RIGHT_RULE)), past=Past(selections=stale))
    assert (call.applied[0].trial.errors, call.applied[0].trial.corrects) == (8, 16)


def test_of_the_windows_before_the_latest_answer_counts():
    world = two_windows()
    of_round = world.selections(guidance_of(), of="past")
    stale = [
        selection.model_copy(update={"verdict": "fail", "label_match": selection.label == "fail"})
        for selection in of_round
    ]
    past = Past.of([of_round, stale], {})
    (_, call), _, _ = world.learn(answer(add(RIGHT_RULE)), window="now", past=past)
    assert (call.applied[0].trial.errors, call.applied[0].trial.corrects) == (8, 16)


@pytest.mark.parametrize("stale", [60, 300])
def test_errors_of_windows_before_that_guidance_has_mended_since_do_not_crowd_out_those_that_are_left(stale):
    world = World(
        **{
            "now-unreadable": (UNREADABLE, "fail", 8),
            "now-tidy": (TIDY, "pass", 16),
            "past-loose": ("电线/散开×1", "fail", stale),
        }
    )
    past = Past(selections=world.selections(guidance_of(), of="past"))
    (_, call), _, _ = world.learn(
        answer(add(RIGHT_RULE)), guidance=guidance_of(G1="出现散开则不通过"), past=past, window="now", round=5
    )
    assert call.applied[0].trial.errors == 8  # as without the windows before


def test_an_accepted_rule_records_the_tickets_that_it_was_tried_on():
    world = unreadable_fails()
    (_, call), _, _ = world.learn(answer(add(RIGHT_RULE), add(WRONG_RULE)))
    assert call.applied[0].trial.tickets == sorted(key for key in world.tickets if not key.startswith("messy"))
    assert call.rejected[0].trial.tickets == []


def test_a_rule_is_tried_on_errors_that_led_to_none_where_there_are_enough():
    (_, call), _, _ = unreadable_fails(40).learn(answer(add(RIGHT_RULE)))
    trial = call.applied[0].trial
    assert len(call.ticket_keys) == 4 and not set(call.ticket_keys) & set(trial.tickets)
    assert (trial.errors, len(trial.fixed), trial.corrects) == (36, 36, 16)


# -- the end of a rule's probation
def test_a_rule_stays_if_the_epoch_after_it_bears_it_out_and_leaves_if_no_verdict_rests_on_it():
    world = unreadable_fails()
    records, after, _ = world.learn(answer(add(RIGHT_RULE)))
    past = Past.of([world.selections(guidance_of())], {1: records})
    (life,), stays, _ = world.learn(guidance=after, cites="G1", round=2, past=past)
    assert life.left == {} and "G1" in stays.experiences
    assert life.tallies["G1"] == RuleTally(
        hits=8,
        misses=0,
        errors=0,
        corrects=16,
        by_photos={"1": [8, 0, 0, 16]},
        gives="fail",
        fresh=Tally(hits=0, misses=0),
    )  # it was tried on all of them
    (life,), without, _ = world.learn(guidance=after, round=2, past=past)
    assert life.left == {
        "G1": "not_confirmed: 0 right, 0 wrong on tickets that it was not learnt from (p 1), 0 and 0 on all (p 1)"
    }
    assert list(without.experiences) == ["G0"] and without.removed["G1"].round == 2


# -- tickets that are held out
SECRET = "，备件/暗格×1"


def test_reflection_trials_and_tallies_never_touch_a_ticket_that_is_held_out():
    world, cfg = (
        World(
            unreadable=(UNREADABLE, "fail", 40),
            tidy=(TIDY, "pass", 40),
            gone=("螺丝/缺失×1", "fail", 20),
            old=(UNREADABLE, "fail", 30),
        ),
        config(holdout=0.2),
    )
    held = {key for key, of in world.tickets.items() if is_held_out(of.group_id, cfg.learn)}
    assert 15 < len(held) < 40
    for key in held:
        of = world.tickets[key]
        world.tickets[key] = of.model_copy(update={"per_image": {"image_1": of.per_image["image_1"] + SECRET}})
    now = [of for of in world.tickets.values() if not of.group_id.startswith("old")]
    guidance = guidance_of(G1="出现缺失则不通过")
    engine = FakeEngine(reflections=[answer(add(RIGHT_RULE))], judges=follows)
    selections = [
        selection for selection in world.selections(guidance, "G1") if not selection.ticket_key.startswith("old")
    ]
    past = Past(selections=world.selections(guidance, of="old"))
    (life, call), _after = learn(
        cfg, prompts_of(cfg.mission.name), engine, guidance, world.tickets, selections, past, Place(1, 0, 1), 1
    )
    assert call.applied and life.tallies["G1"].hits
    asked = [user for _, user, _ in engine.calls] + [user for _, user in engine.judged]
    assert asked and not any("暗格" in user for user in asked)
    assert not held & {*call.ticket_keys, *call.applied[0].trial.tickets, *call.applied[0].trial.fixed}
    assert sum(life.verdicts.values()) == len(now) - len(held & {of.ticket_key for of in now})
    assert life.tallies["G1"].hits == sum(of.group_id.startswith("gone") and of.ticket_key not in held for of in now)
