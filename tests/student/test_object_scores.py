"""verdicts.student.object_scores: boxes, outlines and lines are found where they lie, attributes apart."""

import pytest
from shapely import LineString

from verdicts.facts.dense import DenseObject
from verdicts.student.object_scores import (
    described,
    line_distance,
    outline,
    outline_iou,
    score_objects,
    without_area,
)
from verdicts.student.photo_scores import F1


def box(desc: str, x1: float, y1: float, x2: float, y2: float) -> DenseObject:
    return DenseObject(desc, "bbox_2d", ((x1, y1), (x2, y2)))


def poly(desc: str, *points: tuple[float, float]) -> DenseObject:
    return DenseObject(desc, "poly", points)


def line(desc: str, *points: tuple[float, float]) -> DenseObject:
    return DenseObject(desc, "line", points)


def square(desc: str, left: float = 0) -> DenseObject:
    return poly(desc, (left, 0), (left + 100, 0), (left + 100, 100), (left, 100))


def apart(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> float:
    return line_distance(LineString(a), LineString(b))


@pytest.mark.parametrize(("desc", "category", "attributes"), [
    ("BBU设备/华为,显示完整", "BBU设备", [("", "华为"), ("", "显示完整")]),
    ("螺丝、光纤插头/BBU安装螺丝,符合要求", "BBU安装螺丝", [("", "符合要求")]),
    ("电线/捆扎整齐,备注:看不清", "电线", [("", "捆扎整齐")]),
    ("标签/5G-BBU-接地线", "标签", [("文本", "5G-BBU-接地线")]),
    ("类别=BBU设备,品牌=华为,可见性=部分", "BBU设备", [("品牌", "华为"), ("可见性", "部分")]),
    ("类别=标签,文本=a,b,c,组=1|2,备注=x,y", "标签", [("文本", "a,b,c"), ("组", "1"), ("组", "2")]),
    ("组1: 尾纤/有标签", "尾纤", [("", "有标签"), ("组", "1")]),
    ("RRU设备", "RRU设备", []), ("不认识的东西", "不认识的东西", []),
])  # fmt: skip
def test_the_words_of_both_generations_are_read_and_remarks_left_out(desc, category, attributes):
    found = described(desc)
    assert (found.category, sorted(found.attributes.elements())) == (category, sorted(attributes))


def test_an_outline_and_a_box_of_the_same_thing_are_in_the_same_place():
    assert outline_iou(outline(square("a"))[0], outline(box("a", 0, 0, 100, 100))[0]) == 1.0
    triangle = poly("a", (0, 0), (100, 0), (0, 100))
    assert outline_iou(outline(triangle)[0], outline(box("a", 0, 0, 100, 100))[0]) == 0.5
    scores = score_objects([box("a", 0, 0, 100, 100)], [square("a")])
    assert scores.parts == {"polygons": F1(1, 1, 1)}, "it counts for the shape that is wanted"


def test_an_outline_that_crosses_itself_is_mended_and_counted():
    bow = poly("a", (0, 0), (100, 100), (100, 0), (0, 100))
    area, mended = outline(bow)
    assert mended and area.area == 5000, "two triangles of 100 x 50 / 2"
    scores = score_objects([bow], [bow, square("b")])
    assert scores == ({"polygons": F1(1, 1, 2)}, 2)


def test_an_outline_that_encloses_nothing_is_named():
    spike = poly("毛刺", (0, 0), (100, 0), (100, 100), (100, 0))
    assert without_area([square("a"), spike, line("b", (0, 0), (1, 1))]) == ["毛刺"]


def test_lines_are_as_far_apart_as_their_points_are_on_average_whichever_way_they_run():
    assert apart([(0, 0), (100, 0)], [(100, 20), (0, 20)]) == pytest.approx(20)
    assert apart([(0, 0), (100, 0)], [(0, 0), (50, 0), (100, 0)]) == 0
    # of a line twice as long the second half lies 0 to 100 away, 50 on average: 25 over all; and not the 0 of the other
    assert apart([(0, 0), (100, 0)], [(0, 0), (200, 0)]) == pytest.approx(25, abs=0.3)


@pytest.mark.parametrize(("shift", "found"), [(0, 1), (24, 1), (26, 0)])
def test_a_line_is_found_up_to_a_distance_of_25_thousandths(shift, found):
    wanted = [line("电线/捆扎整齐", (0, 100), (500, 100))]
    given = [line("电线/捆扎整齐", (500, 100 + shift), (0, 100 + shift))]
    assert score_objects(given, wanted).parts["lines"] == F1(found, 1, 1)


def test_category_and_attributes_are_judged_apart():
    wanted = [square("BBU设备/华为,显示完整"), square("挡风板/华为", 200), line("电线/捆扎整齐", (0, 500), (500, 500))]
    given = [square("BBU设备/中兴,显示完整"), square("标签/华为", 200), line("电线/捆扎整齐", (0, 500), (500, 500))]
    assert score_objects(given, wanted).parts == {
        "polygons": F1(1, 2, 2),
        "lines": F1(1, 1, 1),
        "attributes": F1(2, 4, 4),  # right: 显示完整, 捆扎整齐; wrong: 中兴, and 华为 of 挡风板, which is not found
    }


def test_finding_another_object_cannot_lower_the_score_of_attributes():
    wanted = [square("BBU设备/华为,显示完整"), square("BBU设备/中兴,显示完整", 200)]
    one, more = [square("BBU设备/华为,显示完整")], [square("BBU设备/华为,只显示部分", 200)]
    nothing = {"polygons": F1(0, 0, 2), "attributes": F1(0, 4, 4)}
    assert score_objects([], wanted).parts == nothing
    assert score_objects(one, wanted).parts["attributes"] == F1(2, 4, 4)
    assert score_objects(one + more, wanted).parts["attributes"] == F1(2, 4, 4), "found, and nothing right said of it"
    assert score_objects([*one, square("BBU设备/中兴,只显示部分", 200)], wanted).parts["attributes"] == F1(3, 4, 4)
    elsewhere = [square("BBU设备/诺基亚,显示完整", 600)]
    assert score_objects(one + elsewhere, wanted).parts == {"polygons": F1(1, 2, 2), "attributes": F1(2, 4, 4)}


def test_words_too_many_of_a_found_object_count_against_attributes():
    wanted = [square("BBU设备/华为"), square("挡风板", 200)]
    given = [square("BBU设备/华为,显示完整"), square("挡风板/安装方向正确", 200)]
    assert score_objects(given, wanted).parts["attributes"] == F1(1, 3, 1)


def test_one_object_is_found_once_by_the_closest():
    near, exact = box("a", 0, 0, 100, 90), box("a", 0, 0, 100, 100)
    found = score_objects([near, exact], [exact])
    assert found.parts == {"boxes": F1(1, 2, 1)}


def test_a_line_is_no_outline_and_nothing_has_no_parts():
    flat = line("a", (0, 0), (100, 0), (100, 100))
    assert score_objects([flat], [square("a")]).parts == {"polygons": F1(0, 0, 1), "lines": F1(0, 1, 0)}
    assert score_objects([], []) == ({}, 0)
