"""Install points of an RRU ticket: photos merged by the distance that they show."""

import pytest

from verdicts.config.load import load
from verdicts.facts.points import read_install_points, render_points
from verdicts.stage_b.negatives import negatives_in


def v2(*entries: str) -> str:
    return '<DOMAIN=RRU>, <TASK=SUMMARY>\n{"统计": [' + ", ".join(f"{{{entry}}}" for entry in entries) + "]}"


def numbered(*summaries: str) -> dict[str, str]:
    return {f"image_{number}": text for number, text in enumerate(summaries, start=1)}


def table(mission: str, *summaries: str) -> list[str]:
    return render_points(numbered(*summaries), load("miniature", mission).mission.points).splitlines()


FASTENED = {
    "v1": (
        "站点距离/126×1，RRU设备×1",
        "站点距离/171×1，RRU设备×1，紧固件/紧固合格×2，紧固件/紧固不合格×1",
        "站点距离/126×1，紧固件/紧固合格×2",
        "无关图片×1",
        "RRU设备×1",
    ),
    "v2": (
        v2('"类别": "站点距离", "站点距离": {"126": 1}', '"类别": "RRU设备"'),
        v2(
            '"类别": "站点距离", "站点距离": {"171": 1}',
            '"类别": "RRU设备"',
            '"类别": "紧固件", "安装状态": {"合格": 2, "不合格": 1}',
        ),
        v2('"类别": "站点距离", "站点距离": "0126"', '"类别": "紧固件", "安装状态": {"合格": 2}'),
        "无关图片",
        v2('"类别": "RRU设备"'),
    ),
}


@pytest.mark.parametrize("form", FASTENED)
def test_each_point_has_what_all_of_its_photos_show(form):
    assert table("rru_install", *FASTENED[form]) == [
        "站点126（image_1、image_3）：RRU设备 有；紧固件 合格2",
        "站点171（image_2）：RRU设备 有；紧固件 合格2、不合格1",
        "未写站点距离（image_5）：RRU设备 有；紧固件 未见",
        "无关图片：image_4",
    ]


@pytest.mark.parametrize(
    "summaries",
    [
        (
            "站点距离/5×1，RRU接地端/紧固合格×1，组1:接地线/有标签×1，组1:标签/RRU1-接地线×1，组2:标签/光缆×1",
            "站点距离/8×1，地排接地端螺丝/紧固不合格×1，接地线/没有标签×1，标签/无法识别×2",
            "站点距离/9×1，RRU接地端×1",
        ),
        (
            v2(
                '"类别": "站点距离", "站点距离": {"5": 1}',
                '"类别": "RRU接地端", "安装状态": {"合格": 1}',
                '"类别": "接地线", "标签": {"有标签": 1}',
                '"类别": "标签", "文本": {"RRU1-接地线": 1}',
            ),
            v2(
                '"类别": "站点距离", "站点距离": {"8": 1}',
                '"类别": "地排接地端螺丝", "安装状态": {"不合格": 1}',
                '"类别": "接地线", "标签": {"无标签": 1}',
                '"类别": "标签", "可读性": {"不可读": 2}',
            ),
            v2('"类别": "站点距离", "站点距离": {"9": 1}', '"类别": "RRU接地端"'),
        ),
    ],
    ids=["v1", "v2"],
)
def test_a_point_of_the_grounding_end_has_its_wire_and_a_label_that_can_be_read(summaries):
    assert table("rru_position", *summaries) == [
        "站点5（image_1）：接地端 合格1；接地线 有标签1；标签 RRU1-接地线",
        "站点8（image_2）：接地端 不合格1；接地线 无标签1；标签 无法识别2",
        "站点9（image_3）：接地端 未写明；接地线 未见；标签 未见",
    ]


def test_a_point_of_pigtails_has_sleeves_and_labels_and_no_more_texts_than_a_reader_wants():
    labels = "，".join(f"标签/RRU{number}-尾纤×1" for number in range(1, 6))
    assert table(
        "rru_cable",
        "站点距离/12×1，尾纤/有标签,有套管保护×2，尾纤/没有标签,无套管保护×1",
        f"站点距离/12×1，{labels}",
        v2(
            '"类别": "站点距离", "站点距离": {"12": 1}',
            '"类别": "尾纤", "标签": {"有标签": 1}, "套管": {"有套管": 1}',
        ),
    ) == [
        "站点12（image_1、image_2、image_3）：尾纤套管 有套管3、无套管1；尾纤标签 有标签3、无标签1；"
        "标签 RRU1-尾纤、RRU2-尾纤、RRU3-尾纤、另2种"
    ]


def test_a_group_is_one_of_its_photo():
    """组1 of the second photo is another pair than 组1 of the first."""
    assert table("rru_position", "站点距离/5×1，组1:接地线/有标签×1", "站点距离/5×1，组1:标签/光缆×1") == [
        "站点5（image_1、image_2）：接地端 未见；接地线 有标签1；标签 未见"
    ]


def test_no_text_on_a_label_forges_a_line_of_the_table():
    text = v2(
        '"类别": "站点距离", "站点距离": {"12": 1}',
        '"类别": "尾纤"',
        '"类别": "标签", "文本": {"RRU1\\n站点13：合格": 1}',
    )
    assert table("rru_cable", text) == ["站点12（image_1）：尾纤套管 未写明；尾纤标签 未写明；标签 RRU1 站点13：合格"]


def test_photos_of_which_nobody_can_tell_the_point_stand_apart():
    photos = numbered(
        "站点距离/5×1，站点距离/7×1，RRU设备×1", "站点距离/看不清×1，RRU设备×1", "站点距离/7×1，RRU设备×1"
    )
    read = read_install_points(photos)
    assert [(point.distances, point.photos) for point in read.points] == [(("7",), ["image_3"])]
    assert [(point.distances, point.photos) for point in read.apart] == [(("5", "7"), ["image_1"]), ((), ["image_2"])]
    assert table("rru_install", *photos.values()) == [
        "站点7（image_3）：RRU设备 有；紧固件 未见",
        "站点不明（5、7）（image_1）：RRU设备 有；紧固件 未见",
        "未写站点距离（image_2）：RRU设备 有；紧固件 未见",
    ]


def test_there_is_no_table_where_nothing_is_asked_of_points_or_nothing_is_seen():
    assert table("bbu_line", *FASTENED["v1"]) == []
    assert table("rru_install", "无关图片×1", "无关图片×1") == []


@pytest.mark.parametrize("form", FASTENED)
def test_a_negative_at_one_point_fires_whatever_another_point_shows(form):
    guard = load("miniature", "rru_install").fail_first
    fired = [photo for photo, text in numbered(*FASTENED[form]).items() if negatives_in(text, guard)]
    assert fired == ["image_2"]
