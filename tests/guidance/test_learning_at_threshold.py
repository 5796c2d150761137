"""Learning judges as rollout decides: where a threshold does, trials, credit and halves go by it."""

from math import log

import pytest

from miniature.world.prompts import prompts_of
from tests.support.builders import guidance, ticket
from tests.support.fake_engine import FakeEngine
from tests.support.learning import MESSY, RIGHT_RULE, TIDY, UNREADABLE, World, add, answer, config, follows
from verdicts.base.errors import UserError
from verdicts.config.load import CONFIGS, load
from verdicts.config.sections import DecisionSection
from verdicts.engines import Completion
from verdicts.guidance.credit import tallies_of
from verdicts.guidance.replay import start
from verdicts.measure.rehearsal import judge
from verdicts.stage_b.protocol import render

CHANCE = {"fail": 0.3, "pass": 0.1}  # what an obedient model that is never sure of a fail says


def doubting(engine: FakeEngine, system: str, users: list[str]) -> list[dict[str, float]]:
    chances = [CHANCE[follows(system, user)] for user in users]
    engine.judged += [(system, user) for user in users]
    return [{"pass": log(1 - chance), "fail": log(chance)} for chance in chances]


@pytest.fixture(autouse=True)
def in_doubt(monkeypatch):
    monkeypatch.setattr(FakeEngine, "judge", doubting)


def at(threshold: float | None):
    section = DecisionSection(decision="threshold" if threshold else "majority", threshold=threshold)
    return config().model_copy(update={"rollout": section})


def hidden_rule() -> World:
    return World(unreadable=(UNREADABLE, "fail", 8), tidy=(TIDY, "pass", 16), messy=(MESSY, "fail", 6))


def test_a_trial_goes_by_the_threshold():
    (_, call), after, _ = hidden_rule().learn(answer(add(RIGHT_RULE)), cfg=at(0.2))
    assert after.experiences["G1"] == RIGHT_RULE and len(call.applied[0].trial.fixed) >= 4
    (_, call), after, _ = hidden_rule().learn(answer(add(RIGHT_RULE)), cfg=at(None))
    assert "G1" not in after.experiences and call.rejected[0].why == "fixes_too_few: 0"


@pytest.mark.parametrize(("credit", "of_votes"), [("cited", 11), ("causal", 0)])
def test_credit_goes_by_the_threshold(credit, of_votes):
    """By votes every fail would turn without the rule, those of the checklist too; or none would be the model's."""
    world, rules = hidden_rule(), guidance(G1=RIGHT_RULE)
    section = load("miniature", "bbu_line", configs=CONFIGS).reflect.model_copy(update={"credit": credit})
    chosen = [one for one in world.selections(rules, "G1") if one.group_id not in ("messy-3", "messy-4", "messy-5")]
    hits = []
    for threshold in (0.2, None):
        told = (prompts_of("任务"), rules, chosen, world.tickets, FakeEngine(), {}, section, threshold)
        seen = tallies_of(*told).get("G1")
        hits.append(seen.hits if seen and seen.gives == "fail" else 0)
    assert hits == [8, of_votes]


def test_learning_is_refused_where_a_threshold_is_to_decide_and_has_no_number():
    cfg = config().model_copy(update={"rollout": DecisionSection(decision="threshold", threshold=None)})
    with pytest.raises(UserError, match=r"rollout\.threshold: is empty while rollout.decision is threshold; write a"):
        hidden_rule().learn(cfg=cfg)


def test_halves_and_placebo_decide_as_rollout_does():
    told = load("miniature", "bbu_line", configs=CONFIGS)
    unsure = Completion(render("pass", "齐全(G0)"), {"pass": log(0.7), "fail": log(0.3)}, "stop")
    verdicts = []
    for decision, threshold in (("majority", None), ("threshold", 0.2)):
        section = told.rollout.model_copy(update={"decision": decision, "threshold": threshold})
        engine = FakeEngine([unsure] * 4)
        ((_, chosen),) = judge(
            told.model_copy(update={"rollout": section}), engine, start(told.mission), [ticket("a", "fail", (TIDY,))]
        )
        verdicts.append(chosen.verdict)
    assert verdicts == ["pass", "fail"]
