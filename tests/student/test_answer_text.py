"""verdicts.student.answer_text: what stands around the facts of an answer is taken off, and said."""

import json

import pytest

from verdicts.student.answer_text import as_line

LINE = "<DOMAIN=BBU>, <TASK=SUMMARY>"
COUNTED = {"统计": [{"类别": "标签", "可读性": {"不可读": 2}}], "备注": ["模糊"]}


@pytest.mark.parametrize(
    ("answer", "line", "mended"),
    [
        ("标签/无法识别×1", "标签/无法识别×1", []),
        (" 电线/散乱×1，\n备注: 无\u2028", "电线/散乱×1， 备注: 无", []),
        (f"{LINE}\n标签/无法识别×1\n", "标签/无法识别×1", ["prefix"]),
        (f"```json\n{LINE}\n标签/无法识别×1\n```", "标签/无法识别×1", ["frame", "prefix"]),
        ("无关图片", "无关图片", []),
        ("无关图片×1", "无关图片×1", []),
        ("无关图片，这是一张图纸", "无关图片", ["irrelevant"]),
        (f"{LINE}\n无关图片。", "无关图片", ["prefix", "irrelevant"]),
        ('{"image_1": "电线/散乱×1", "image_2": "光纤×1"}', "电线/散乱×1", ["photos"]),
        (f"{LINE}\n", "", ["prefix"]),
    ],
)
def test_what_stands_around_the_facts_is_taken_off_and_said(answer, line, mended):
    assert as_line(answer) == (line, mended)


@pytest.mark.parametrize("indent", [None, 2])
def test_json_over_several_lines_is_the_same_json_on_one(indent):
    found = as_line(f"{LINE}\n{json.dumps(COUNTED, ensure_ascii=False, indent=indent)}")
    assert json.loads(found.line) == COUNTED and "\n" not in found.line and found.mended == ["prefix"]
    of_two = json.dumps({"图片_1": COUNTED, "图片_2": COUNTED}, ensure_ascii=False, indent=indent)
    assert json.loads(as_line(of_two).line) == COUNTED
