"""verdicts.student.photo_scores: summaries and boxes are judged as README says."""

import pytest

from verdicts.student.photo_scores import (
    F1,
    DetectedObject,
    attribute_f1,
    dense_f1,
    iou,
    parse_dense,
    render_dense,
    segments,
    sum_f1,
    summary_matches,
)

SUMMARY = "BBU设备/华为,显示完整,无需安装×1，螺丝、光纤插头/BBU安装螺丝,符合要求×2"


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (SUMMARY, True),
        ("螺丝、光纤插头/BBU安装螺丝,符合要求×2，BBU设备/华为,显示完整,无需安装×1", True),
        (SUMMARY.replace("×2", "×3"), False),
        (SUMMARY.replace("华为", "中兴"), False),
        ("", False),
    ],
)
def test_a_summary_matches_where_segments_and_counts_are_the_same_in_any_order(given: str, same: bool) -> None:
    assert summary_matches(given, SUMMARY) is same


def test_segments_are_read_with_their_counts_and_without_one_count_once() -> None:
    assert segments("标签/无法识别×2，挡风板，标签/无法识别×1") == {"标签/无法识别": 3, "挡风板": 1}


def test_attribute_f1_gives_credit_for_the_part_that_is_right() -> None:
    assert attribute_f1(SUMMARY, SUMMARY).f1 == 1.0
    half = attribute_f1(SUMMARY.replace("华为", "中兴"), SUMMARY)
    assert half == F1(6, 7, 7)
    assert attribute_f1("", SUMMARY).f1 == 0.0


@pytest.mark.parametrize(
    "text",
    ["", "[", "{}", '[{"bbox_2d":[1,2,3],"label":"a"}]', '[{"bbox_2d":[5,2,3,9],"label":"a"}]',
     '[{"bbox_2d":[1,2,3,1001],"label":"a"}]',
     '[{"bbox_2d":[1,2,3,4]}]', '[{"bbox_2d":[1,2,3,true],"label":"a"}]', '[{"bbox_2d":[1,2,3,4],"label":"a"}] x'],
)  # fmt: skip
def test_a_malformed_dense_answer_is_none_and_scores_as_nothing_found(text: str) -> None:
    assert parse_dense(text) is None
    assert dense_f1(parse_dense(text), [DetectedObject((0, 0, 10, 10), "a")]) == F1(0, 0, 1)


def test_a_dense_answer_that_is_written_is_read_back() -> None:
    text = render_dense([((1, 2, 30, 40), "标签/无法识别")])
    assert text == '[{"bbox_2d":[1,2,30,40],"label":"标签/无法识别"}]'
    assert parse_dense(text) == [DetectedObject((1, 2, 30, 40), "标签/无法识别")]


def test_iou_is_the_shared_part_of_two_boxes() -> None:
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0


def test_a_box_counts_with_the_right_label_and_half_an_overlap_and_only_once() -> None:
    wanted = [DetectedObject((0, 0, 100, 100), "a"), DetectedObject((200, 0, 300, 100), "b")]
    assert dense_f1([DetectedObject((0, 0, 100, 60), "a"), DetectedObject((200, 0, 300, 100), "a")], wanted) == F1(
        1, 2, 2
    )
    assert dense_f1([DetectedObject((0, 0, 100, 100), "a"), DetectedObject((0, 0, 100, 99), "a")], wanted) == F1(
        1, 2, 2
    )
    assert dense_f1([DetectedObject((0, 0, 100, 40), "a")], wanted) == F1(0, 1, 2)


def test_totals_are_micro_averages_and_nothing_wanted_nor_given_is_perfect() -> None:
    assert sum_f1([F1(1, 2, 2), F1(3, 3, 4)]) == F1(4, 5, 6)
    assert F1(0, 0, 0).f1 == 1.0
