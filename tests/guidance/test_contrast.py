"""At an epoch's end errors are shown once more, put together by what sets them apart from right verdicts."""

import pytest

from tests.support.learning import MESSY, RIGHT_RULE, TIDY, UNREADABLE, World, add, answer, config
from verdicts.base.jsonl import write_rows
from verdicts.config.tools import ReflectConfig
from verdicts.rounds.unreadable import count_reflections, reflections_of

FLAWED = World(  # two reasons to fail, which chance shows mixed
    unreadable=(f"{TIDY}，{UNREADABLE}", "fail", 8),
    odd=(f"{TIDY}，接地排/已安装×1", "fail", 6),
    tidy=(TIDY, "pass", 24),
)
MIXED = World(messy=(MESSY, "fail", 6), tidy=(TIDY, "pass", 12), odd=(TIDY, "fail", 3))


def with_contrast(features: int = 4, draws: int = 1, level: float = 0.05, **reflect: object) -> ReflectConfig:
    contrast = {"features": features, "draws": draws, "level": level}
    return config(contrast=config().reflect.contrast.model_copy(update=contrast), **reflect)


def test_errors_are_shown_by_what_they_share_and_right_verdicts_lack():
    (_, by_chance, *alike), after, _ = FLAWED.learn(answer(), answer(add(RIGHT_RULE)), answer(), cfg=with_contrast())
    assert by_chance.shared == "" and [call.shared for call in alike] == ["标签", "接地排"]
    assert [{key.split("-")[0] for key in call.ticket_keys} for call in alike] == [{"unreadable"}, {"odd"}]
    assert all(call.directions == {"false_release": 4} for call in alike)
    assert [call.reflection_id for call in (by_chance, *alike)] == ["r0001-01", "r0001-02", "r0001-03"]
    (applied,) = alike[0].applied
    assert after.experiences["G1"] == RIGHT_RULE and len(applied.trial.fixed) == 8


def test_they_are_calls_like_any_other():
    records, _, engine = FLAWED.learn(answer(), answer(), "no JSON", cfg=with_contrast())
    counted = count_reflections(records)
    assert (counted.total, counted.unread) == (3, 1)
    assert len({decode.seed for _, _, decode in engine.calls}) == 3


def test_what_an_accepted_rule_explains_is_not_shown_again():
    (_, _, *alike), after, _ = FLAWED.learn(
        answer(), answer(add(RIGHT_RULE)), answer(), answer(add("出现接地排则不通过")), cfg=with_contrast(draws=3)
    )
    assert [call.shared for call in alike] == ["标签", "接地排", "接地排"]
    assert set(after.experiences) == {"G0", "G1", "G2"}


def test_each_draw_puts_them_together_anew():
    (_, _, *alike), _, _ = FLAWED.learn(*[answer()] * 5, cfg=with_contrast(draws=2, features=2))
    assert len({tuple(call.ticket_keys) for call in alike}) == len(alike) == 4


def test_where_nothing_sets_errors_apart_nothing_is_shown():
    records, _, engine = MIXED.learn(answer(), cfg=with_contrast())
    assert len(records) == 2 and len(engine.calls) == 1


@pytest.mark.parametrize(("cfg", "rounds"), [(with_contrast(features=0), 1), (with_contrast(), 2)])
def test_it_is_turned_off_without_features_and_waits_for_the_end_of_an_epoch(cfg, rounds):
    records, _, _ = FLAWED.learn(answer(), cfg=cfg, rounds_per_epoch=rounds)
    assert len(records) == 2


def test_as_many_proposals_as_in_a_round_are_tried_once_more_and_no_more():
    texts = [answer(add(f"出现{name}则不通过")) for name in ("电线", "捆扎整齐", "捆扎")]
    (_, *calls), _, _ = FLAWED.learn(*texts, cfg=with_contrast(draws=4, max_operations=1))
    assert [rejected.why.partition(":")[0] for call in calls for rejected in call.rejected] == [
        "breaks_too_many", "breaks_too_many", "too_many_this_round"
    ]  # fmt: skip


def test_a_proposal_that_does_not_turn_most_of_what_shares_it_is_refused_untried():
    (_, _, *alike), after, engine = FLAWED.learn(
        answer(), answer(add("出现甲物则不通过")), answer(add(RIGHT_RULE)), cfg=with_contrast()
    )
    assert [call.rejected[0].why for call in alike] == ["explains_no_case"] * 2 and set(after.experiences) == {"G0"}
    assert [call.rejected[0].trial for call in alike] == [None] * 2
    assert len(engine.judged) == 38 + 2 * 4  # what sets errors apart; then the four cases with each proposal


def test_proposals_are_tried_on_tickets_that_no_call_showed():
    world = World(unreadable=(UNREADABLE, "fail", 60), tidy=(TIDY, "pass", 60))
    (_, by_chance, alike), _, _ = world.learn(answer(), answer(add(RIGHT_RULE)), cfg=with_contrast(features=1))
    shown = {*by_chance.ticket_keys, *alike.ticket_keys}
    assert len(shown) > 4 and not shown & set(alike.applied[0].trial.tickets)


def test_a_refused_proposal_of_such_a_call_is_a_candidate_of_the_pool():
    few = World(unreadable=(UNREADABLE, "fail", 5), odd=(TIDY, "fail", 4), tidy=(TIDY, "pass", 24))
    section = config().reflect
    pool = section.pool.model_copy(update={"candidates": 4})
    cfg = with_contrast(features=1, trial=section.trial.model_copy(update={"spend": 0.01}), pool=pool)
    (_, _, alike, pool), after, _ = few.learn(answer(), answer(add(RIGHT_RULE)), cfg=cfg)
    assert alike.shared == "标签" and alike.rejected[0].why.startswith("rides_on_the_base_rate")
    assert pool.reflection_id == "r0001-pool" and after.experiences["G1"] == RIGHT_RULE


def test_what_gave_no_readable_answer_is_not_shown_again_and_the_rest_is():
    (_, _, *alike), _, _ = FLAWED.learn(answer(), "no JSON", answer(), answer(), cfg=with_contrast(draws=2))
    assert [call.shared for call in alike] == ["标签", "接地排", "接地排"]


def test_unreadable_answers_to_what_is_shown_again_do_not_stop_the_loop(tmp_path):
    records, _, _ = FLAWED.learn(answer(), "no JSON", "nor this", cfg=with_contrast())
    write_rows(tmp_path / "reflection.jsonl", records)
    counted, judged = reflections_of(tmp_path), reflections_of(tmp_path, of_chance=True)
    assert (counted.total, counted.unread) == (3, 2) and (judged.total, judged.unread) == (1, 0)


def test_a_model_of_which_nothing_can_be_read_is_not_asked_again():
    records, _, _ = FLAWED.learn(answer(), "no JSON", "nor this", cfg=with_contrast(draws=4))
    assert [record.unreadable for record in records[2:]] == ["not_json: no object in it"] * 2
