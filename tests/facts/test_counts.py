"""How many objects a summary speaks of, in both of its forms."""

import pytest

from verdicts.facts.counts import count_objects, render_stats


@pytest.mark.parametrize(
    ("summary", "objects"),
    [
        ("BBU设备/华为,显示完整×1，螺丝、光纤插头/BBU安装螺丝,显示完整,符合要求×4", 5),
        ("站点距离/126×1，紧固件/合格×2", 2),  # a watermark is no object
        ("无关图片", 0),
        ("无关图片×1", 0),
        ("标签/无法识别", 1),
        ('{"统计": [{"类别": "BBU设备", "品牌": {"华为": 2}, "可见性": {"完整": 1, "部分": 2}}]}', 3),
        ('{"统计": [{"类别": "RRU设备"}, {"类别": "标签", "可读性": {"不可读": 2}}]}', 3),
        ('{"统计": [{"类别": "标签", "文本": {"A1": 2, "B": 1}, "可读性": {"不可读": 1}}]}', 4),
        ('{"统计": [{"类别": "标签", "文本": {"A1": 2}, "可读性": {"清晰": 2}}]}', 2),
    ],
)
def test_objects_are_counted_once_however_many_attributes_they_have(summary, objects):
    assert count_objects(summary) == objects


def test_a_ticket_s_photos_stand_in_one_line():
    assert (
        render_stats({"image_1": "电线/捆扎整齐×2", "image_2": "无关图片"}) == "照片 2 张；对象数：image_1 2、image_2 0"
    )
