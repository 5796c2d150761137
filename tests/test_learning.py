"""One round of learning, with an engine that follows the guidance in its prompt to the letter."""

import json
import re

import pytest

from tests.builders import NO_GUARD, candidates, ticket
from tests.builders import guidance as guidance_of
from tests.fake_engine import FakeEngine
from tools.core.config import CONFIGS, ReflectConfig, load
from tools.core.guidance import change, remove, replay
from tools.core.jsonl import dump
from tools.core.learning import learn
from tools.core.records import MissionGuidance, Operation, Reflection, RuleTally, Selection
from tools.core.review import is_unsupported
from tools.core.selection import select
from tools.core.unreadable import count_reflections
from tools.core.windows import Place

UNREADABLE, TIDY, MESSY = "标签/无法识别×1", "电线/捆扎整齐×1", "电线/散乱×1"
RIGHT_RULE, WRONG_RULE = "出现无法识别则不通过", "出现捆扎整齐则不通过"


def follows(system: str, user: str) -> str:
    """The verdict of an obedient model: 散乱 fails, ``出现X则不通过`` fails X, ``出现X可豁免`` waives X."""
    rules = re.findall(r"^G[1-9]\d*: (.*)$", system, re.MULTILINE)
    causes = {"散乱"} | {found for rule in rules for found in re.findall("出现([^、]+)(?:则不通过|、)", rule)}
    waived = {found for rule in rules for found in re.findall("出现(.+)可豁免", rule)}
    return "fail" if any(cause in user for cause in causes - waived) else "pass"


def config(**reflect: object) -> ReflectConfig:
    whole = load("miniature", "bbu_line", configs=CONFIGS)
    sections = {name: getattr(whole, name) for name in ReflectConfig.model_fields}
    return ReflectConfig(**sections | {"reflect": whole.reflect.model_copy(update={"groups": 1, **reflect})})


class World:
    """Tickets, and a round of learning on the verdicts that an obedient model gave under some guidance."""

    def __init__(self, **counts: tuple[str, str, int]):
        """``name=(summary, label, count)``."""
        made = [ticket(f"{name}-{number}", label, (summary,)) for name, (summary, label, count) in counts.items() for number in range(count)]
        self.tickets = {of.ticket_key: of for of in made}

    def selections(self, guidance: MissionGuidance, cites: str = "G0") -> list[Selection]:
        system = "\n".join(f"{key}: {text}" for key, text in guidance.experiences.items())
        verdicts = [follows(system, next(iter(of.per_image.values()))) for of in self.tickets.values()]
        chosen = [select(of, candidates(of, verdict), NO_GUARD) for of, verdict in zip(self.tickets.values(), verdicts, strict=True)]
        return [selection.model_copy(update={"reason": f"依据({cites})"}) for selection in chosen]

    def learn(
        self, *reflections: str, guidance: MissionGuidance | None = None, cites: str = "G0", cfg: ReflectConfig | None = None, round: int = 1, judges=follows
    ) -> tuple[list[Reflection], MissionGuidance, FakeEngine]:
        """One round. Checks what must hold of every round: its records, read back from their file, replay to the guidance it ends with."""
        guidance = guidance or guidance_of()
        engine = FakeEngine(reflections=reflections, judges=judges)
        records, after = learn(cfg or config(), engine, guidance, self.tickets, self.selections(guidance, cites), Place(1, 0, 1), round)
        assert not engine.reflections, "more reflection answers than calls"
        assert replay(guidance, [Reflection.model_validate(json.loads(dump(record))) for record in records]) == after
        return records, after, engine


def unreadable_fails() -> World:
    """A hidden rule: a label that cannot be read fails."""
    return World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16), messy=(MESSY, "fail", 6))


def answer(*operations: dict, unexplainable: list[int] = []) -> str:
    return json.dumps(
        {"operations": [{"evidence": [1, 2], "rationale": "看案例", **operation} for operation in operations], "unexplainable": unexplainable},
        ensure_ascii=False,
    )


def add(text: str) -> dict:
    return {"op": "add", "text": text}


def test_a_rule_that_explains_errors_is_accepted():
    (life, call), after, engine = unreadable_fails().learn(answer(add(RIGHT_RULE)))
    assert after.experiences["G1"] == RIGHT_RULE and after.step == 1
    (applied,) = call.applied
    assert (applied.key, applied.op.text, len(applied.trial.fixed), applied.trial.broke) == ("G1", RIGHT_RULE, 8, [])
    assert (call.before_step, call.after_step, call.rejected) == (0, 1, [])
    assert after.metadata["G1"].sources == call.operations[0].evidence == call.ticket_keys[:2]
    assert (life.reflection_id, call.reflection_id) == ("r0001-life", "r0001-01")


def test_a_rule_that_breaks_right_verdicts_is_refused_and_its_text_remembered():
    (_, call), after, engine = unreadable_fails().learn(answer(add(WRONG_RULE)))
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
    assert [rejected.why for rejected in call.rejected] == ["rides_on_the_base_rate: p 1.0000"]
    assert list(after.experiences) == ["G0"]


def test_a_planted_wrong_rule_is_deleted_on_reflection():
    world = World(tidy=(TIDY, "pass", 16), messy=(MESSY, "fail", 6))
    (_, call), after, _ = world.learn(answer({"op": "delete", "key": "G1"}), guidance=guidance_of(G1=WRONG_RULE))
    assert list(after.experiences) == ["G0"] and after.removed["G1"].text == WRONG_RULE
    assert [(applied.op.op, applied.key, len(applied.trial.fixed)) for applied in call.applied] == [("delete", None, 16)]
    assert call.directions == {"false_block": 4}


def test_a_planted_wrong_rule_leaves_by_itself_once_its_verdicts_miss():
    world = World(tidy=(TIDY, "pass", 3), messy=(MESSY, "fail", 2))
    (life, call), after, engine = world.learn(answer(), guidance=guidance_of(G1=WRONG_RULE), cites="G1")
    assert life.tallies == {"G1": RuleTally(hits=2, misses=3)} and life.cleaned_up == ["G1"]
    assert (life.before_step, life.after_step, after.step) == (0, 1, 1)
    assert list(after.experiences) == ["G0"] and after.removed["G1"].why == "confidence below threshold"
    assert WRONG_RULE not in engine.calls[0][0]  # reflection sees the guidance without it
    assert call.before_step == 1


def test_a_text_that_was_cleaned_up_does_not_come_back():
    world = unreadable_fails()
    gone = remove(guidance_of(G1=RIGHT_RULE), ["G1"], "confidence below threshold", 1)
    (_, call), after, engine = world.learn(answer(add(RIGHT_RULE)), guidance=gone)
    assert [rejected.why for rejected in call.rejected] == ["removed_before: G1"]
    assert engine.judged == []


def test_a_text_that_was_cleaned_up_is_tried_again_once_something_new_was_learnt():
    world = unreadable_fails()
    gone = remove(guidance_of(G1=RIGHT_RULE), ["G1"], "confidence below threshold", 1)
    learnt, _ = change(gone, Operation(op="add", text="出现避雷器则不通过", evidence=["a::fail"]), "r0001-01", 1)
    (_, call), after, _ = world.learn(answer(add(RIGHT_RULE)), guidance=learnt)
    assert [applied.key for applied in call.applied] == ["G3"] and after.experiences["G3"] == RIGHT_RULE


def test_only_rules_that_the_reason_cites_are_credited():
    guidance = guidance_of(G1="出现机柜则不通过", G2="出现避雷器则不通过")
    (life, _), after, _ = unreadable_fails().learn(answer(), guidance=guidance, cites="G2")
    assert life.tallies == {"G2": RuleTally(hits=22, misses=8)}
    assert (after.metadata["G1"].hit_count, after.metadata["G1"].miss_count) == (0, 0)
    assert (after.metadata["G2"].hit_count, after.metadata["G2"].miss_count, after.metadata["G2"].confidence) == (22, 8, 0.71875)
    assert after.step == guidance.step


def test_what_two_calls_propose_is_tried_once():
    (_, first, second), after, engine = unreadable_fails().learn(answer(add(WRONG_RULE)), answer(add(WRONG_RULE)), cfg=config(groups=2))
    assert [rejected.why for rejected in first.rejected] == ["fixes_too_few: 0"]
    assert [rejected.why for rejected in second.rejected] == ["proposed_twice_this_round"]


def test_an_accepted_text_that_comes_again_is_a_repetition_however_it_is_written():
    (_, first, second), after, _ = unreadable_fails().learn(answer(add(RIGHT_RULE), add(RIGHT_RULE + "。")), answer(add(RIGHT_RULE)), cfg=config(groups=2))
    assert [rejected.why for rejected in first.rejected + second.rejected] == ["proposed_twice_this_round"] * 2
    assert list(after.experiences) == ["G0", "G1"]


def test_no_more_operations_are_tried_in_a_round_than_configured():
    texts = [f"出现第{number}种则不通过" for number in range(5)]
    (_, call), _, engine = unreadable_fails().learn(answer(*map(add, texts)), cfg=config(max_operations=3))
    assert [rejected.why for rejected in call.rejected] == ["fixes_too_few: 0"] * 3 + ["too_many_this_round"] * 2


def test_operations_refused_before_a_trial_do_not_use_it_up():
    operations = [add("标签需复核"), {"op": "delete", "key": "G0"}, {"op": "delete", "key": "G8"}, add(RIGHT_RULE)]
    (_, call), after, _ = unreadable_fails().learn(answer(*operations), cfg=config(max_operations=1))
    assert [rejected.why for rejected in call.rejected] == ["third_state: 需复核", "g0_is_read_only", "unknown_key: G8"]
    assert after.experiences["G1"] == RIGHT_RULE


def test_each_change_is_tried_on_top_of_those_accepted_before_it():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 30), partly=("设备/只显示部分×1", "fail", 8))
    (_, call), after, engine = world.learn(answer(add(RIGHT_RULE), add("出现只显示部分则不通过"), add("有只显示部分或无法识别，出现只显示部分则不通过")))
    assert [applied.key for applied in call.applied] == ["G1", "G2"]
    assert {name.split("-")[0] for name in call.applied[1].trial.fixed} == {"partly"}
    assert [rejected.why for rejected in call.rejected] == ["fixes_too_few: 0"]  # nothing is left for the third to fix
    assert [(call.before_step, call.after_step)] == [(0, 2)]


def test_reflection_learns_from_both_directions_of_error_each_with_its_own_tickets():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16), waived=(MESSY, "pass", 10), broken=("电线/散乱×1，螺丝/缺失×1", "fail", 1))
    (_, release, block), after, engine = world.learn(answer(add(RIGHT_RULE)), answer(add("出现散乱可豁免")))
    assert (release.directions, block.directions) == ({"false_release": 4}, {"false_block": 4})
    assert {name.split("-")[0] for name in release.ticket_keys} == {"unreadable"} and {name.split("-")[0] for name in block.ticket_keys} == {"waived"}
    assert "人工:不通过 模型:通过" in engine.calls[0][1] and "人工:通过 模型:不通过" in engine.calls[1][1]
    assert list(after.experiences) == ["G0", "G1"]  # one right verdict of eleven: the exception rides on the base rate
    assert block.rejected[0].why.startswith("rides_on_the_base_rate")


def test_an_exception_that_explains_false_blocks_is_accepted():
    world = World(waived=(MESSY, "pass", 10), broken=("螺丝/缺失×1", "fail", 20))
    (_, call), after, _ = world.learn(answer(add("出现散乱可豁免")), guidance=guidance_of(G1="出现缺失则不通过"))
    assert [applied.key for applied in call.applied] == ["G2"] and len(call.applied[0].trial.fixed) == 10


def test_tickets_that_go_to_review_still_enter_reflection():
    world = unreadable_fails()
    unsupported = {of.ticket_key for of in world.tickets.values() if is_unsupported(candidates(of, "pass"))}
    (_, *calls), _, _ = world.learn(answer(), answer(), cfg=config(groups=4))
    assert {key for call in calls for key in call.ticket_keys} == {key for key in unsupported if key.startswith("unreadable")}


def test_a_round_without_errors_asks_nothing_and_leaves_one_record():
    (life,), after, engine = World(tidy=(TIDY, "pass", 5), messy=(MESSY, "fail", 5)).learn()
    assert (engine.calls, engine.judged, life.before_step, life.after_step, after.step) == ([], [], 0, 0, 0)


@pytest.mark.parametrize("nonsense", ["", "好的，规则如下：", "[]", '{"operations": "无"}', '{"operations": [], "operations": []}'])
def test_a_model_that_talks_nonsense_changes_nothing(nonsense):
    (_, call), after, engine = unreadable_fails().learn(nonsense)
    assert (call.raw_response, call.operations, call.applied, engine.judged) == (nonsense, [], [], [])
    assert call.unreadable and not call.rejected and after == guidance_of()


def test_a_trial_in_which_the_engine_names_no_verdict_shows_nothing_and_says_so():
    (_, call), after, _ = unreadable_fails().learn(answer({"op": "add", "text": RIGHT_RULE}), judges=lambda system, user: None)
    assert [rejected.why.partition(":")[0] for rejected in call.rejected] == ["no_verdict_in_trial"] and call.applied == []
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
    assert copied and {why.removeprefix("copied_detail: ") for why in copied} <= {key.split("::")[0] for key in call.ticket_keys}


TWO_RULES = {"G1": "出现散开则不通过", "G2": "出现缺失则不通过"}


def with_two_rules() -> World:
    """Two rules that work (they fail what is labelled fail), and one hidden rule that is missing."""
    return World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16), loose=("电线/散开×1", "fail", 6), gone=("螺丝/缺失×1", "fail", 6))


def test_a_merge_that_keeps_every_verdict_is_accepted():
    (_, call), after, _ = with_two_rules().learn(
        answer({"op": "merge", "keys": ["G1", "G2"], "text": "出现散开、出现缺失则不通过"}), guidance=guidance_of(**TWO_RULES)
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
    (_, call), after, _ = world.learn(answer({"op": "update", "key": "G1", "text": RIGHT_RULE}), guidance=guidance_of(G1="出现缺失则不通过"))
    assert [rejected.why for rejected in call.rejected] == ["breaks_other_verdicts: fixed 0, broke 12"]
    assert after.experiences["G1"] == "出现缺失则不通过"


def test_an_update_that_adds_to_what_its_rule_did_is_accepted():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16), gone=("螺丝/缺失×1", "fail", 12))
    (_, call), after, _ = world.learn(
        answer({"op": "update", "key": "G1", "text": "出现无法识别、出现缺失则不通过"}), guidance=guidance_of(G1="出现缺失则不通过")
    )
    assert after.experiences == {**guidance_of().experiences, "G1": "出现无法识别、出现缺失则不通过"}
    assert "出现缺失则不通过" in after.refused


def test_tickets_that_do_not_fit_the_model_count_as_unchanged():
    (_, call), after, _ = unreadable_fails().learn(answer(add(RIGHT_RULE)), judges=lambda system, user: None if "无法识别" in user else "pass")
    assert [rejected.why for rejected in call.rejected] == ["fixes_too_few: 0"]


def test_calls_have_seeds_of_their_own_that_depend_on_seed_round_and_call():
    def seeds(**more) -> list[int]:
        _, _, engine = unreadable_fails().learn(answer(), answer(), cfg=config(groups=2, **more.pop("reflect", {})), **more)
        return [decode.seed for _, _, decode in engine.calls]

    assert len(set(seeds())) == 2 and seeds() == seeds()
    assert not set(seeds()) & set(seeds(round=2)) and not set(seeds()) & set(seeds(reflect={"seed": 18}))


def test_the_same_round_twice_gives_the_same_records():
    twice = [unreadable_fails().learn(answer(add(RIGHT_RULE), add(WRONG_RULE)), answer(add(WRONG_RULE)), cfg=config(groups=2))[0] for _ in range(2)]
    assert [dump(record) for record in twice[0]] == [dump(record) for record in twice[1]]


def test_reflection_and_trials_never_see_a_group_id():
    _, _, engine = unreadable_fails().learn(answer(add(RIGHT_RULE)))
    seen = "".join(system + user for system, user, _ in engine.calls) + "".join(system + user for system, user in engine.judged)
    assert not re.search("unreadable-|tidy-|messy-", seen)


def test_a_trial_sees_no_label():
    world = World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16))
    _, _, engine = world.learn(answer(add(RIGHT_RULE)))
    assert engine.judged and not any("人工" in user for _, user in engine.judged)
    assert len({user for _, user in engine.judged}) == 2  # one prompt for each summary, whatever the label
