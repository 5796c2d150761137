"""The two-line protocol: two lines, two words, nothing else."""

import pytest

from tests.support.builders import drawn_rows
from verdicts.stage_b.protocol import (
    THIRD_STATE,
    cited_rules,
    clean_summary,
    parse,
    render,
    strip_thinking,
    third_state_word,
)


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_what_is_rendered_reads_back(verdict):
    assert parse(render(verdict, "缺少地排处接地螺丝(G0)")) == (verdict, "缺少地排处接地螺丝(G0)", None)


def test_the_verdict_words_stand_in_model_text_as_agreed():
    assert render("pass", "齐全") == "Verdict: 通过\nReason: 齐全"
    assert render("fail", "缺失") == "Verdict: 不通过\nReason: 缺失"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("  \n ", "empty"),
        ("说不清", "no_verdict"),
        ("通过\nReason: 齐全", "no_verdict"),
        ("Verdict: 可以\nReason: 齐全", "no_verdict"),
        ("Verdict: 通过吧\nReason: 齐全", "no_verdict"),
        (" Verdict: 通过\nReason: 齐全", "no_verdict"),
        ("verdict: 通过\nReason: 齐全", "no_verdict"),
        ("Verdict: 通过\r\nReason: 齐全", "no_verdict"),
        ("Verdict: 通过", "no_reason"),
        ("Verdict: 通过\nReason: ", "no_reason"),
        ("Verdict: 通过\n理由: 齐全", "no_reason"),
        ("Verdict: 通过\n\nReason: 齐全", "no_reason"),
        ("Verdict: 通过\nReason: 齐全\n补充", "extra_lines"),
        ("Verdict: 通过\nReason: 齐全\n\nVerdict: 不通过", "extra_lines"),
        ("Verdict: 通过但需复核\nReason: 齐全", "third_state"),
        ("Verdict: 需复核\nReason: 齐全", "third_state"),
        ("Verdict: 不通过\nReason: 证据不足", "third_state"),
        ("Verdict: 通过\nReason: Need-Review", "third_state"),
    ],
)
def test_anything_else_is_malformed_and_says_why(text, why):
    assert parse(text) == (None, None, why)


@pytest.mark.parametrize("word", THIRD_STATE)
def test_every_third_state_word_is_found_in_any_case(word):
    assert third_state_word(f"前{word.upper()}后") is not None


def test_a_line_end_at_the_end_is_forgiven():
    assert parse("Verdict: 通过\nReason: 齐全\n").verdict == "pass"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("BBU设备/需复核备注:无法判断品牌×1", "BBU设备/备注:无法判断品牌×1"),
        ("BBU设备/需复核,备注:无法判断×1", "BBU设备/备注:无法判断×1"),
        ("需复核", ""),
        ("标签/NR900\n电线/散乱×1", "标签/NR900 电线/散乱×1"),
        ("标签/备注:看不清", "标签/备注:看不清"),
        ("电线/捆扎整齐×1", "电线/捆扎整齐×1"),
    ],
)
def test_the_marker_goes_and_the_remark_stays(text, cleaned):
    assert clean_summary(text) == cleaned


@pytest.mark.parametrize("mission", ["bbu_line", "bbu_cable", "bbu_wind", "bbu_install"])
def test_no_marker_is_left_in_any_summary_and_nothing_else_is_lost(mission):
    texts = [text for row in drawn_rows(mission, 200) for text in row["per_image"].values()]
    assert any("复核" in text for text in texts) and any("复核" not in text for text in texts)
    for text in texts:
        cleaned = clean_summary(text)
        assert third_state_word(cleaned) is None
        assert "\n" not in cleaned
        if "复核" not in text:
            assert cleaned == " ".join(text.split())


@pytest.mark.parametrize(
    ("reason", "keys"),
    [
        ("缺少螺丝(G0)；标签无法识别(G12)", ["G0", "G12"]),
        ("(G2)(G1)(G2)", ["G2", "G1"]),
        ("5G设备、NG1口、BBUG3", []),
        ("没有依据", []),
    ],
)
def test_a_reason_credits_the_rules_it_cites(reason, keys):
    assert cited_rules(reason) == keys


def test_thinking_before_the_answer_is_dropped_and_only_there():
    assert strip_thinking("<think>\n甲</think>\n\nVerdict: 通过") == "Verdict: 通过"
    assert strip_thinking("Verdict: 通过<think>x</think>") == "Verdict: 通过<think>x</think>"
