"""What is put right in one given ticket, and what is refused."""

import json
from pathlib import Path

import pytest

from verdicts.config.load import load
from verdicts.intake.names import Door
from verdicts.intake.ticket import NotTaken, mended_ticket

DOOR = Door.of_config(load("miniature", "rru_cable"))
GIVEN = {
    "group_id": "QC-1",
    "mission": "RRU线缆",
    "label": "pass",
    "images": ["1.jpg", "2.jpg"],
    "per_image": {"image_1": "尾纤/有标签×1", "image_2": "无关图片×1"},
}


def mended(door: Door = DOOR, **fields):
    """The ticket made of GIVEN with other fields, as a dict, the kinds of repair in order, and what is kept aside."""
    given = {name: value for name, value in (GIVEN | fields).items() if value is not ...}
    ticket, changes, aside = mended_ticket(given, door, Path("t.jsonl"), 3)
    return ticket.model_dump(), [change.kind for change in changes], aside


def refused(**fields) -> tuple[str, str]:
    with pytest.raises(NotTaken) as caught:
        mended(**fields)
    return caught.value.reason, str(caught.value.error)


def test_a_ticket_that_is_in_order_stays_as_it_is():
    assert mended() == (GIVEN, [], {})


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("PASS", "pass"), (" Pass。", "pass"), ("通过", "pass"), ("审核通过", "pass"), ("ＰＡＳＳ", "pass"),
        (1, "pass"), ("1", "pass"), (1.0, "pass"), ("Fail", "fail"), ("不通过", "fail"), ("审核不通过", "fail"),
        ("未通过", "fail"), (2, "fail"), ("2", "fail"),
    ],
)  # fmt: skip
def test_a_label_may_be_any_word_for_it_in_any_case(word, label):
    ticket, kinds, _ = mended(label=word)
    assert (ticket["label"], kinds) == (label, ["label"])


@pytest.mark.parametrize("word", [0, "0", 0.0])
def test_a_label_of_nought_is_refused_since_it_may_mean_both(word):
    assert refused(label=word) == (
        "label",
        "t.jsonl:3: label: 0 may mean pass or fail; write pass or fail, or name the word in tickets.labels",
    )


@pytest.mark.parametrize("word", ["maybe", "复核", True, False, None, 3, 1.5, ["pass"], ""])
def test_a_label_that_is_no_word_for_either_is_refused(word):
    reason, sentence = refused(label=word)
    assert reason == "label" and sentence.startswith("t.jsonl:3: label: ") and "is no word for pass or fail" in sentence


def test_a_word_of_ones_own_may_stand_for_a_label():
    knobs = DOOR.knobs.model_copy(update={"labels": {"pass": ["驳回取消"], "fail": ["0"]}})
    door = Door(DOOR.slug, DOOR.mission, knobs)
    assert mended(door, label=0)[0]["label"] == "fail"
    assert mended(door, label="驳回取消")[0]["label"] == "pass"


@pytest.mark.parametrize(
    ("keys", "images", "numbered"),
    [
        (["图片_1", "图片_2"], ["a", "b"], ["x1", "x2"]),
        (["Image2", "Image1"], ["a", "b"], ["x2", "x1"]),
        (["image_10", "image_9"], ["a", "b"], ["x2", "x1"]),
        (["image_1", "image_3"], ["a", "b"], ["x1", "x2"]),
        (["照片０１", "2"], ["a", "b"], ["x1", "x2"]),
    ],
)
def test_photos_are_numbered_anew_in_the_order_of_the_numbers_they_have(keys, images, numbered):
    ticket, kinds, _ = mended(per_image=dict(zip(keys, ["x1", "x2"], strict=True)), images=images)
    assert ticket["per_image"] == {"image_1": numbered[0], "image_2": numbered[1]}
    assert (ticket["images"], kinds) == (images, ["photo_keys"])


def test_summaries_in_a_list_are_numbered_in_its_order():
    ticket, kinds, _ = mended(per_image=["x1", "x2"])
    assert (ticket["per_image"], kinds) == ({"image_1": "x1", "image_2": "x2"}, ["photo_keys"])


@pytest.mark.parametrize(
    ("images", "named"),
    [
        (..., ["image_1", "image_2"]), (None, ["image_1", "image_2"]), ([], ["image_1", "image_2"]),
        (["a.jpg"], ["a.jpg", "image_2"]), ("a.jpg", ["a.jpg", "image_2"]),
    ],
)  # fmt: skip
def test_photos_without_a_name_are_named_as_their_summaries_are(images, named):
    ticket, kinds, _ = mended(images=images)
    assert (ticket["images"], kinds) == (named, ["photo_names"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"per_image": {"image_1": "x", "图片_1": "y"}}, "per_image: '图片_1' has the number of another photo; "),
        ({"per_image": {"front": "x"}}, "per_image: 'front' has no number at its end; number the photos"),
        ({"per_image": {}}, "per_image: "),
        ({"per_image": ...}, "per_image: missing; add it"),
        ({"per_image": "x"}, "per_image: "),
        ({"images": ["a", "b", "c"]}, "3 images but 2 summaries; give one summary a photo"),
        ({"images": [1, 2]}, "images.0: "),
        ({"per_image": {"image_1": "x", "image_2": " "}}, "per_image.image_2: is blank; "),
        ({"per_image": {"image_1": "x", "image_2": None}}, "per_image.image_2: "),
        ({"per_image": {"image_1": "x", "image_2": 7}}, "per_image.image_2: "),
    ],
)
def test_photos_that_are_not_clear_are_refused(fields, message):
    reason, sentence = refused(**fields)
    assert reason == "photos" and sentence.startswith(f"t.jsonl:3: {message}")


def test_fields_that_no_ticket_has_are_kept_aside_and_never_in_the_ticket():
    ticket, kinds, aside = mended(label_source="human", label_timestamp="2025-01-01", score=0.5)
    assert (ticket, kinds) == (GIVEN, [])
    assert aside == {"label_source": "human", "label_timestamp": "2025-01-01", "score": 0.5}


def test_a_misspelt_field_is_named_where_its_ticket_lacks_it():
    assert refused(label=..., lable="pass") == (
        "field",
        "t.jsonl:3: lable: unknown field; did you mean 'label'?",
    )
    assert refused(label=..., note="x")[1] == "t.jsonl:3: note: unknown field; remove it"


@pytest.mark.parametrize(("given", "text"), [(7, "7"), (7.0, "7"), (" QC-1 ", "QC-1")])
def test_a_group_is_text_without_blanks_around_it(given, text):
    ticket, kinds, _ = mended(group_id=given)
    assert (ticket["group_id"], kinds) == (text, ["group_id"])


@pytest.mark.parametrize("given", [7.5, True, None, "", "  ", ["a"]])
def test_a_group_that_is_neither_text_nor_a_number_is_refused(given):
    reason, sentence = refused(group_id=given)
    assert reason == "field" and sentence.startswith("t.jsonl:3: group_id: ")


@pytest.mark.parametrize("name", ["RRU尾纤检查", " RRU线缆", "ＲＲＵ线缆", "rru线缆"])
def test_another_name_of_the_mission_becomes_its_name(name):
    ticket, kinds, _ = mended(mission=name)
    assert (ticket["mission"], kinds) == ("RRU线缆", ["mission"])


def test_half_width_brackets_in_a_missions_name_are_the_full_width_ones():
    door = Door.of_config(load("miniature", "bbu_install"))
    ticket, kinds, _ = mended(door, mission="BBU安装方式检查(正装)")
    assert (ticket["mission"], kinds) == ("BBU安装方式检查（正装）", ["mission"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("RRU位置检查", "'RRU位置检查' is not this run's mission 'RRU线缆'; run it under its own MISSION=rru_position"),
        ("RRU接地端检查", "; run it under its own MISSION=rru_position"),
        (
            "RRU位置查",
            "; the nearest is 'RRU位置检查' (MISSION=rru_position): correct it, or name it in that mission's ",
        ),
        ("机柜门", "'机柜门' is not this run's mission 'RRU线缆'; run it under its own MISSION"),
    ],
)
def test_a_ticket_of_another_mission_is_refused_with_the_nearest_name(name, message):
    reason, sentence = refused(mission=name)
    assert reason == "mission" and message in sentence


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        (
            {"gt_fail_reason_texts": ["补拍", " 线径\n不一致 "], "gt_fail_reason_text": "补拍 | 线径"},
            ["补拍", "线径 不一致"],
        ),
        ({"gt_fail_reason_text": "补拍 | 两端"}, ["补拍", "两端"]),
        ({"gt_fail_reason_texts": ["补拍"], "fail_reasons": ["拍全"]}, ["拍全", "补拍"]),
    ],
)
def test_peoples_reasons_go_with_the_ticket_under_one_name(fields, reasons):
    ticket, kinds, aside = mended(**fields)
    assert (ticket["fail_reasons"], kinds, aside) == (reasons, ["fail_reasons"], {})


@pytest.mark.parametrize(
    "fields", [{"gt_fail_reason_texts": [], "gt_fail_reason_text": None}, {"gt_fail_reason_text": ""}]
)
def test_no_reasons_leave_the_row_which_is_said(fields):
    """The row is then written anew: an unknown field in the run's file would be refused there."""
    assert mended(**fields) == (GIVEN, ["fail_reasons"], {})


def test_reasons_that_are_no_text_are_kept_aside():
    assert mended(gt_fail_reason_texts=[3]) == (GIVEN, [], {"gt_fail_reason_texts": [3]})


@pytest.mark.parametrize("row", [[], "x", None, 3])
def test_a_row_that_is_no_object_is_refused(row):
    with pytest.raises(NotTaken) as caught:
        mended_ticket(row, DOOR, Path("t.jsonl"), 3)
    assert caught.value.reason == "field" and str(caught.value.error).startswith("t.jsonl:3: ")


def test_summaries_are_put_right_one_by_one():
    given = {"image_1": {"统计": [{"类别": "尾纤"}]}, "image_2": "尾纤×12720"}
    ticket, kinds, _ = mended(per_image=given)
    assert json.loads(ticket["per_image"]["image_1"]) == given["image_1"]
    assert (ticket["per_image"]["image_2"], kinds) == ("尾纤×999", ["json_summary", "count"])
