"""Errors that are shown again until a proposal explains them, and proposals that turn none of the cases they saw."""

from tests.support.learning import RIGHT_RULE, TIDY, UNREADABLE, WRONG_RULE, World, add, answer, config

USELESS = "出现挡风板则不通过"
BOTH_WAYS = World(
    unreadable=(UNREADABLE, "fail", 8),
    tidy=(TIDY, "pass", 16),
    gone=("螺丝/散乱×1", "pass", 8),
    bad=("电线/散乱×1", "fail", 9),
)


def unreadable_fails(count: int = 8) -> World:
    """A hidden rule: a label that cannot be read fails."""
    return World(unreadable=(UNREADABLE, "fail", count), tidy=(TIDY, "pass", 16))


def test_the_same_errors_are_shown_again_until_a_proposal_is_accepted_and_then_no_more():
    (_, *calls), after, engine = unreadable_fails().learn(
        answer(), answer(add(USELESS)), answer(add(RIGHT_RULE)), cfg=config(draws=5)
    )
    assert [call.reflection_id for call in calls] == ["r0001-01", "r0001-02", "r0001-03"]
    assert [len(call.applied) for call in calls] == [0, 0, 1] and after.experiences["G1"] == RIGHT_RULE
    assert len({call.ticket_keys[0] for call in calls} | {tuple(call.ticket_keys) for call in calls}) > 3
    assert {key for call in calls[1:] for key in call.ticket_keys} <= set(calls[0].ticket_keys)
    assert len({decode.seed for _, _, decode in engine.calls}) == 3


def test_a_direction_of_error_that_a_proposal_was_accepted_against_is_not_shown_again_but_the_other_is():
    (_, *calls), _, _ = BOTH_WAYS.learn(answer(add(RIGHT_RULE)), answer(), answer(), cfg=config(draws=2))
    assert [call.directions for call in calls] == [{"false_release": 4}, {"false_block": 4}, {"false_block": 4}]
    assert [call.before_step for call in calls] == [0, 1, 1]


def test_the_limit_of_operations_a_round_holds_for_all_draws_together():
    (_, *calls), _, _ = unreadable_fails().learn(
        answer(add("出现甲物则不通过")), answer(add("出现乙物则不通过")), cfg=config(draws=4, max_operations=2)
    )
    assert [[rejected.why for rejected in call.rejected] for call in calls] == [["fixes_too_few: 0"]] * 2


def test_a_text_that_comes_again_in_a_later_draw_is_tried_once():
    (_, *calls), _, _ = unreadable_fails().learn(answer(add(WRONG_RULE)), answer(add(WRONG_RULE)), cfg=config(draws=2))
    assert [rejected.why for call in calls for rejected in call.rejected] == [
        "fixes_too_few: 0",
        "proposed_twice_this_round",
    ]


def test_a_proposal_that_turns_none_of_the_cases_it_was_made_of_is_refused_without_a_trial():
    cfg = config()
    cfg = config(trial=cfg.reflect.trial.model_copy(update={"explains": 1}))
    (_, call), after, engine = unreadable_fails().learn(answer(add(WRONG_RULE), add(RIGHT_RULE)), cfg=cfg)
    (rejected,) = call.rejected
    assert (rejected.why, rejected.trial, rejected.remembered) == ("explains_no_case", None, False)
    assert after.experiences == {"G0": after.experiences["G0"], "G1": RIGHT_RULE} and after.refused == {}
    # the four cases without any proposal and with each; then, of the sample of 8 + 16, the 20 that are new without the
    # right one, and all with it
    assert len(engine.judged) == 4 + 4 + 4 + 20 + 24
