"""What of an answer becomes the verdict: read strictly, then the threshold, then the guard."""

import math

import pytest
from pydantic import ValidationError

from tests.support.builders import MISSION
from verdicts.config.sections import FailFirst, PredictSection
from verdicts.prediction.counts import PredictionCounts, count_sentence, warning
from verdicts.prediction.decide import Answered, by_photo, decide
from verdicts.records.predictions import NewTicket, Prediction, PredictionsAsked
from verdicts.stage_b.protocol import render
from verdicts.stage_b.threshold import p_fail

NO_GUARD = FailFirst(enabled=False, negatives=[])
GUARD = FailFirst(enabled=True, negatives=[["电线", "散乱"]])
PASS, FAIL = render("pass", "符合要求(G0)"), render("fail", "缺少标签(G1)")
# ln 0.2 and ln 0.6: of the two verdicts fail has 0.6 / 0.8 = 0.75
SURE = (math.log(0.2), math.log(0.6))


def ticket(*summaries: str, **fields: object) -> NewTicket:
    per_image = {f"image_{at}": text for at, text in enumerate(summaries, start=1)}
    images = [f"{at}.jpg" for at in range(1, len(summaries) + 1)]
    return NewTicket(**({"group_id": "a", "mission": MISSION, "images": images, "per_image": per_image} | fields))


def knobs(threshold: float | None = None, reason: str = "plain") -> PredictSection:
    decision = "majority" if threshold is None else "threshold"
    return PredictSection(decision=decision, threshold=threshold, reason=reason, window=8)


def said(text: str, logprob=SURE, finish="stop", threshold=None, guard=NO_GUARD, reason="plain") -> Prediction:
    return decide(ticket("电线/散乱×1"), Answered(text, finish, logprob), knobs(threshold, reason), guard)


def test_the_probability_of_fail_is_its_share_of_the_two_verdicts():
    assert p_fail(SURE) == pytest.approx(0.75)
    assert p_fail((0.0, -1000.0)) == 0.0 and p_fail((-1000.0, 0.0)) == 1.0
    assert p_fail(None) is None


@pytest.mark.parametrize(
    ("text", "threshold", "verdict", "by"),
    [
        (PASS, None, "pass", "model"),
        (FAIL, None, "fail", "model"),
        (PASS, 0.75, "fail", "threshold"),
        (PASS, 0.76, "pass", "model"),
        (FAIL, 0.75, "fail", "model"),
        (FAIL, 0.76, "pass", "threshold"),
    ],
)
def test_without_a_threshold_the_model_decides_with_one_its_probability(text, threshold, verdict, by):
    found = said(text, threshold=threshold)
    assert (found.verdict, found.decided_by, found.p_fail, found.threshold) == (verdict, by, 0.75, threshold)
    assert found.lines == render(verdict, found.reason) and found.answer == text


def test_a_turned_verdict_says_so_with_the_reason_that_the_model_gave():
    assert said(PASS, threshold=0.5).reason == "不通过概率0.7500达到阈值0.5，原判通过，理由：符合要求(G0)"
    assert said(FAIL, threshold=0.9).reason == "不通过概率0.7500低于阈值0.9，原判不通过，理由：缺少标签(G1)"


@pytest.mark.parametrize(("text", "threshold"), [(PASS, None), (FAIL, 0.9)])
def test_a_pass_of_the_model_or_of_the_threshold_falls_to_an_explicit_negative(text, threshold):
    found = said(text, threshold=threshold, guard=GUARD)
    assert (found.verdict, found.decided_by, found.said) == ("fail", "guard", "pass" if text == PASS else "fail")
    assert found.reason == "image_1 出现明确负项：电线/散乱×1(G0)"


@pytest.mark.parametrize(
    ("text", "finish", "logprob", "threshold", "why"),
    [
        ("", "stop", None, None, "empty"),
        ("通过", "stop", None, None, "no_verdict"),
        ("Verdict: 通过", "stop", SURE, None, "no_reason"),
        (f"{PASS}\n多一行", "stop", SURE, None, "extra_lines"),
        (render("pass", "待定"), "stop", SURE, None, "third_state"),
        (PASS, "length", SURE, None, "cut_off"),
        ("", "over_length", None, None, "over_length"),
        (PASS, "stop", None, 0.5, "no_probability"),
    ],
)
def test_what_cannot_be_read_is_no_verdict_and_says_why(text, finish, logprob, threshold, why):
    found = said(text, logprob, finish, threshold)
    assert (found.verdict, found.reason, found.lines, found.decided_by, found.why) == (None, None, None, None, why)
    assert found.answer == text and found.detail


def test_a_ticket_without_any_summary_is_not_asked_and_names_what_is_missing():
    lost = [{"image": "1.jpg", "reason": "empty_summary", "detail": "image_1 says nothing"}]
    found = decide(ticket(missing=lost), None, knobs(), GUARD)
    assert (found.verdict, found.why, found.answer) == (None, "no_photo_left", "")
    assert found.detail == "1 photos missing: empty_summary"


def test_the_reason_form_of_production_names_each_photo_and_ends_with_the_reason():
    assert by_photo({"image_1": "电线×1; 标签×2", "image_2": "BBU设备×1"}, "缺少标签") == (
        "Image1: 电线×1， 标签×2; Image2: BBU设备×1; 总结: 缺少标签"
    )
    found = said(PASS, reason="photos")
    assert found.reason == "Image1: 电线/散乱×1; 总结: 符合要求(G0)" and found.lines == render("pass", found.reason)


def test_a_row_with_a_verdict_and_a_reason_why_there_is_none_is_refused():
    row = said(PASS).model_dump()
    with pytest.raises(ValidationError, match="no verdict has why"):
        Prediction.model_validate(row | {"why": "empty"})


def test_the_counts_add_up_in_the_sentence_and_no_ticket_without_a_verdict_passes_in_silence():
    tally = PredictionCounts()
    for row in (said(PASS), said(FAIL), said(PASS, guard=GUARD), said("通过"), said("")):
        tally.take(row)
    asked = PredictionsAsked(
        student="s", sha256="0", mission=MISSION, guidance_step=1, prompts={}, threshold=None, rows=7,
        verdicts=dict(tally.verdicts), without=dict(tally.without), refused={"not_json": 2},
        decided_by=dict(tally.decided_by), missing={}, labels_unread=3,
    )  # fmt: skip
    assert count_sentence(asked) == (
        "predict s: 7 in = 3 verdicts (1 pass, 2 fail) + 2 without + 2 refused; overridden: 1 by guard; "
        "labels not read: 3"
    )
    assert warning(asked) == (
        "predict: WARNING: 2 (1 no_verdict, 1 empty) of 7 tickets have NO verdict: a person has to look"
    )
