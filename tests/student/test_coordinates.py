"""verdicts.student.coordinates: places are noticed in a summary, and what was read from a label is spared."""

import pytest

from verdicts.student.coordinates import has_coordinates

SUMMARY = "BBU设备/华为,显示完整,无需安装×1，螺丝、光纤插头/BBU安装螺丝,符合要求×2"


@pytest.mark.parametrize(("text", "found"), [
    (SUMMARY, False), ("标签/5G-BBU-(正极)×1", False), ("螺丝/BBU安装螺丝,12,40,300,410×1", True),
    ("BBU设备[12, 40, 300, 410]", True), ("bbox_2d×1", True),
    ("标签(12,40),(300,410)×1", True), ("标签 12.5，40，300，410", True), ("标签/BBU(1,2)×3，标签/4×1", False),
    ("<|point_start|>", True),
])  # fmt: skip
def test_coordinates_in_a_summary_are_noticed(text: str, found: bool) -> None:
    assert has_coordinates(text) is found


@pytest.mark.parametrize("text", [
    "标签/10,20,30,40×1", "类别=标签,文本=10,20,30,40", "类别=站点距离,站点距离=10,20,30,40",
    '{"统计": [{"类别": "标签", "文本": {"10,20,30,40": 1, "NR900 1,2,3,4": 2}}]}',
    '{"统计": [{"类别": "站点距离", "站点距离": {"1234": 1}}, {"类别": "标签", "文本": "1,2,3,4"}]}',
])  # fmt: skip
def test_numbers_that_were_read_in_a_photo_are_no_coordinates(text: str) -> None:
    assert not has_coordinates(text)


@pytest.mark.parametrize("text", [
    "标签/10,20,30,40×1，BBU设备/华为,12,40,300,410×1", "标签/无法识别[12, 40, 300, 410]×1", "标签/(12,40),(300,410)",
    "标签/bbox_2d", '{"统计": [{"类别": "BBU设备", "bbox_2d": [10, 20, 30, 40]}]}',
    '{"统计": [{"类别": "BBU设备", "poly": [[10, 20], [30, 40]]}]}', '{"统计": [{"类别": "电线", "line": [1, 2, 3]}]}',
    '{"统计": [{"类别": "标签", "文本": {"NR900[10, 20, 30, 40]": 1}}]}', '{"备注": ["10,20,30,40"]}',
])  # fmt: skip
def test_places_are_noticed_beside_and_inside_what_was_read(text: str) -> None:
    assert has_coordinates(text)
