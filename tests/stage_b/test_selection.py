"""From candidates to one verdict."""

import pytest

from tests.support.builders import NO_GUARD, candidate, candidates, ticket
from verdicts.config.sections import FailFirst
from verdicts.stage_b.protocol import parse, render, third_state_word
from verdicts.stage_b.selection import explicit_negative, majority, select

GUARD = FailFirst(enabled=True, negatives=[["机柜处接地螺丝", "不符合要求"]])
BAD_SCREW = "螺丝、光纤插头/机柜处接地螺丝,不符合要求×1"


@pytest.mark.parametrize(
    ("votes", "verdict", "strength"),
    [
        ("pass pass pass pass", "pass", 1.0),
        ("pass pass pass fail", "pass", 0.75),
        ("pass pass fail fail", "fail", 0.5),
        ("fail pass", "fail", 0.5),
        ("pass", "pass", 1.0),
        ("fail fail pass", "fail", 0.666667),
        ("pass pass fail", "pass", 0.666667),
    ],
)
def test_the_majority_wins_and_a_tie_fails(votes, verdict, strength):
    assert majority(votes.split()) == (verdict, strength)


def test_a_tie_is_marked_and_a_majority_is_not():
    assert select(ticket("a"), candidates(ticket("a"), "pass fail"), NO_GUARD).warnings == ["tie_fail_first"]
    assert select(ticket("a"), candidates(ticket("a"), "pass fail fail"), NO_GUARD).warnings == []
    assert select(ticket("a"), candidates(ticket("a"), "fail fail"), NO_GUARD).warnings == []


def test_malformed_candidates_do_not_vote():
    chosen = select(ticket("a"), candidates(ticket("a"), "bad fail bad pass pass bad"), NO_GUARD)
    assert (chosen.verdict, chosen.vote_strength) == ("pass", 0.666667)
    assert chosen.candidates.model_dump() == {"pass": 2, "fail": 1, "malformed": 3}


def test_the_first_candidate_of_the_winning_verdict_speaks_for_the_ticket():
    of = ticket("a", "fail")
    chosen = select(of, candidates(of, "bad pass fail fail", round=3, epoch=2, step=5), NO_GUARD)
    assert (chosen.selected_candidate, chosen.reason) == (2, candidate(of, "fail", index=2).reason)
    assert (chosen.round, chosen.epoch, chosen.guidance_step) == (3, 2, 5)


def test_a_ticket_without_a_valid_candidate_has_no_selection():
    assert select(ticket("a"), candidates(ticket("a"), "bad bad"), NO_GUARD) is None


@pytest.mark.parametrize("summary", ["螺丝、光纤插头/机柜处接地螺丝,符合要求×1", BAD_SCREW])
@pytest.mark.parametrize("votes", ["pass pass fail", "fail fail pass", "pass fail", "bad pass"])
def test_the_label_is_written_beside_the_verdict_and_never_used_to_choose_it(votes, summary):
    both = [ticket("a", label, (summary,)) for label in ("pass", "fail")]
    chosen = {of.label: select(of, candidates(of, votes), GUARD) for of in both}
    apart = {"ticket_key", "label", "label_match"}
    assert chosen["pass"].model_dump(exclude=apart) == chosen["fail"].model_dump(exclude=apart)
    assert chosen["pass"].label_match == (chosen["pass"].verdict == "pass")
    assert chosen["fail"].label_match == (chosen["fail"].verdict == "fail")


def test_the_guard_overrides_a_pass_and_rewrites_the_reason():
    of = ticket("a", "fail", ("BBU设备/华为×1", f"标签/无法识别×1，{BAD_SCREW}"))
    chosen = select(of, candidates(of, "pass pass pass fail"), GUARD)
    assert (chosen.verdict, chosen.label_match, chosen.selected_candidate) == ("fail", True, 4)
    assert chosen.reason == f"image_2 出现明确负项：{BAD_SCREW}(G0)"
    assert (chosen.warnings, chosen.vote_strength) == (["fail_first_override"], 0.75)


def test_the_guard_speaks_of_one_fact_of_a_summary_in_json():
    json = '{"统计": [{"类别": "机柜处接地螺丝", "符合性": {"符合": 2, "不符合": 1}}, {"类别": "电线"}]}'
    of = ticket("a", "fail", ("电线×1", json))
    chosen = select(of, candidates(of, "pass"), GUARD)
    assert chosen.reason == "image_2 出现明确负项：机柜处接地螺丝/符合性=不符合×1(G0)"
    assert parse(render(chosen.verdict, chosen.reason)) == ("fail", chosen.reason, None)


def test_the_guard_leaves_a_fail_and_its_reason_alone():
    of = ticket("a", "fail", (BAD_SCREW,))
    chosen = select(of, candidates(of, "pass fail"), GUARD)
    assert (chosen.selected_candidate, chosen.warnings) == (1, ["tie_fail_first"])


@pytest.mark.parametrize(
    "summary",
    [
        "螺丝/机柜处接地螺丝,符合要求×1，螺丝/地排处接地螺丝,不符合要求×1",  # the words stand in two segments
        "螺丝/机柜处接地螺丝,符合要求×1；BBU安装螺丝,不符合要求×1",
        "螺丝/机柜处接地螺丝,符合要求×1",
        "备注:不符合要求",
    ],
)
def test_a_negative_needs_all_its_words_in_one_segment(summary):
    assert explicit_negative(ticket("a", summaries=(summary,)), GUARD) is None
    assert explicit_negative(ticket("a", summaries=(BAD_SCREW,)), GUARD) == ("image_1", BAD_SCREW)


def test_a_guard_that_is_switched_off_overrides_nothing():
    of = ticket("a", "fail", (BAD_SCREW,))
    off = GUARD.model_copy(update={"enabled": False})
    assert select(of, candidates(of, "pass"), off).verdict == "pass"


@pytest.mark.parametrize(
    ("segment", "shown"),
    [
        (
            "机柜处接地螺丝,不符合要求/需复核备注:松动×1",
            "：机柜处接地螺丝,不符合要求/备注:松动×1",
        ),  # marker cleaned, remark kept
        ("机柜处接地螺丝,不符合要求,结论待定×1", ""),
        ("机柜处接地螺丝,不符合要求,证据不足×1", ""),
        ("机柜处接地螺丝,不符合要求" + "很长" * 60, "：机柜处接地螺丝,不符合要求" + ("很长" * 60)[:47]),
        ("机柜处接地螺丝,\n不符合要求", "：机柜处接地螺丝, 不符合要求"),
    ],
)
def test_no_third_state_word_and_no_line_end_enters_the_reason_a_guard_writes(segment, shown):
    of = ticket("a", "fail", (segment,))
    chosen = select(of, candidates(of, "pass"), GUARD)
    assert chosen.reason == f"image_1 出现明确负项{shown}(G0)"
    assert third_state_word(chosen.reason) is None
    assert parse(render(chosen.verdict, chosen.reason)) == ("fail", chosen.reason, None)


def test_a_whole_reason_speaks_before_a_cut_one_and_a_cut_one_is_flagged():
    of = ticket("a")
    rows = candidates(of, "pass pass fail")
    cut = [rows[0].model_copy(update={"cut": True}), *rows[1:]]
    assert (select(of, cut, NO_GUARD).selected_candidate, select(of, cut, NO_GUARD).warnings) == (1, [])
    all_cut = [row.model_copy(update={"cut": True}) for row in rows]
    assert (select(of, all_cut, NO_GUARD).selected_candidate, select(of, all_cut, NO_GUARD).warnings) == (
        0,
        ["reason_cut"],
    )
