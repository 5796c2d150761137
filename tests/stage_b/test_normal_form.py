"""The one normalisation before the strict check: form is forgiven and counted, words are not."""

import random
import time
from pathlib import Path

import pytest

from verdicts.guidance import model_json, reflection
from verdicts.stage_b.protocol import (
    FORGIVEN_FORMS,
    begun_verdict,
    cut_reason,
    normalise,
    parse,
    render,
    strip_thinking,
    third_state_word,
)

GOOD = "Verdict: 不通过\nReason: 缺少地排处接地螺丝(G0)"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Verdict：不通过\nReason：缺少地排处接地螺丝(G0)", ["full_width", "header"]),
        ("Verdict:不通过\nReason:缺少地排处接地螺丝(G0)", ["header"]),
        ("Verdict : 不通过\nReason  :  缺少地排处接地螺丝(G0)", ["header"]),
        ("verdict: 不通过\nREASON: 缺少地排处接地螺丝(G0)", ["header"]),
        ("Verdict: 不通过。\nReason: 缺少地排处接地螺丝(G0)", ["full_stop"]),
        ("Verdict: 不通过.\nReason: 缺少地排处接地螺丝(G0)", ["full_stop"]),
        ("Verdict: 不通过．\nReason: 缺少地排处接地螺丝(G0)", ["full_width", "full_stop"]),
        ("Verdict: 不通過\nReason: 缺少地排处接地螺丝(G0)", ["traditional"]),
        ("**Verdict:** 不通过\n**Reason:** 缺少地排处接地螺丝(G0)", ["bold"]),
        ("**Verdict: 不通过**\n**Reason: 缺少地排处接地螺丝(G0)**", ["bold"]),
        ("**Verdict**: **不通过**\n**Reason**: **缺少地排处接地螺丝(G0)**", ["bold"]),
        ("__Verdict__: __不通过__\n__Reason__: 缺少地排处接地螺丝(G0)", ["bold"]),
        ("Verdict: `不通过`\nReason: 缺少地排处接地螺丝(G0)", ["bold"]),
        ("Verdict: **不通过。**\nReason: 缺少地排处接地螺丝(G0)", ["full_stop", "bold"]),
        ("Verdict: 不通过\r\nReason: 缺少地排处接地螺丝(G0)", ["line_ends"]),
        ("Verdict: 不通过\rReason: 缺少地排处接地螺丝(G0)", ["line_ends"]),
        ("\n\n  Verdict: 不通过\nReason: 缺少地排处接地螺丝(G0)\n \n", ["outer_blanks"]),
        ("Verdict: 不通过 \nReason: 缺少地排处接地螺丝(G0) ", ["outer_blanks"]),
        ("先看照片。</think>\n\nVerdict: 不通过\nReason: 缺少地排处接地螺丝(G0)", ["thinking"]),
        ("</think>Verdict: 不通过\nReason: 缺少地排处接地螺丝(G0)", ["thinking"]),
        ("<think></think>\nVerdict: 不通过\nReason: 缺少地排处接地螺丝(G0)", ["thinking"]),
        (
            "<think>\n草稿\nVerdict: 通过\nReason: 草稿</think>Verdict: 不通过\nReason: 缺少地排处接地螺丝(G0)",
            ["thinking"],
        ),
        ("Verdict: 通过\nReason: 草稿\n</think>\nVerdict: 不通过\nReason: 缺少地排处接地螺丝(G0)", ["thinking"]),
        ("Ｖｅｒｄｉｃｔ： 不通过\nＲｅａｓｏｎ： 缺少地排处接地螺丝(G0)", ["full_width"]),
        ("Verdict:\u3000不通过\nReason:\u3000缺少地排处接地螺丝(G0)", ["full_width"]),
        ("```\nVerdict: 不通过\nReason: 缺少地排处接地螺丝(G0)\n```", ["fence"]),
        ("```text\nVerdict: 不通过\nReason: 缺少地排处接地螺丝(G0)\n```\n", ["fence"]),
        ("~~~\nVerdict: 不通过\nReason: 缺少地排处接地螺丝(G0)\n~~~", ["fence"]),
        ("\ufeffVerdict: 不通过\nReason: 缺少地排处接地螺丝(G0)", ["invisible"]),
        ("\u200bVerdict:\u200b 不通过\nReason: 缺少地排处接地螺丝(G0)", ["invisible"]),
        (
            "</think>\r\n\r\n```\r\n**Verdict**：不通過。\r\n**Reason**：缺少地排处接地螺丝(G0)\r\n```",
            ["line_ends", "thinking", "fence", "full_width", "full_stop", "traditional", "bold", "header"],
        ),
    ],
)
def test_what_is_wrong_in_form_alone_is_read_and_each_kind_is_counted(text, kinds):
    normal = normalise(text)
    assert normal.text == GOOD
    assert normal.forgiven == kinds and set(kinds) <= set(FORGIVEN_FORMS)
    assert normalise(normal.text) == (GOOD, [])


def test_every_kind_that_is_documented_is_one_that_happens():
    seen = {
        kind
        for mark in test_what_is_wrong_in_form_alone_is_read_and_each_kind_is_counted.pytestmark
        for _, kinds in mark.args[1]
        for kind in kinds
    }
    assert seen == set(FORGIVEN_FORMS)


def test_every_kind_of_verdict_and_reflection_is_explained_in_the_docs():
    page = (Path(__file__).resolve().parents[2] / "docs" / "answers.md").read_text(encoding="utf-8")
    assert [
        kind
        for kind in {**FORGIVEN_FORMS, **model_json.FORGIVEN_JSON, **reflection.FORGIVEN_FIELDS}
        if f"`{kind}`" not in page
    ] == []
    assert [kind for kind in FORGIVEN_FORMS if f"| `{kind}` | " not in page] == []


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", " ", " \n"])
@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_a_normal_answer_is_kept_and_counts_nothing(verdict, end):
    text = render(verdict, "两处**螺丝**齐全：标签　清楚 (G0)")
    assert normalise(text + end) == (text, [])


@pytest.mark.parametrize(
    "reason",
    [
        "缺少**地排处**接地螺丝",
        "**缺少**螺丝与**标签**",
        "甲</think>乙",
        "全角：字母Ａ，　空白",
        "verdict: 不通过",
        "`G0` 未满足",
        "5.5米。共2处",
        "缺少__",
    ],
)
def test_the_reason_itself_is_kept_to_the_letter(reason):
    assert normalise(f"Verdict：不通过\nReason：{reason}").text == f"Verdict: 不通过\nReason: {reason}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("\ufeff \n", "empty"),
        ("<think>想了很久</think>", "empty"),
        ("<think>想了很久", "no_verdict"),
        ("结论：通过\nReason: 齐全", "no_verdict"),
        ("通过\nReason: 齐全", "no_verdict"),
        ("Verdict: 合格\nReason: 齐全", "no_verdict"),
        ("Verdict: 未通过\nReason: 齐全", "no_verdict"),
        ("Verdict: 不不通过\nReason: 齐全", "no_verdict"),
        ("Verdict: 通过吧\nReason: 齐全", "no_verdict"),
        ("Verdict: 通过 或 不通过\nReason: 齐全", "no_verdict"),
        ("Verdict: 通过，Reason: 齐全", "no_verdict"),
        ("答案如下：\nVerdict: 通过\nReason: 齐全", "no_verdict"),
        ("**Verdict**：通过\n理由：齐全", "no_reason"),
        ("Verdict：通过\n\nReason：齐全", "no_reason"),
        ("Verdict：通过\nReason：", "no_reason"),
        ("Verdict：通过\nReason：**", "no_reason"),
        ("Verdict：通过\nReason：齐全\n补充", "extra_lines"),
        ("```\nVerdict：通过\nReason：齐全\n```\n以上", "no_verdict"),
        ("Verdict：通过\r\nReason：齐全\r\nVerdict：不通过", "extra_lines"),
        ("Verdict：通过但需复核\nReason：齐全", "third_state"),
        ("Verdict：需複核\nReason：齐全", "third_state"),
        ("Verdict：待覆核\nReason：齐全", "third_state"),
        ("Verdict：不通過\nReason：證據不足", "third_state"),
        ("Verdict：无法判定\nReason：看不清", "third_state"),
        ("Verdict: ＮＥＥＤ－ＲＥＶＩＥＷ\nReason: 看不清", "third_state"),
    ],
)
def test_words_and_further_lines_are_refused_all_the_same(text, why):
    assert parse(normalise(text).text) == (None, None, why)


def test_third_state_words_are_the_same_in_traditional_and_full_width_writing():
    assert third_state_word("證據不足") and third_state_word("無法判定") and third_state_word("ｎｅｅｄ　ｒｅｖｉｅｗ")
    assert third_state_word("线缆覆盖螺丝、重复标签") is None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Verdict：不通过", "fail"),
        ("**Verdict:** 通过。\nRea", "pass"),
        ("想了想</think>\nVerdict: 通過\nReason", "pass"),
        ("Verdict: 通过\nReason: 齐", "pass"),
        ("Verdict: 通", None),
        ("Verdict: 需复核", None),
        ("Verdict: 通过\nReason: 证据不足", None),
        ("通过", None),
        ("", None),
    ],
)
def test_a_trial_reads_the_verdict_of_an_answer_that_was_cut_behind_it(text, verdict):
    assert begun_verdict(text) == verdict


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>甲</think>\n\n{}", "{}"),
        ("甲</think>{}", "{}"),
        ("甲</think>乙</think>```json\n{}", "```json\n{}"),
        ("甲</think>答案：{}", "答案：{}"),
        ("<think>甲</think>", ""),
        ("{}", "{}"),
        ('{"a": "</think>"}', '{"a": "</think>"}'),
        ('<think>x</think>{"a": "</think>乙"}', '{"a": "</think>乙"}'),
    ],
)
def test_thinking_ends_where_the_answer_begins(text, rest):
    assert strip_thinking(text) == rest


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("缺少螺丝(G0)。标签看不", "缺少螺丝(G0)。"),
        ("缺少螺丝；标签看不清；因为", "缺少螺丝；标签看不清；"),
        ("缺少螺丝，标签看不", "缺少螺丝"),
        ("缺少螺丝，标签不清，因", "缺少螺丝，标签不清"),
        ("缺少螺丝和标", "缺少螺丝和标"),
        ("长3.5米，共", "长3.5米"),
        ("It is missing. The oth", "It is missing."),
        ("，甲", "，甲"),
        ("缺少螺丝。", "缺少螺丝。"),
    ],
)
def test_a_cut_reason_ends_at_its_last_whole_sentence_else_clause(reason, kept):
    assert cut_reason(reason) == kept


def test_noise_never_takes_long_and_what_is_normal_stays_so():
    rng = random.Random(7)
    parts = [
        "Verdict",
        ":",
        "：",
        "通过",
        "不通过",
        "\n",
        "\r\n",
        "Reason",
        "**",
        "__",
        "`",
        "```",
        " ",
        "。",
        "</think>",
        "<think>",
        "需复核",
        "甲",
        "\ufeff",
        "　",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(parts, k=rng.randint(0, 25)))
        normal = normalise(text)
        assert normalise(normal.text).text == normal.text or parse(normal.text).why
        assert normal.forgiven or normal.text == text.rstrip()
    started = time.process_time()  # of this process alone: a busy machine does not count
    for hostile in (
        " " * 100_000,
        "*" * 100_000,
        "Verdict: 通过" + " " * 100_000 + "x",
        "</think>" * 20_000,
        "Verdict:" * 20_000,
        "```\n" + " \n" * 50_000,
        "Reason: " + "*" * 100_000,
    ):
        normalise(hostile)
    assert time.process_time() - started < 2
