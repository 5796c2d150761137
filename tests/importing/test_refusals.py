"""What of a row is repaired, and for what it is refused: every reason and every repair, worked out by hand."""

import pytest

from tests.support.importing import BOX, FRAME, HIGH, LINE, OUTLINE, SUMMARY, WIDE, Desk, talk

JSON = '{"统计": [{"类别": "BBU设备", "品牌": {"华为": 1}}]}'
CHAT = talk()["messages"]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def thing(of: dict, **fields: object) -> dict:
    """Fields of a row with one object, changed; None takes a field out."""
    return {"objects": [{name: said for name, said in (of | fields).items() if said is not None}]}


# reason -> field, and what is changed in a sound row
REFUSED = {
    "not_an_object": ("", lambda row: [row]),
    "unknown_field": ("sumary", lambda row: row | {"sumary": SUMMARY}),
    "unknown_field in an object": ("objects.0.label", lambda row: row | thing(BOX, label="x")),
    "missing_field": ("images", lambda row: row | {"images": []}),
    "missing_field in an object": ("objects.0.desc", lambda row: row | thing(BOX, desc=None)),
    "bad_field photo": ("images", lambda row: row | {"images": "a.jpg"}),
    "bad_field photo without a name": ("images", lambda row: row | {"images": [" "]}),
    "bad_field width": ("width", lambda row: row | {"width": "200"}),
    "bad_field objects": ("objects", lambda row: row | {"objects": BOX}),
    "bad_field object": ("objects.0", lambda row: row | {"objects": ["BBU设备"]}),
    "bad_field desc": ("objects.0.desc", lambda row: row | thing(BOX, desc=7)),
    "bad_field box": ("objects.0.bbox_2d", lambda row: row | thing(BOX, bbox_2d="1,2,3,4")),
    "bad_field number": ("objects.0.bbox_2d", lambda row: row | thing(BOX, bbox_2d=[1, 2, "3", 4])),
    "bad_field truth": ("objects.0.bbox_2d", lambda row: row | thing(BOX, bbox_2d=[True, 2, 3, 4])),
    "bad_field summary": ("summary", lambda row: row | {"summary": 7}),
    "bad_field metadata": ("metadata", lambda row: row | {"metadata": "bbu"}),
    "several_photos": ("images", lambda row: row | {"images": row["images"] * 2}),
    "photo_not_there": ("images.0", lambda row: row | {"images": ["none.jpg"]}),
    "photo_unfit": ("images.0", lambda row: row | {"images": ["rows.jsonl"]}),
    "photo_size": ("height", lambda row: row | {"height": 101}),
    "no_geometry": ("objects.0", lambda row: row | thing(BOX, bbox_2d=None)),
    "two_geometries": ("objects.0", lambda row: row | thing(BOX, line=LINE["line"])),
    "odd_length box": ("objects.0.bbox_2d", lambda row: row | thing(BOX, bbox_2d=[1, 2, 3])),
    "odd_length outline": ("objects.0.poly", lambda row: row | thing(OUTLINE, poly=[1, 2, 3, 4, 5, 6, 7])),
    "too_few_points outline": ("objects.0.poly", lambda row: row | thing(OUTLINE, poly=[1, 1, 50, 1, 1, 1])),
    "too_few_points line": ("objects.0.line", lambda row: row | thing(LINE, line=[1, 1])),
    "points_mismatch": ("objects.0.line_points", lambda row: row | thing(LINE, line_points=4)),
    "points_mismatch of another shape": ("objects.0.poly_points", lambda row: row | thing(LINE, poly_points=3)),
    "corners_swapped": ("objects.0.bbox_2d", lambda row: row | thing(BOX, bbox_2d=[100, 60, 10, 10])),
    "out_of_bounds": ("objects.0.bbox_2d", lambda row: row | thing(BOX, bbox_2d=[1, 1, WIDE + 3, 9])),
    "out_of_bounds above": ("objects.0.line", lambda row: row | thing(LINE, line=[1, -2.5, 9, 9])),
    "no_area box": ("objects.0.bbox_2d", lambda row: row | thing(BOX, bbox_2d=[10, 10, 10, 60])),
    "no_area outline": ("objects.0.poly", lambda row: row | thing(OUTLINE, poly=[1, 1, 5, 5, 9, 9, 3, 3])),
    "no_area line": ("objects.0.line", lambda row: row | thing(LINE, line=[7, 7, 7, 7])),
    "crossing": ("objects.0.poly", lambda row: row | thing(OUTLINE, poly=[50, 50, 10, 50, 30, 10, 30, 30, 30, 20])),
    "too_small": ("objects.0.bbox_2d", lambda row: row | thing(BOX, bbox_2d=[10.01, 10, 10.02, 60])),
    "empty_desc": ("objects.0.desc", lambda row: row | thing(BOX, desc=" \t")),
    "blank_summary": ("summary", lambda row: row | {"summary": " "}),
    "broken_summary": ("summary", lambda row: row | {"summary": JSON[:-2]}),
    "broken_summary list": ("summary", lambda row: row | {"summary": f"[{JSON}]"}),
    "broken_summary without a category": ("summary", lambda row: row | {"summary": JSON.replace("类别", "品类")}),
    "too_small outline": (
        "objects.0.poly",
        lambda row: row | thing(OUTLINE, poly=[0, 0, 50, 0, 50, 40, 49.99, 40, 49.99, 0.01, 0, 0.01]),
    ),
    "media_word desc": ("objects.0.desc", lambda row: row | thing(BOX, desc="标签/<image>")),
    "media_word summary": ("summary", lambda row: row | {"summary": "标签/<video>×1"}),
    "nothing_to_learn": ("", lambda row: row | {"summary": None, "objects": []}),
    "irrelevant_with_objects": ("objects.0", lambda row: row | {"summary": "无关图片"}),
    "irrelevant_with_objects beside": (
        "objects.1",
        lambda row: row | {"summary": "无关图片", "objects": [FRAME, FRAME]},
    ),
    "irrelevant_with_objects in a photo": ("objects.0.desc", lambda row: row | {"objects": [FRAME]}),
    "messages_and_photo": ("messages", lambda row: row | {"messages": CHAT}),
    "bad_chat order": ("messages", lambda row: {"messages": CHAT[::-1]}),
    "bad_chat role": ("messages.0.role", lambda row: {"messages": [{"role": "robot", "content": "x"}, *CHAT]}),
    "bad_chat photo": ("messages", lambda row: {"messages": [{"role": "user", "content": "<image>"}, CHAT[1]]}),
    "duplicate": ("images.0", lambda row: row | {"images": ["QC-AB-20250101-00009_1.jpg"]}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_row_is_refused_for_its_reason_at_its_field_and_the_others_go_in(desk, case):
    field, change = REFUSED[case]
    desk.write(desk.row(9), change(desk.row(1)), desk.row(2))
    assert desk.run().code == 0
    assert desk.refused() == [(2, case.split()[0], field)]
    assert len(desk.rows("dense")) == len(desk.rows("summary")) == 2 and desk.repaired() == []


# what is changed in a sound row -> repairs with their fields, and the object (or summary) that is written
REPAIRED = {
    "sizes that are missing": (
        lambda row: row | thing(BOX) | {"width": None, "height": None},
        [("size_from_photo", "width"), ("size_from_photo", "height")],
        '"bbox_2d": [50, 100, 500, 600]',
    ),
    "blanks in words": (
        lambda row: row | thing(BOX, desc=" BBU设备 / 华为 ,\u3000显示完整 "),
        [("desc_blanks", "objects.0.desc")],
        '"desc": "BBU设备/华为,显示完整"',
    ),
    "a line end in words": (
        lambda row: row | thing(BOX, desc="标签/4G\nBBU 电源"),
        [("desc_control", "objects.0.desc")],
        '"desc": "标签/4GBBU 电源"',
    ),
    "points in pairs": (
        lambda row: row | thing(LINE, line=[[10, 20], [60, 40]]),
        [("pairs_flattened", "objects.0.line")],
        '"line_points": 2, "line": [[50, 200], [300, 400]]',
    ),
    "a point just outside": (
        lambda row: row | thing(BOX, bbox_2d=[-2, 10, 100, HIGH + 1]),
        [("moved_to_edge", "objects.0.bbox_2d")],
        '"bbox_2d": [0, 100, 500, 1000]',
    ),
    "an outline that is closed": (
        lambda row: row | thing(OUTLINE, poly=[*OUTLINE["poly"], 50, 50], poly_points=5),
        [("closing_point", "objects.0.poly")],
        '"poly": [[250, 500], [500, 500], [500, 800], [250, 800]]',
    ),
    "an outline that runs the other way": (
        lambda row: row | thing(OUTLINE, poly=[50, 50, 50, 80, 100, 80, 100, 50]),
        [("clockwise", "objects.0.poly")],
        '"poly": [[250, 500], [500, 500], [500, 800], [250, 800]]',
    ),
    "an outline that starts elsewhere": (
        lambda row: row | thing(OUTLINE, poly=[100, 50, 100, 80, 50, 80, 50, 50]),
        [("start_vertex", "objects.0.poly")],
        '"poly": [[250, 500], [500, 500], [500, 800], [250, 800]]',
    ),
    "an outline that crosses itself": (
        lambda row: row | thing(OUTLINE, poly=[50, 50, 100, 80, 100, 50, 50, 80]),
        [("vertices_resorted", "objects.0.poly")],
        '"poly": [[250, 500], [500, 500], [500, 800], [250, 800]]',
    ),
    "a line from its other end": (
        lambda row: row | thing(LINE, line=[150, 90, 60, 40, 10, 20]),
        [("line_reversed", "objects.0.line")],
        '"line_points": 3, "line": [[50, 200], [300, 400], [750, 900]]',
    ),
    "a summary that is an object": (
        lambda row: row | thing(BOX) | {"summary": {"统计": [{"类别": "BBU设备", "品牌": {"华为": 1}}]}},
        [("summary_object", "summary")],
        JSON,
    ),
    "a JSON summary on several lines": (
        lambda row: row | thing(BOX) | {"summary": JSON.replace("[", "[\n")},
        [("summary_lines", "summary")],
        JSON,
    ),
    "a summary on two lines": (
        lambda row: row | thing(BOX) | {"summary": "光纤×1，\n 标签/A×2\n"},
        [("summary_lines", "summary")],
        "光纤×1， 标签/A×2",
    ),
    "a prefix line in a summary": (
        lambda row: row | thing(BOX) | {"summary": "<DOMAIN=BBU>, <TASK=SUMMARY>\n光纤×1"},
        [("prefix_removed", "summary")],
        "光纤×1",
    ),
    "a counted irrelevant photo": (
        lambda row: row | {"objects": [FRAME], "summary": "无关图片×1"},
        [("irrelevant_count", "summary")],
        "无关图片",
    ),
}


@pytest.mark.parametrize("case", REPAIRED)
def test_a_repair_is_made_counted_and_said_where(desk, case):
    change, repairs, written = REPAIRED[case]
    desk.write({name: said for name, said in change(desk.row(1)).items() if said is not None})
    outcome = desk.run()
    assert outcome.code == 0 and "; 1 repaired (" in outcome.last_line
    assert desk.repaired() == [(1, *repair) for repair in repairs]
    answers = [answer for name in ("dense", "summary", "irrelevant") for answer in desk.answers(name)]
    assert [answer for answer in answers if written in answer], answers
    assert sum(desk.report().repairs.values()) == len(repairs)


def test_a_row_in_its_form_goes_in_as_it_is(desk):
    desk.write(desk.row(1), desk.row(2, summary=JSON) | thing(BOX, desc="类别=标签,文本=A 1,B/C"))
    assert desk.run().code == 0 and desk.repaired() == []
    assert desk.answers("summary")[1] == JSON and '"类别=标签,文本=A 1,B/C"' in desk.answers("dense")[1]
    assert desk.report().words == {"v1": 1, "v2": 1}
