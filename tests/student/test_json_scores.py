"""verdicts.student.json_scores: JSON summaries are compared by what they count, whatever the order of their keys."""

import json

import pytest

from verdicts.student.json_scores import is_json, score_json
from verdicts.student.photo_scores import F1

BBU = {"类别": "BBU设备", "品牌": {"华为": 2}, "可见性": {"完整": 1, "部分": 1}}
LABEL = {"类别": "标签", "可读性": {"不可读": 3}}


def text(*entries: dict, **more: object) -> str:
    return json.dumps({"统计": list(entries)} | more, ensure_ascii=False)


WANTED = text(BBU, LABEL)  # 2 categories, 4 values, 4 counts: 10 pieces


def test_the_order_of_entries_keys_and_values_decides_nothing():
    turned = {"可见性": {"部分": 1, "完整": 1}, "品牌": {"华为": 2}, "类别": "BBU设备"}
    assert score_json(text(LABEL, turned), WANTED) == (True, F1(10, 10, 10), F1(0, 0, 0))
    assert score_json("<DOMAIN=BBU>, <TASK=SUMMARY>\n" + WANTED, WANTED).right


@pytest.mark.parametrize(
    ("given", "statistics"),
    [
        (text(BBU, LABEL | {"可读性": {"不可读": 2}}), F1(9, 10, 10)),
        (text(BBU, LABEL | {"可读性": {"不可读": 17953}}), F1(9, 10, 10)),  # a count that ran away costs one piece
        (text(BBU | {"品牌": {"中兴": 2}}, LABEL), F1(8, 10, 10)),
        (text(BBU), F1(7, 7, 10)),
        (text(BBU | {"类别": "挡风板"}, LABEL), F1(3, 10, 10)),
        (text(BBU, LABEL, {"类别": "RRU设备"}), F1(10, 11, 10)),
        (text(BBU, LABEL, 分组统计={"1": 2}), F1(10, 12, 10)),
    ],
)
def test_a_wrong_category_value_or_count_costs_what_it_states(given, statistics):
    assert score_json(given, WANTED) == (False, statistics, F1(0, 0, 0))


def test_remarks_are_compared_apart():
    wanted = text(BBU, 备注=["无法判断品牌", "部分遮挡"])
    assert score_json(text(BBU, 备注=["部分遮挡"]), wanted) == (True, F1(7, 7, 7), F1(1, 1, 2))


def test_groups_count_as_values_do():
    assert score_json(text(LABEL, 分组统计={"1": 2}), text(LABEL, 分组统计={"1": 3})).statistics == F1(4, 5, 5)


@pytest.mark.parametrize("given", ["", "BBU设备/华为,显示完整×2", "无关图片"])
def test_an_answer_in_another_form_finds_nothing(given):
    assert not is_json(given)
    assert score_json(given, WANTED) == (False, F1(0, 0, 10), F1(0, 0, 0))


@pytest.mark.parametrize("given", [WANTED[:-1], WANTED + " x", '{"总数": 3}', "{", text({"品牌": {"华为": 2}})])
def test_json_that_is_not_whole_is_never_right(given):
    assert not is_json(given) and not score_json(given, WANTED).right
