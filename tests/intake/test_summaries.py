"""What is put right in one summary."""

import pytest

from verdicts.intake.summaries import mended_summary

V2 = {"统计": [{"类别": "紧固件", "安装状态": {"合格": 2, "不合格": 12720}}], "备注": ["×5000"]}


@pytest.mark.parametrize(
    ("given", "text", "kinds"),
    [
        ("标签/可读×12，电线/捆扎整齐×1", "标签/可读×12，电线/捆扎整齐×1", []),
        ("标签无法识别×10151", "标签无法识别×999", ["count"]),
        ("标签无法识别×10011，标签无法识别××1", "标签无法识别×999，标签无法识别××1", ["count"]),
        ("标签/x×1000 ，电线×999", "标签/x×999 ，电线×999", ["count"]),
        ("标签/3×1500平方×1", "标签/3×1500平方×1", []),  # a size on a label, not a count
        ("电线×" + "9" * 5000, "电线×999", ["count"]),
        ("<DOMAIN=BBU>, <TASK=SUMMARY>\n电线×1", "电线×1", ["prefix"]),
        ("<DOMAIN=RRU>,<TASK=SUMMARY> 电线×1", "电线×1", ["prefix"]),
        ('"无关图片"', "无关图片", ["wrapped_summary"]),
        ('"\\"电线×1\\""', "电线×1", ["wrapped_summary", "wrapped_summary"]),
        ('"电线', '"电线', []),
        ({"类别": "电线"}, '{"类别": "电线"}', ["json_summary"]),
        ([{"类别": "电线"}], '[{"类别": "电线"}]', ["json_summary"]),
        ('{\n "类别": "电线"\n}', '{"类别": "电线"}', ["json_summary"]),
        ('{"类别":"电线"}', '{"类别":"电线"}', []),
        ('{"类别": ', '{"类别": ', []),
        ('"{\\"数量\\": 1000}"', '{"数量": 999}', ["wrapped_summary", "count"]),
        ('<DOMAIN=BBU>, <TASK=SUMMARY>\n{"a": 1}', '{"a": 1}', ["prefix"]),
        (None, None, []),
        (7, 7, []),
        ("", "", []),
    ],
)  # fmt: skip
def test_a_summary_is_one_text_without_wrapping_prefix_and_runaway_counts(given, text, kinds):
    assert mended_summary(given, 999) == (text, kinds)


def test_counts_of_a_json_summary_are_capped_and_its_texts_are_not():
    text, kinds = mended_summary(V2, 999)
    assert kinds == ["json_summary", "count"]
    assert text == '{"统计": [{"类别": "紧固件", "安装状态": {"合格": 2, "不合格": 999}}], "备注": ["×5000"]}'


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("站点距离/126×1，光纤/有保护措施×2", "光纤/有保护措施×2"),
        ("光纤/有保护措施×2，站点距离/126×1", "光纤/有保护措施×2"),
        ("光纤×2，站点距离/126×1，电线×1", "光纤×2，电线×1"),
        ('{"统计": [{"类别": "站点距离", "站点距离": {"126": 1}}, {"类别": "光纤"}]}', '{"统计": [{"类别": "光纤"}]}'),
        ('{"统计": [{"类别": "光纤"}, {"类别": "站点距离", "站点距离": {"126": 1}}]}', '{"统计": [{"类别": "光纤"}]}'),
    ],
)
def test_distances_are_dropped_where_that_is_asked_for(given, text):
    assert mended_summary(given, 999, drop_distances=True) == (text, ["distance"])
    assert mended_summary(given, 999) == (given, [])


@pytest.mark.parametrize("given", ["站点距离/126×1", "光纤/距离126×1", "标签/站点距离126×1"])
def test_a_summary_that_says_no_more_than_a_distance_or_has_none_stays(given):
    assert mended_summary(given, 999, drop_distances=True) == (given, [])
