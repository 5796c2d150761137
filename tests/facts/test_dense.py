"""verdicts.facts: a dense answer is read in both forms, and written as it is read."""

import json

import pytest

from verdicts.facts.dense import DenseAnswer, DenseObject, read_dense_answer, read_objects, render_objects
from verdicts.facts.prefix import split_prefix

BOX = DenseObject("类别=标签,可读性=不可读", "bbox_2d", ((10, 20), (30, 40)))
OUTLINE = DenseObject("BBU设备/华为,显示完整", "poly", ((100, 100), (300, 100), (300, 200.5), (100, 200)))
WAY = DenseObject("类别=电线,捆扎=整齐", "line", ((0, 5), (500, 5), (1000, 999)))
WRITTEN = (
    '{"object_1": {"desc": "类别=标签,可读性=不可读", "bbox_2d": [10, 20, 30, 40]}, '
    '"object_2": {"desc": "BBU设备/华为,显示完整", "poly": [[100, 100], [300, 100], [300, 200.5], [100, 200]]}, '
    '"object_3": {"desc": "类别=电线,捆扎=整齐", "line_points": 3, "line": [[0, 5], [500, 5], [1000, 999]]}}'
)


def test_objects_are_written_on_one_line_boxes_flat_and_other_points_in_pairs():
    assert render_objects([BOX, OUTLINE, WAY]) == WRITTEN
    assert read_objects(WRITTEN) == [BOX, OUTLINE, WAY]


def test_a_prefix_line_may_stand_before_an_answer():
    text = "<DOMAIN=BBU>, <TASK=DETECTION>\n" + WRITTEN
    assert split_prefix(text) == (("BBU", "DETECTION"), WRITTEN) and read_objects(text) == [BOX, OUTLINE, WAY]


def test_points_are_read_flat_too_and_their_number_need_not_stand_beside_them():
    text = (
        '{"object_1": {"desc": "电线", "line": [0, 5, 500, 5]}, "object_7": {"desc": "a", "poly": [0, 0, 9, 0, 0, 9]}}'
    )
    assert read_objects(text) == [
        DenseObject("电线", "line", ((0, 5), (500, 5))),
        DenseObject("a", "poly", ((0, 0), (9, 0), (0, 9))),
    ]


def test_the_list_of_boxes_is_read_as_ever_and_one_bad_entry_spoils_it():
    good = {"bbox_2d": [1, 2, 30, 40], "label": "标签/无法识别"}
    assert read_objects(json.dumps([good])) == [DenseObject("标签/无法识别", "bbox_2d", ((1, 2), (30, 40)))]
    assert read_objects(json.dumps([good, good | {"bbox_2d": [5, 2, 3, 9]}])) is None
    assert read_dense_answer("[]") == DenseAnswer("list", ())


def test_a_photo_without_a_subject_is_a_whole_answer_without_objects():
    assert read_dense_answer("无关图片\n") == DenseAnswer("irrelevant", ())
    assert read_objects("无关图片") == [] == read_objects("{}")


@pytest.mark.parametrize(
    "entry",
    [
        {"poly": [0, 0, 9, 0, 0, 9]},  # no words
        {"desc": " ", "poly": [0, 0, 9, 0, 0, 9]},
        {"desc": "a"},  # no place
        {"desc": "a", "poly": [0, 0, 9, 0, 0, 9], "line": [0, 0, 9, 9]},  # two places
        {"desc": "a", "poly": [0, 0, 9, 9, 5, 5]},  # on a straight line
        {"desc": "a", "poly": [0, 0, 9, 9]},
        {"desc": "a", "poly": [[0, 0], [9, 0], [9]]},
        {"desc": "a", "line": [4, 4, 4, 4]},  # does not go anywhere
        {"desc": "a", "line": [0, 0, 9]},
        {"desc": "a", "line": [0, 0, 9, 1001]},
        {"desc": "a", "bbox_2d": [[1, 2], [3, 4]]},  # a box is flat
        {"desc": "a", "bbox_2d": [3, 2, 3, 4]},
        {"desc": "a", "bbox_2d": [1, 2, 3, True]},
        {"desc": "a", "bbox_2d": [1, 2, 3, 4], "score": 1},  # an unknown name
        [1, 2, 3, 4],
    ],
)
def test_an_entry_that_puts_no_thing_in_a_place_is_counted_and_the_others_are_read(entry):
    text = json.dumps({"object_1": entry, "object_2": {"desc": "a", "bbox_2d": [1, 2, 3, 4]}})
    answer = read_dense_answer(text)
    assert answer == DenseAnswer("objects", (DenseObject("a", "bbox_2d", ((1, 2), (3, 4))),), 1) and answer.given == 2
    assert read_objects(text) is None


def test_of_a_name_that_stands_twice_the_first_counts_and_the_other_is_broken():
    entry, other = '{"desc": "a", "bbox_2d": [1, 2, 3, 4]}', '{"desc": "b", "bbox_2d": [1, 2, 3, 4]}'
    answer = read_dense_answer(f'{{"object_1": {entry}, "object_2": {entry}, "object_1": {other}}}')
    assert answer and [thing.desc for thing in answer.objects] == ["a", "a"] and answer.broken == 1


@pytest.mark.parametrize(
    "text",
    ["", "[", "{", "3", '"无关图片"', '{"a": 1}', WRITTEN[:-1], WRITTEN + " x", "无关图片，标签×1", "[" * 9999, "[[]]"],
)
def test_text_of_neither_form_is_no_answer(text):
    assert read_dense_answer(text) is None and read_objects(text) is None
